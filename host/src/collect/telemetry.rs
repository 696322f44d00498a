//! What is told while the process runs: logs to standard error, metrics and health over HTTP.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::engine::Counts;
use crate::http::{self, listen_address};
use crate::output::Watcher;
use crate::reject::{Refusal, Reject};
use crate::sink::visible;

/// What is told, and how.
#[derive(Args)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct Telemetry {
    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// Least severity that is logged: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::INFO)]
    log_level: LevelFilter,

    /// Serve /metrics (Prometheus), /healthz and /readyz here; a port alone listens on loopback
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listen_address)]
    metrics_listen: Option<SocketAddr>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Telemetry {
    /// Starts logging. `write` takes each line.
    pub(crate) fn start_logging<W: io::Write + 'static>(&self, writer: impl Fn() -> W + Send + Sync + 'static) {
        // The SDK's own lines may hold more of a request than belongs into a log.
        let filter = Targets::new().with_target("vpcflow", self.log_level).with_default(LevelFilter::OFF);
        let layer = tracing_subscriber::fmt::layer().with_writer(writer);
        let registry = tracing_subscriber::registry().with(filter);
        // A second call in one process changes nothing.
        let _ = match self.log_format {
            LogFormat::Text => registry.with(layer.with_ansi(false)).try_init(),
            LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        };
    }

    /// Serves metrics from now on, where that was asked for.
    pub(crate) async fn serve(&self, metrics: Arc<Metrics>) -> anyhow::Result<()> {
        let Some(address) = self.metrics_listen else { return Ok(()) };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("--metrics-listen {address}: cannot listen there"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving metrics");
        tokio::spawn(http::serve(listener, move |request| metrics.answer(request)));
        Ok(())
    }
}

