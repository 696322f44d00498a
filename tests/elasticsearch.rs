//! `--elasticsearch-url`: every event is in the index once, by its id, or among the rejects, whatever the
//! server does and whenever the process is killed.

mod server;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::aws::{Aws, BUCKET, DEAD_LETTERS, QUEUE, http, succeed, terminate, told, wait_until};
use crate::flow_logs::{assert_all, object, text};
use server::{Behaviour, ByNumber, Rules, Server};

const RECORDS: usize = 1000;

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Puts so many objects into the bucket.
fn fill(aws: &Aws, objects: usize) {
    for number in 0..objects {
        let (key, bytes) = object(number, RECORDS);
        aws.put(&key, &bytes);
    }
}

/// `vpcflow pull sqs` until the queue is empty, in batches of a MiB.
fn pull(aws: &Aws, server: &Server, arguments: &[&str]) -> Command {
    let mut command = aws.pull(&["--elasticsearch-url", &server.url(), "--elasticsearch-batch-mib", "1"]);
    command.args(arguments).env_remove("ELASTICSEARCH_API_KEY").env_remove("ELASTICSEARCH_PASSWORD");
    command
}

fn assert_acknowledged(aws: &Aws) {
    assert_eq!((aws.messages(QUEUE), aws.messages(DEAD_LETTERS)), ((0, 0), (0, 0)));
}

/// What holds documents up is told, and not for every attempt.
fn assert_told_once(output: &Output) {
    let stderr = stderr(output);
    assert_eq!(stderr.matches("does not take everything for now").count(), 1, "{stderr}");
}

#[test]
fn a_server_that_takes_half_of_everything_gets_all_of_it() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 5);
    let behaviour = |number| match number {
        0 => Behaviour::Items(|item| item % 2 == 0, 429),
        1 => Behaviour::Status(503, ""),
        2 => Behaviour::Items(|item| item % 3 != 0, 503),
        3 => Behaviour::LoseAnswer,
        4 => Behaviour::Status(429, "Retry-After: 1\r\n"),
        5 => Behaviour::Items(|_| true, 429),
        _ => Behaviour::Normal,
    };
    let server = Server::start(Rules { behaviour, ..Rules::default() });
    let output = succeed(&mut pull(&aws, &server, &["--rejects", "rejects"]));
    assert_all(&server.found(), 0..5, RECORDS);
    assert!(server.state().conflicts > 0, "what had been taken was sent again, and recognised");
    let requests = server.state().requests.len();
    assert!((8..40).contains(&requests), "{requests} requests");
    assert_told_once(&output);
    assert_eq!(fs::metadata(aws.path("rejects")).unwrap().len(), 0);
    assert_acknowledged(&aws);
}

#[test]
fn a_storm_is_waited_out_with_few_requests() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 5);
    let behaviour = |number| match number {
        0..12 => Behaviour::Status([429, 500, 502, 408][number % 4], ""),
        _ => Behaviour::Normal,
    };
    let server = Server::start(Rules { behaviour, ..Rules::default() });
    let started = Instant::now();
    let output = succeed(&mut pull(&aws, &server, &[]));
    assert_all(&server.found(), 0..5, RECORDS);
    let requests = server.state().requests.len();
    assert!((13..50).contains(&requests), "{requests} requests");
    // Four requests at a time, of which each was refused three times.
    assert!(started.elapsed() > Duration::from_millis(1500), "{:?}", started.elapsed());
    assert_told_once(&output);
    assert_acknowledged(&aws);
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 5);
    let mut server = Server::closed(Rules::default(), None);
    let child = pull(&aws, &server, &[]).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(aws.messages(QUEUE).1, 0, "nothing is received that could not be written");
    server.listen();
    wait_until("it writes", || !server.state().requests.is_empty());
    server.close();
    let before = server.state().requests.len();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(server.state().requests.len(), before);
    server.listen();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_all(&server.found(), 0..5, RECORDS);
    assert!(stderr(&output).contains("Connection refused"), "{}", stderr(&output));
    assert_told_once(&output);
    assert_acknowledged(&aws);
}

