//! Options of the sink for Elasticsearch and OpenSearch. Secrets come from files or the environment, never
//! from an option, and are shown nowhere.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use hyper::Uri;
use hyper::header::HeaderValue;

use super::Environment;
use super::output::DESTINATION;
use crate::cli::index_template::default_index;
use crate::engine::Session;
use crate::sink::elasticsearch::{Client, ClientSettings, ElasticsearchSink};

const API_KEY: &str = "ELASTICSEARCH_API_KEY";
const PASSWORD: &str = "ELASTICSEARCH_PASSWORD";

/// Where and how to index.
#[derive(Args)]
pub(super) struct ElasticsearchOptions {
    /// Index the events in Elasticsearch or OpenSearch, which gives them ids, as --event-id does
    #[arg(long, value_name = "URL", group = DESTINATION, value_parser = NonEmptyStringValueParser::new())]
    elasticsearch_url: Option<String>,

    /// Data stream or index that takes them [default: logs-aws.vpcflow-default for the schema elastic, else
    /// vpcflow- and the schema]
    #[arg(long, value_name = "NAME", requires = "elasticsearch_url", value_parser = index_name)]
    elasticsearch_target: Option<String>,

    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", requires = "elasticsearch_url")]
    elasticsearch_ca_file: Option<PathBuf>,

    /// Sign in as this user, with a password from the file or from ELASTICSEARCH_PASSWORD
    #[arg(long, value_name = "NAME", requires = "elasticsearch_url", value_parser = NonEmptyStringValueParser::new())]
    elasticsearch_user: Option<String>,

    /// The password is in this file
    #[arg(long, value_name = "FILE", requires = "elasticsearch_user")]
    elasticsearch_password_file: Option<PathBuf>,

    /// Sign in with the encoded API key in this file [default: ELASTICSEARCH_API_KEY, if there is one]
    #[arg(long, value_name = "FILE", requires = "elasticsearch_url", conflicts_with = "elasticsearch_user")]
    elasticsearch_api_key_file: Option<PathBuf>,

    /// Size of a request; what the server finds too large is sent in smaller ones
    #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    elasticsearch_batch_mib: u16,

    /// Requests that are made at the same time; memory holds as many batches and one more
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    elasticsearch_requests: u16,

    /// Time for one request, after which it is made again; Elasticsearch itself waits a minute for its shards
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=86400))]
    elasticsearch_timeout_secs: u32,

    /// Compress requests
    #[arg(long, requires = "elasticsearch_url")]
    elasticsearch_gzip: bool,
}

impl ElasticsearchOptions {
    /// Whether events must have ids.
    pub(super) fn is_wanted(&self) -> bool {
        self.elasticsearch_url.is_some()
    }

    /// The sink, if it is wanted. `session` and `schema` tell what the events are.
    pub(super) fn open(
        &self,
        environment: &Environment,
        session: &Session,
        schema: Option<&str>,
    ) -> anyhow::Result<Option<ElasticsearchSink>> {
        let Some(url) = &self.elasticsearch_url else { return Ok(None) };
        let target = match &self.elasticsearch_target {
            Some(target) => target.clone(),
            None => default_index(&session.describe()?, schema)?,
        };
        let settings = ClientSettings {
            url: server(url)?,
            target,
            authorization: self.authorization()?,
            batch_bytes: usize::from(self.elasticsearch_batch_mib) << 20,
            gzip: self.elasticsearch_gzip,
            timeout: Duration::from_secs(self.elasticsearch_timeout_secs.into()),
        };
        let Environment { metrics, stop, abort, .. } = environment.clone();
        let ca_file = self.elasticsearch_ca_file.as_deref();
        let client = Client::open(settings, ca_file, metrics.elasticsearch.clone(), (stop, abort))?;
        Ok(Some(ElasticsearchSink::open(client, self.elasticsearch_requests.into())))
    }

    fn authorization(&self) -> anyhow::Result<Option<HeaderValue>> {
        let text = match (&self.elasticsearch_user, &self.elasticsearch_api_key_file) {
            (Some(user), _) => {
                let password = match &self.elasticsearch_password_file {
                    Some(path) => Some(secret(path)?),
                    None => variable(PASSWORD),
                };
                let wanted = || format!("--elasticsearch-user needs --elasticsearch-password-file or {PASSWORD}");
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.with_context(wanted)?)))
            }
            (None, Some(path)) => format!("ApiKey {}", secret(path)?),
            (None, None) => match variable(API_KEY) {
                Some(key) => format!("ApiKey {key}"),
                None => return Ok(None),
            },
        };
        // The error would not show it; a message of our own does not either.
        let mut value = HeaderValue::from_str(&text).ok().context("the API key is not one line of ASCII letters")?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn secret(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    match text.trim() {
        "" => bail!("{} is empty", path.display()),
        text => Ok(text.to_owned()),
    }
}

/// Checked here rather than by clap, which would show what is wrong, password and all.
fn server(url: &str) -> anyhow::Result<Uri> {
    let wanted = "--elasticsearch-url: wanted http://HOST:PORT or https://HOST:PORT, also with a path";
    let Ok(uri) = url.parse::<Uri>() else { bail!(wanted) };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        bail!("--elasticsearch-url must hold no password; --elasticsearch-user and a file do");
    }
    if authority.is_empty() || !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
        bail!(wanted);
    }
    Ok(uri)
}

/// As both accept it:
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/indices-create-index.html#indices-create-api-path-params>.
fn index_name(text: &str) -> Result<String, String> {
    let is_allowed = |letter: char| {
        !letter.is_uppercase()
            && !letter.is_whitespace()
            && !letter.is_control()
            && letter.is_ascii()
            && !r#"\/*?"<>|,#:%"#.contains(letter)
    };
    match text {
        "" | "." | ".." => Err("wanted a name".into()),
        _ if text.starts_with(['-', '_', '+']) => Err("a name begins with a letter or digit".into()),
        _ if !text.chars().all(is_allowed) => Err("wanted lower case letters, digits, `-`, `_` and `.`".into()),
        _ => Ok(text.into()),
    }
}