type Labels = [(&'static str, String); 1];

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    /// By what became of them: `acknowledged`, `returned`, `failed`.
    pub(crate) messages: Family<Labels, Counter>,
    /// By what became of them: `read`, `skipped`, `failed`.
    pub(crate) objects: Family<Labels, Counter>,
    pub(crate) read_bytes: Counter,
    lines: Counter,
    events: Counter,
    skips: Counter,
    rejects: Family<Labels, Counter>,
    /// From the moment that a notification was sent to the moment that its events were safe.
    pub(crate) lag_seconds: Histogram,
    pub(crate) in_flight: Gauge,
    #[cfg(feature = "kafka")]
    pub(crate) records_behind: Gauge,
    pub(crate) retries: Counter,
    pub(crate) visibility_extensions: Counter,
    pub(crate) transform_seconds: Counter<f64, AtomicU64>,
    #[cfg(feature = "elasticsearch")]
    pub(crate) elasticsearch: crate::sink::elasticsearch::Counters,
    /// Whether the source has answered and goes on doing so.
    pub(crate) is_ready: AtomicBool,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("vpcflow"),
            messages: Family::default(),
            objects: Family::default(),
            read_bytes: Counter::default(),
            lines: Counter::default(),
            events: Counter::default(),
            skips: Counter::default(),
            rejects: Family::default(),
            lag_seconds: Histogram::new(exponential_buckets(0.25, 2.0, 16)),
            in_flight: Gauge::default(),
            #[cfg(feature = "kafka")]
            records_behind: Gauge::default(),
            retries: Counter::default(),
            visibility_extensions: Counter::default(),
            transform_seconds: Counter::default(),
            #[cfg(feature = "elasticsearch")]
            elasticsearch: Default::default(),
            is_ready: AtomicBool::new(false),
        };
        let registry = &mut metrics.registry;
        registry.register("messages", "Messages by outcome", metrics.messages.clone());
        registry.register("objects", "Objects by outcome", metrics.objects.clone());
        let bytes = metrics.read_bytes.clone();
        registry.register_with_unit("read", "Bytes of objects, as they are stored", Unit::Bytes, bytes);
        registry.register("lines", "Lines of objects", metrics.lines.clone());
        registry.register("events", "Events written", metrics.events.clone());
        registry.register("skips", "Headers, blank lines, control messages", metrics.skips.clone());
        registry.register("rejects", "Rejected records by reason", metrics.rejects.clone());
        let lag = metrics.lag_seconds.clone();
        registry.register_with_unit("lag", "From notification to flushed events", Unit::Seconds, lag);
        registry.register("in_flight", "Messages received and not settled", metrics.in_flight.clone());
        #[cfg(feature = "kafka")]
        registry.register("records_behind", "Records of our partitions yet to be read", metrics.records_behind.clone());
        registry.register("retries", "Requests for objects that were sent again", metrics.retries.clone());
        let extensions = metrics.visibility_extensions.clone();
        registry.register("visibility_extensions", "Messages kept invisible for longer", extensions);
        let seconds = metrics.transform_seconds.clone();
        registry.register_with_unit("transform", "Time in the module, over all threads", Unit::Seconds, seconds);
        #[cfg(feature = "elasticsearch")]
        metrics.elasticsearch.register(registry);
        metrics
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (status, text) = match request.uri().path() {
            "/metrics" => {
                let mut text = String::new();
                match encode(&mut text, &self.registry) {
                    Ok(()) => (StatusCode::OK, text),
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                }
            }
            "/healthz" => (StatusCode::OK, "ok\n".into()),
            "/readyz" if self.is_ready.load(Ordering::Relaxed) => (StatusCode::OK, "ready\n".into()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
            _ => (StatusCode::NOT_FOUND, "there is /metrics, /healthz and /readyz\n".into()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        // <https://prometheus.io/docs/specs/om/open_metrics_spec/#overall-structure>
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }
}

/// Counts for the metrics, and logs some of what goes nowhere else.
pub(crate) struct Recorder {
    metrics: Arc<Metrics>,
    /// When rejects began to be logged, and how many have come since.
    logged: LogLimit,
}

/// So many lines of a kind are logged at the most, in the time that follows.
const LOGGED_LINES: u64 = 10;
const LOGGED_PERIOD: Duration = Duration::from_secs(60);

/// Keeps what comes again and again from filling the log.
pub(crate) struct LogLimit {
    since: Instant,
    count: u64,
}

impl LogLimit {
    pub(crate) fn new() -> LogLimit {
        LogLimit { since: Instant::now(), count: 0 }
    }

    /// Logs `line`; in the place of the first one that is too many, `rest`.
    pub(crate) fn log(&mut self, line: impl FnOnce(), rest: impl FnOnce()) {
        if self.since.elapsed() >= LOGGED_PERIOD {
            *self = LogLimit::new();
        }
        self.count += 1;
        if self.count <= LOGGED_LINES {
            line();
        } else if self.count == LOGGED_LINES + 1 {
            rest();
        }
    }
}

impl Recorder {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Recorder {
        Recorder { metrics, logged: LogLimit::new() }
    }
}

impl Watcher for Recorder {
    fn batch(&mut self, counts: &Counts) {
        self.metrics.lines.inc_by(counts.lines);
        self.metrics.events.inc_by(counts.events);
        self.metrics.skips.inc_by(counts.skips);
    }

    fn reject(&mut self, reject: &Reject<'_>, is_kept: bool) {
        self.rejected(reject.fault.reason, reject, is_kept);
    }

    fn refused(&mut self, refusal: &Refusal, is_kept: bool) {
        self.rejected(refusal.reason, refusal, is_kept);
    }

    fn source_failed(&mut self, source: &str, error: &io::Error) {
        tracing::error!(source, %error, "not read to its end");
    }
}

impl Recorder {
    fn rejected(&mut self, reason: &str, what: &impl Display, is_kept: bool) {
        self.metrics.rejects.get_or_create(&[("reason", reason.into())]).inc();
        if is_kept {
            return;
        }
        self.logged.log(
            || tracing::warn!("rejected: {}", visible(&what.to_string())),
            || tracing::warn!("more rejects are not logged for now; --rejects FILE keeps all"),
        );
    }
}