#[test]
fn what_cannot_be_mapped_goes_to_the_rejects() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("a.log", text(0, 300).as_bytes());
    let is_unmappable = |document: &Value| document["source"]["port"].as_u64().is_some_and(|port| port % 10 == 0);
    let server = Server::start(Rules { is_unmappable, ..Rules::default() });
    succeed(&mut pull(&aws, &server, &["--rejects", "rejects"]));
    let rejects = fs::read_to_string(aws.path("rejects")).unwrap();
    let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = "document_parsing_exception: [1:23] failed to parse: illegal_argument_exception: \
        For input string: \"x\"";
    let mut events = server.found();
    assert_eq!((events.len(), rejects.len()), (270, 30));
    for reject in rejects {
        let parts = (&reject["destination"], &reject["reason"], &reject["found"]);
        assert_eq!(parts, (&json!("vpcflow-sekoia"), &json!("refused"), &json!(found)));
        let event: Value = serde_json::from_str(reject["event"].as_str().unwrap()).unwrap();
        assert!(is_unmappable(&event), "{event}");
        let interface = event["observer"]["ingress"]["interface"]["name"].as_str().unwrap().to_owned();
        let id = event["event"]["id"].as_str().map(str::to_owned);
        events.push(crate::flow_logs::Found { interface, id, place: Default::default() });
    }
    assert_all(&events, [0], 300);
    assert_acknowledged(&aws);
}

#[test]
fn what_is_too_large_is_halved_and_one_event_that_is_too_large_refused() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 3);
    let large = format!("interface-id srcaddr dstaddr note\neni-large 10.0.0.1 10.0.0.2 {}\n", "x".repeat(200_000));
    aws.put("large.log", large.as_bytes());
    let server = Server::start(Rules { max_body_bytes: 100_000, ..Rules::default() });
    let output = succeed(&mut pull(&aws, &server, &["--rejects", "rejects"]));
    assert_all(&server.found(), 0..3, RECORDS);
    let rejects = fs::read_to_string(aws.path("rejects")).unwrap();
    let reject: Value = serde_json::from_str(rejects.trim_end()).unwrap();
    assert_eq!(reject["found"], "the request is too large (413)");
    assert!(reject["event"].as_str().unwrap().contains("eni-large"));
    let state = server.state();
    let refused = state.requests.iter().filter(|(bytes, _)| *bytes > 100_000).count();
    assert!((1..60).contains(&refused), "{refused} of {} requests were too large", state.requests.len());
    assert!(stderr(&output).contains("takes no requests of this size"), "{}", stderr(&output));
    drop(state);
    assert_acknowledged(&aws);
}

#[test]
fn what_is_broken_off_is_sent_in_smaller_parts() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 3);
    let server = Server::start(Rules { max_body_bytes: 600_000, breaks_off: true, ..Rules::default() });
    let output = succeed(&mut pull(&aws, &server, &["--rejects", "rejects"]));
    assert_all(&server.found(), 0..3, RECORDS);
    assert_eq!(fs::metadata(aws.path("rejects")).unwrap().len(), 0);
    assert_told_once(&output);
    assert_acknowledged(&aws);
}

#[test]
fn killed_at_any_moment_it_indexes_everything_once() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 20);
    aws.set_max_receive_count(1000);
    let server = Server::start(Rules { behaviour: |_| Behaviour::Slow(Duration::from_millis(50)), ..Rules::default() });
    let arguments = ["--visibility-timeout-secs", "2", "--workers", "3"];
    for number in 0..6 {
        let mut child = pull(&aws, &server, &arguments).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(500 + RandomState::new().hash_one(number) % 1500));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    wait_until("the queue is empty", || {
        succeed(&mut pull(&aws, &server, &arguments));
        aws.messages(QUEUE) == (0, 0)
    });
    assert_all(&server.found(), 0..20, RECORDS);
    assert_acknowledged(&aws);
}

#[test]
fn a_backfill_that_is_killed_goes_on_and_indexes_everything_once() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 20);
    let server = Server::start(Rules { behaviour: |_| Behaviour::Slow(Duration::from_millis(50)), ..Rules::default() });
    let start = || {
        let mut command =
            aws.vpcflow(&["pull", "s3", "--bucket", BUCKET, "--checkpoint", "checkpoint", "--workers", "3"]);
        command.args(["--elasticsearch-url", &server.url(), "--elasticsearch-target", "flow-logs"]);
        command
    };
    for number in 0..4 {
        let mut child = start().stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(500 + RandomState::new().hash_one(number) % 1500));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&mut start());
    assert_all(&server.found(), 0..20, RECORDS);
    assert!(server.state().documents.keys().all(|(index, _)| index == "flow-logs"));
}

