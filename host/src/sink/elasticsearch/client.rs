//! Requests to Elasticsearch, made again until they are answered for good.

use std::io;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::Counters;
use super::answer::{self, Verdict};
use super::batch::Batch;
use crate::collect::{backoff, chain};
use crate::reject::Refusal;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Before the second attempt, and the most before any other.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Of what a server asks for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// A proxy may break off what it finds too large, without a word. What breaks off so often is halved, but no further
/// than to what every proxy takes.
const BREAKS: u32 = 3;
const ALWAYS_TAKEN_BYTES: usize = 256 << 10;
/// Between two log lines about the same trouble.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(30);
/// More than the errors of all documents of a batch take.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Without what nobody reads. Every document has a status, so that none is left out, and each keeps its place.
const FILTER: &str = "filter_path=items.*.status,items.*.error,items.*.failure_store";

/// Where batches go, and how.
pub(crate) struct ClientSettings {
    /// Of the server, without a secret.
    pub(crate) url: Uri,
    /// The data stream or index.
    pub(crate) target: String,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) batch_bytes: usize,
    pub(crate) gzip: bool,
    /// For one request.
    pub(crate) timeout: Duration,
}

/// Sends batches.
pub(crate) struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: ClientSettings,
    counters: Counters,
    /// Smaller than configured where the server takes less.
    batch_bytes: AtomicUsize,
    /// When trouble was logged last, while it lasts.
    complained: Mutex<Option<Instant>>,
    stop: CancellationToken,
    abort: CancellationToken,
}

/// What came of a request.
enum Answer {
    /// It was taken.
    Taken(Bytes),
    TooLarge,
    /// To be made again, not before this time.
    Later(String, Option<Duration>),
    /// There was none.
    None(NoAnswer),
}

struct NoAnswer {
    why: String,
    /// The request was on its way.
    has_begun: bool,
}

impl Client {
    /// `ca_file` holds the certificates to trust instead of the system's.
    pub(crate) fn open(
        settings: ClientSettings,
        ca_file: Option<&Path>,
        counters: Counters,
        (stop, abort): (CancellationToken, CancellationToken),
    ) -> anyhow::Result<Client> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match ca_file {
            Some(path) => builder.with_tls_config(trusting(path)?),
            None if settings.url.scheme_str() == Some("https") => builder
                .with_provider_and_native_roots(default_provider())
                .context("the system's certificates cannot be read; --elasticsearch-ca-file takes others")?,
            None => builder.with_tls_config(trusting_only(RootCertStore::empty())?),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        let batch_bytes = AtomicUsize::new(settings.batch_bytes);
        Ok(Client { http, settings, counters, batch_bytes, complained: Mutex::default(), stop, abort })
    }

    /// The size of a batch.
    pub(super) fn batch_bytes(&self) -> usize {
        self.batch_bytes.load(Ordering::Relaxed)
    }

