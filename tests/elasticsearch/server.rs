//! A server that keeps to Elasticsearch's rules for `_bulk`, and misbehaves when it is asked to.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flate2::read::GzDecoder;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::flow_logs::Found;

/// What becomes of a request with documents.
#[derive(Clone, Copy)]
pub enum Behaviour {
    /// What the rules say.
    Normal,
    /// A status for the whole request, and more header lines.
    Status(u16, &'static str),
    /// These items are refused for now, with this status.
    Items(fn(usize) -> bool, u16),
    /// The documents are taken, and the connection is closed instead of an answer.
    LoseAnswer,
    /// After some time what the rules say.
    Slow(Duration),
    /// No answer until the server ends.
    Hang,
    /// An answer that leaves out the last item.
    Short,
}

/// How each request is answered, by its number.
pub type ByNumber = fn(usize) -> Behaviour;

/// What every request is held against.
pub struct Rules {
    pub max_body_bytes: usize,
    /// What is larger is not even read: the connection ends.
    pub breaks_off: bool,
    /// The only `Authorization` that is accepted.
    pub authorization: Option<&'static str>,
    /// Documents that cannot be mapped.
    pub is_unmappable: fn(&Value) -> bool,
    /// By the number of the request with documents, from 0.
    pub behaviour: ByNumber,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            max_body_bytes: 100 << 20,
            breaks_off: false,
            authorization: None,
            is_unmappable: |_| false,
            behaviour: |_| Behaviour::Normal,
        }
    }
}

/// What has come.
#[derive(Default)]
pub struct State {
    /// By index and id.
    pub documents: BTreeMap<(String, String), Value>,
    /// Of each request with documents: bytes as sent, and whether they were compressed.
    pub requests: Vec<(usize, bool)>,
    /// Documents that were there already.
    pub conflicts: usize,
    /// Requests without documents.
    pub checks: usize,
}

struct Shared {
    rules: Rules,
    tls: Option<Arc<ServerConfig>>,
    state: Mutex<State>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    is_closing: AtomicBool,
}

/// A server of one test's own, which ends with it.
pub struct Server {
    shared: Arc<Shared>,
    pub port: u16,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(rules: Rules) -> Server {
        let mut server = Server::closed(rules, None);
        server.listen();
        server
    }

    /// One with a port, on which it does not listen yet.
    pub fn closed(rules: Rules, tls: Option<ServerConfig>) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shared = Shared {
            rules,
            tls: tls.map(Arc::new),
            state: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
        };
        Server { shared: Arc::new(shared), port, listening: None }
    }

    pub fn listen(&mut self) {
        self.shared.is_closing.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let shared = self.shared.clone();
        self.listening = Some(thread::spawn(move || {
            let mut connections = Vec::new();
            for stream in listener.incoming() {
                if shared.is_closing.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, shared) = (stream.unwrap(), shared.clone());
                connections.push(thread::spawn(move || shared.connection(stream)));
            }
            drop(listener);
            connections.into_iter().for_each(|connection| connection.join().unwrap());
        }));
    }

    /// Ends all connections, and takes no more.
    pub fn close(&mut self) {
        self.shared.is_closing.store(true, Ordering::SeqCst);
        if let Some(listening) = self.listening.take() {
            // So that it looks.
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            listening.join().unwrap();
        }
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// The documents, as other tests look at events.
    pub fn found(&self) -> Vec<Found> {
        let state = self.state();
        let documents = state.documents.iter().map(|((_, id), document)| {
            assert_eq!(document["event"]["id"].as_str(), Some(id.as_str()));
            let interface = document["observer"]["ingress"]["interface"]["name"].as_str().unwrap().to_owned();
            Found { interface, id: Some(id.clone()), place: (String::new(), 0) }
        });
        documents.collect()
    }

    /// How many requests with documents there were at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.close();
        }
    }
}

struct Request {
    method: String,
    path: String,
    authorization: Option<String>,
    is_gzip: bool,
    body: Vec<u8>,
}