#[test]
fn wrong_credentials_are_told_before_anything_is_received() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 1);
    let server = Server::start(Rules { authorization: Some("ApiKey cmlnaHQ6a2V5"), ..Rules::default() });
    fs::write(aws.path("secret"), "wrong-SECRET\n").unwrap();
    let run = |arguments: &[&str], variable: &str| {
        let output = pull(&aws, &server, arguments).env(variable, "wrong-SECRET").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(!told(&output).contains("SECRET"), "{}", told(&output));
        // What Basic makes of `me:wrong-SECRET`.
        assert!(!told(&output).contains("bWU6d3Jvbmct"), "{}", told(&output));
        stderr(&output)
    };
    for (arguments, variable) in [
        (&["--elasticsearch-api-key-file", "secret"][..], "X"),
        (&["--elasticsearch-user", "me", "--elasticsearch-password-file", "secret"], "X"),
        (&["--elasticsearch-user", "me"], "ELASTICSEARCH_PASSWORD"),
        (&[], "ELASTICSEARCH_API_KEY"),
        (&[], "X"),
    ] {
        let stderr = run(arguments, variable);
        assert!(stderr.contains("does not take the credentials"), "{arguments:?}: {stderr}");
    }
    assert!(run(&["--elasticsearch-user", "me"], "X").contains("needs --elasticsearch-password-file or"));
    assert!(run(&["--output", "out"], "X").contains("'--elasticsearch-url <URL>' cannot be used with '--output"));
    assert_eq!(server.state().checks, 0);
    assert_eq!(server.state().requests.len(), 0);
    assert_eq!(aws.messages(QUEUE).1, 0);

    let url = server.url().replace("//", "//me:wrong-SECRET@");
    let output = aws.pull(&["--elasticsearch-url", &url]).output().unwrap();
    assert!(output.status.code() == Some(2) && !told(&output).contains("SECRET"), "{}", told(&output));
    assert!(stderr(&output).contains("must hold no password"), "{}", stderr(&output));

    fs::write(aws.path("secret"), "cmlnaHQ6a2V5\n").unwrap();
    succeed(&mut pull(&aws, &server, &["--elasticsearch-api-key-file", "secret"]));
    assert_all(&server.found(), [0], RECORDS);
}