    /// Waits until the server answers, or the process is told to end. An error means that it does not
    /// take the credentials.
    pub(super) async fn wait_for_server(&self) -> io::Result<()> {
        let mut attempts = 0;
        loop {
            let request = self.request(Method::HEAD, "", Bytes::new())?;
            let outcome = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                outcome = self.attempt(request) => outcome,
            };
            let (why, retry_after) = match outcome {
                Ok((StatusCode::UNAUTHORIZED, ..)) => return Err(self.stopped("it does not take the credentials")),
                Ok((status, headers, _)) if is_for_now(status) => (status.to_string(), retry_after(&headers)),
                // Also 403: who may only write need not be allowed more than that.
                Ok(_) => break,
                Err(NoAnswer { why, .. }) => (why, None),
            };
            attempts += 1;
            self.complain(&why);
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause(attempts, retry_after)) => {}
            }
        }
        self.recovered();
        Ok(())
    }

    /// Sends a batch until each of its documents is there or refused. An error means that none can be sent any more.
    pub(super) async fn deliver(&self, batch: Batch) -> io::Result<Vec<Refusal>> {
        let mut refused = Vec::new();
        // The next one last.
        let mut batches = vec![batch];
        let mut attempts = 0;
        while let Some(batch) = batches.pop() {
            let Some(answer) = self.send(&batch).await? else {
                match batch.halves() {
                    Ok((first, second)) => batches.extend([second, first]),
                    Err(batch) => self.refuse(&batch, 0, "the request is too large (413)".into(), &mut refused),
                }
                continue;
            };
            let again = self.settle(&batch, &answer, &mut refused)?;
            if again.is_empty() {
                self.recovered();
                attempts = 0;
                continue;
            }
            // What goes on, goes on soon.
            attempts = if again.len() < batch.len() { 1 } else { attempts + 1 };
            batches.push(batch.only(&again));
            // While it waits, only what is left of it is held.
            drop(batch);
            self.rest(attempts, None).await?;
        }
        Ok(refused)
    }

    /// Counts what became of each document; gives those that are to be sent again.
    fn settle(&self, batch: &Batch, answer: &[u8], refused: &mut Vec<Refusal>) -> io::Result<Vec<usize>> {
        let verdicts = answer::verdicts(answer, batch.len());
        let verdicts = verdicts.map_err(|error| self.stopped(&format!("the answer is none of `_bulk`: {error}")))?;
        let (mut created, mut present, mut again, mut why_again) = (0, 0, Vec::new(), None);
        for (index, verdict) in verdicts.into_iter().enumerate() {
            match verdict {
                Verdict::Created => created += 1,
                Verdict::Present => present += 1,
                Verdict::Refused(why) => self.refuse(batch, index, why, refused),
                Verdict::Again(why) => {
                    again.push(index);
                    why_again.get_or_insert(why);
                }
                Verdict::Stop(why) => return Err(self.stopped(&why)),
            }
        }
        self.counters.documents("created", created);
        self.counters.documents("present", present);
        self.counters.documents("sent-again", again.len());
        if let Some(why) = why_again {
            self.complain(&why);
        }
        Ok(again)
    }

    fn refuse(&self, batch: &Batch, index: usize, found: String, refused: &mut Vec<Refusal>) {
        self.counters.documents("refused", 1);
        let (destination, event) = (self.settings.target.clone(), batch.event(index).into_owned());
        refused.push(Refusal { destination, reason: Refusal::REASON, found, event });
    }

    /// Sends a batch until it is answered; `None` if the server takes less at once.
    async fn send(&self, batch: &Batch) -> io::Result<Option<Bytes>> {
        let body = if self.settings.gzip { compress(batch.bytes())? } else { batch.bytes().clone() };
        let path = format!("/{}/_bulk?{FILTER}", self.settings.target);
        let (mut attempts, mut breaks) = (0, 0);
        loop {
            let request = self.request(Method::POST, &path, body.clone())?;
            self.counters.sent_bytes.inc_by(body.len() as u64);
            let outcome = tokio::select! {
                biased;
                () = self.abort.cancelled() => return Err(ending()),
                outcome = self.attempt(request) => outcome,
            };
            match self.judge(outcome)? {
                Answer::Taken(answer) => return Ok(Some(answer)),
                Answer::TooLarge => {
                    // The batches that follow are made smaller at once.
                    if batch.len() > 1 {
                        let bytes = batch.bytes().len() / 2;
                        if self.batch_bytes.fetch_min(bytes, Ordering::Relaxed) > bytes {
                            tracing::warn!(bytes, "Elasticsearch takes no requests of this size; smaller ones follow");
                        }
                    }
                    return Ok(None);
                }
                Answer::Later(why, retry_after) => {
                    (attempts, breaks) = (attempts + 1, 0);
                    self.complain(&why);
                    self.rest(attempts, retry_after).await?;
                }
                Answer::None(NoAnswer { why, has_begun }) => {
                    (attempts, breaks) = (attempts + 1, if has_begun { breaks + 1 } else { 0 });
                    self.complain(&why);
                    if breaks >= BREAKS && batch.len() > 1 && body.len() > ALWAYS_TAKEN_BYTES {
                        return Ok(None);
                    }
                    self.rest(attempts, None).await?;
                }
            }
        }
    }

    fn judge(&self, outcome: Result<(StatusCode, HeaderMap, Bytes), NoAnswer>) -> io::Result<Answer> {
        let (name, answer) = match outcome {
            Err(error) => ("failed", Ok(Answer::None(error))),
            Ok((StatusCode::OK, _, body)) => ("answered", Ok(Answer::Taken(body))),
            Ok((StatusCode::PAYLOAD_TOO_LARGE, ..)) => ("too-large", Ok(Answer::TooLarge)),
            Ok((status, headers, body)) => {
                let why = format!("{status}: {}", answer::failure(&body));
                match is_for_now(status) {
                    true => ("busy", Ok(Answer::Later(why, retry_after(&headers)))),
                    false => ("failed", Err(self.stopped(&why))),
                }
            }
        };
        self.counters.request(name);
        answer
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> io::Result<Request<Full<Bytes>>> {
        let base = self.settings.url.to_string();
        let has_body = !body.is_empty();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", base.trim_end_matches('/')))
            .body(Full::new(body));
        if let Ok(request) = &mut request {
            let headers = request.headers_mut();
            headers.extend(self.settings.authorization.clone().map(|value| (AUTHORIZATION, value)));
            if has_body {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
            }
            if has_body && self.settings.gzip {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        request.map_err(io::Error::other)
    }

    /// Makes a request once.
    async fn attempt(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap, Bytes), NoAnswer> {
        let begun = |why| NoAnswer { why, has_begun: true };
        let exchange = async {
            let response = self.http.request(request).await;
            let response = response.map_err(|error| NoAnswer { why: chain(&error), has_begun: !error.is_connect() })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            Ok((head.status, head.headers, body.map_err(|error| begun(chain(&*error)))?.to_bytes()))
        };
        let timeout = self.settings.timeout;
        let outcome = tokio::time::timeout(timeout, exchange).await;
        outcome.unwrap_or_else(|_| Err(begun(format!("no answer within {} seconds", timeout.as_secs()))))
    }

    async fn rest(&self, attempts: u32, retry_after: Option<Duration>) -> io::Result<()> {
        tokio::select! {
            () = self.abort.cancelled() => Err(ending()),
            () = tokio::time::sleep(pause(attempts, retry_after)) => Ok(()),
        }
    }

    /// Logs what holds documents up, now and then.
    fn complain(&self, why: &str) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= COMPLAINT_PERIOD) {
            *complained = Some(Instant::now());
            tracing::warn!(%why, "Elasticsearch does not take everything for now; the rest is sent again until it does");
        }
    }

    /// Logs that it is over, if it was logged.
    fn recovered(&self) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        // What comes and goes within a moment is no news.
        if complained.take_if(|at| at.elapsed() >= COMPLAINT_PERIOD).is_some() {
            tracing::info!("Elasticsearch takes everything again");
        }
    }

    fn stopped(&self, why: &str) -> io::Error {
        let ClientSettings { url, target, .. } = &self.settings;
        io::Error::other(format!("Elasticsearch at {url}, {target}: {why}"))
    }
}

fn ending() -> io::Error {
    io::Error::other("the process is ending, and Elasticsearch had not yet taken everything")
}

fn is_for_now(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// What the server asks for, in seconds; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

fn pause(attempts: u32, retry_after: Option<Duration>) -> Duration {
    backoff(attempts, FIRST_PAUSE, LONGEST_PAUSE).max(retry_after.unwrap_or_default())
}

fn compress(bytes: &[u8]) -> io::Result<Bytes> {
    // A worker of the runtime may take its time for it, while others do what it would do.
    tokio::task::block_in_place(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes)?;
        Ok(encoder.finish()?.into())
    })
}

fn trusting(ca_file: &Path) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let name = ca_file.display();
    let certificates = CertificateDer::pem_file_iter(ca_file).with_context(|| format!("{name} cannot be read"))?;
    for certificate in certificates {
        roots.add(certificate.with_context(|| format!("{name} is no PEM file"))?).with_context(|| name.to_string())?;
    }
    if roots.is_empty() {
        bail!("{name} holds no certificate in PEM");
    }
    trusting_only(roots)
}

fn trusting_only(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let builder =
        ClientConfig::builder_with_provider(default_provider().into()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