impl Shared {
    fn connection(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        match &self.tls {
            Some(config) => {
                self.serve(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream));
            }
            None => self.serve(stream),
        }
    }

    fn serve(&self, mut stream: impl Read + Write) {
        let mut buffer = Vec::new();
        while let Some(request) = self.receive(&mut stream, &mut buffer) {
            let Some((status, headers, body)) = self.answer(&request) else { return };
            let length = body.len();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{headers}\r\n");
            let body = if request.method == "HEAD" { "" } else { &body };
            if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
                return;
            }
        }
    }

    /// Reads a request; `None` when there are no more.
    fn receive(&self, stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<Request> {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break buffer.drain(..end + 4).collect::<Vec<_>>();
            }
            self.more(stream, buffer)?;
        };
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        if self.rules.breaks_off && length > self.rules.max_body_bytes {
            return None;
        }
        while buffer.len() < length {
            self.more(stream, buffer)?;
        }
        let mut first = head.split(' ');
        Some(Request {
            method: first.next().unwrap().into(),
            path: first.next().unwrap().into(),
            authorization: header("authorization"),
            is_gzip: header("content-encoding").as_deref() == Some("gzip"),
            body: buffer.drain(..length).collect(),
        })
    }

    fn more(&self, stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<()> {
        let mut bytes = [0; 1 << 16];
        while !self.is_closing.load(Ordering::SeqCst) {
            match stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(length) => {
                    buffer.extend_from_slice(&bytes[..length]);
                    return Some(());
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Status, header lines and body; `None` to close the connection.
    fn answer(&self, request: &Request) -> Option<(u16, &'static str, String)> {
        let error = |status: u16, kind: &str, reason: &str| {
            let body = json!({"error": {"root_cause": [], "type": kind, "reason": reason}, "status": status});
            Some((status, "Content-Type: application/json\r\n", body.to_string()))
        };
        if self.rules.authorization.is_some_and(|wanted| request.authorization.as_deref() != Some(wanted)) {
            return error(401, "security_exception", "unable to authenticate user");
        }
        if (request.method.as_str(), request.path.as_str()) == ("HEAD", "/") {
            self.state.lock().unwrap().checks += 1;
            return Some((200, "", String::new()));
        }
        let Some(index) =
            request.path.strip_suffix("/_bulk?filter_path=items.*.status,items.*.error,items.*.failure_store")
        else {
            return error(405, "method_not_allowed", &request.path);
        };
        let number = {
            let mut state = self.state.lock().unwrap();
            state.requests.push((request.body.len(), request.is_gzip));
            state.requests.len() - 1
        };
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        let behaviour = (self.rules.behaviour)(number);
        match behaviour {
            Behaviour::Slow(time) => thread::sleep(time),
            Behaviour::Hang => {
                while !self.is_closing.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            _ => {}
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if let Behaviour::Status(status, headers) = behaviour {
            return Some((status, headers, String::new()));
        }
        if request.body.len() > self.rules.max_body_bytes {
            return Some((413, "", String::new()));
        }
        let mut items = self.bulk(index.trim_start_matches('/'), request, behaviour);
        match behaviour {
            Behaviour::LoseAnswer | Behaviour::Hang => return None,
            Behaviour::Short => drop(items.pop()),
            _ => {}
        }
        Some((200, "Content-Type: application/json\r\n", json!({"items": items}).to_string()))
    }

    fn bulk(&self, index: &str, request: &Request, behaviour: Behaviour) -> Vec<Value> {
        let mut text = String::new();
        match request.is_gzip {
            true => drop(GzDecoder::new(request.body.as_slice()).read_to_string(&mut text).unwrap()),
            false => text = String::from_utf8(request.body.clone()).unwrap(),
        }
        assert!(text.ends_with('\n'), "the last line of a request must end, too");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut items = Vec::new();
        for (number, pair) in lines.chunks(2).enumerate() {
            let [action, document] = pair else { panic!("an action without a document") };
            let id = action["create"]["_id"].as_str().unwrap().to_owned();
            assert_eq!(action, &json!({"create": {"_id": id}}));
            items.push(json!({"create": self.create(index, id, document, number, behaviour)}));
        }
        items
    }

    fn create(&self, index: &str, id: String, document: &Value, number: usize, behaviour: Behaviour) -> Value {
        match behaviour {
            Behaviour::Items(is_meant, status) if is_meant(number) => {
                let kind = if status == 429 { "es_rejected_execution_exception" } else { "some_exception" };
                return json!({"status": status, "error": {"type": kind, "reason": "asked to"}});
            }
            _ => {}
        }
        let is_without_time = index.starts_with("logs-") && document["@timestamp"].is_null();
        if is_without_time || (self.rules.is_unmappable)(document) {
            let cause = json!({"type": "illegal_argument_exception", "reason": "For input string: \"x\""});
            return json!({"status": 400, "error": {
                "type": "document_parsing_exception", "reason": "[1:23] failed to parse", "caused_by": cause}});
        }
        let mut state = self.state.lock().unwrap();
        let key = (index.to_owned(), id);
        if state.documents.contains_key(&key) {
            state.conflicts += 1;
            return json!({"status": 409, "error": {
                "type": "version_conflict_engine_exception", "reason": "document already exists"}});
        }
        state.documents.insert(key, document.clone());
        json!({"status": 201})
    }
}