#[test]
fn what_no_document_gets_past_ends_it_and_nothing_is_acknowledged() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 1);
    aws.set_max_receive_count(1000);
    let cases: [(ByNumber, &str); 4] = [
        (|_| Behaviour::Status(403, ""), "403 Forbidden"),
        (|_| Behaviour::Items(|item| item == 3, 404), "some_exception: asked to"),
        (|_| Behaviour::Short, "were sent"),
        (|_| Behaviour::Status(301, ""), "301 Moved Permanently"),
    ];
    for (behaviour, message) in cases {
        let server = Server::start(Rules { behaviour, ..Rules::default() });
        let output = pull(&aws, &server, &["--rejects", "rejects"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(stderr(&output).contains("the output cannot be written: Elasticsearch at http"), "{}", stderr(&output));
        assert!(stderr(&output).contains(message), "{message}: {}", stderr(&output));
        assert_eq!(server.state().requests.len(), 1);
        assert!(aws.messages(QUEUE).0 > 0, "the message is returned");
    }
    let server = Server::start(Rules::default());
    succeed(&mut pull(&aws, &server, &[]));
    assert_all(&server.found(), [0], RECORDS);
}

#[test]
fn a_signal_while_the_server_hangs_returns_the_messages() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 3);
    let hanging = Server::start(Rules { behaviour: |_| Behaviour::Hang, ..Rules::default() });
    let mut command = pull(&aws, &hanging, &["--shutdown-timeout-secs", "1"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it hangs", || hanging.most_in_flight() > 0 && aws.messages(QUEUE).1 >= 3);
    let started = Instant::now();
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(stderr(&output).contains("had not yet taken everything"), "{}", stderr(&output));
    let (visible, in_flight) = aws.messages(QUEUE);
    assert!(visible + in_flight >= 3, "{visible} and {in_flight}");
    let server = Server::start(Rules::default());
    wait_until("all messages have come again", || {
        succeed(&mut pull(&aws, &server, &[]));
        aws.messages(QUEUE) == (0, 0)
    });
    assert_all(&server.found(), 0..3, RECORDS);
}

#[test]
fn a_slow_server_slows_the_source() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 10);
    let slow = |_| Behaviour::Slow(Duration::from_millis(400));
    let server = Server::start(Rules { behaviour: slow, ..Rules::default() });
    let arguments = ["--elasticsearch-requests", "2", "--metrics-listen", "0"];
    // Without an end of its own, so that it can be asked.
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--wait-time-secs", "1"]);
    command.args(["--elasticsearch-url", &server.url(), "--elasticsearch-batch-mib", "1"]).args(arguments);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().split_once("address=").map(|(_, rest)| rest.to_owned())).unwrap();
    let drain = thread::spawn(move || lines.for_each(drop));
    let metrics = || http(&address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    wait_until("everything is acknowledged", || {
        metrics().contains("vpcflow_messages_total{outcome=\"acknowledged\"} 11") || child.try_wait().unwrap().is_some()
    });
    let metrics = metrics();
    assert!(metrics.contains("vpcflow_elasticsearch_documents_total{outcome=\"created\"} 10000"), "{metrics}");
    let answered =
        format!("vpcflow_elasticsearch_requests_total{{outcome=\"answered\"}} {}", server.state().requests.len());
    assert!(metrics.contains(&answered), "no {answered} in {metrics}");
    let bytes: usize = server.state().requests.iter().map(|(bytes, _)| bytes).sum();
    assert!(metrics.contains(&format!("vpcflow_elasticsearch_sent_bytes_total {bytes}\n")), "{bytes}: {metrics}");
    terminate(&child);
    assert!(child.wait().unwrap().success());
    drain.join().unwrap();
    assert_eq!(server.most_in_flight(), 2);
    assert!(server.state().requests.iter().all(|(bytes, _)| *bytes <= (1 << 20) + 4096), "a batch has its size");
    assert_all(&server.found(), 0..10, RECORDS);
}

/// A server's certificate of an authority of its own, and the authority's certificate.
fn certificates() -> (ServerConfig, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let builder = ServerConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (builder.with_single_cert(vec![own.der().clone()], key).unwrap(), pem)
}

#[test]
fn a_server_with_an_authority_of_its_own_is_trusted_when_that_is_given() {
    let Some(aws) = Aws::with_queue() else { return };
    fill(&aws, 2);
    let (config, authority) = certificates();
    let mut server = Server::closed(Rules::default(), Some(config));
    server.listen();
    let mut child = pull(&aws, &server, &[]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("invalid peer certificate")), "it does not trust the server");
    terminate(&child);
    assert!(child.wait().unwrap().success(), "SIGTERM is no failure");
    assert_eq!(server.state().checks, 0);

    fs::write(aws.path("authority.pem"), authority).unwrap();
    succeed(&mut pull(&aws, &server, &["--elasticsearch-ca-file", "authority.pem", "--elasticsearch-gzip"]));
    assert_all(&server.found(), 0..2, RECORDS);
    assert!(server.state().requests.iter().all(|(bytes, is_gzip)| *is_gzip && *bytes < 400_000));
    assert_acknowledged(&aws);
}

#[test]
fn a_data_stream_is_where_the_schema_elastic_goes_by_itself() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("a.log", text(0, 5).as_bytes());
    aws.put("no-time.log", b"interface-id srcaddr dstaddr bytes\neni-1 10.0.0.1 10.0.0.2 5\n");
    let server = Server::start(Rules::default());
    let output = succeed(&mut pull(&aws, &server, &["--schema", "elastic"]));
    let state = server.state();
    assert!(state.documents.keys().all(|(index, _)| index == "logs-aws.vpcflow-default"));
    assert_eq!(state.documents.len(), 5);
    let told = stderr(&output);
    assert!(told.contains("rejected: logs-aws.vpcflow-default: document_parsing_exception: "), "{told}");
    drop(state);
    aws.put("a.log", text(0, 5).as_bytes());
    succeed(&mut pull(&aws, &server, &["--schema", "snare"]));
    let state = server.state();
    let ids = |wanted: &str| state.documents.keys().filter(|(index, _)| index == wanted).count();
    assert_eq!((ids("vpcflow-snare"), state.documents.len()), (5, 10));
}
