//! What source and output have in common: settings of librdkafka, and its log lines.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, bail};
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext};
use tracing::level_filters::LevelFilter;

use crate::collect::telemetry::LogLimit;
use crate::pump::lock;
use crate::sink::visible;

/// A setting of librdkafka's and its value.
/// <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>
pub(crate) type Property = (&'static str, &'static str);

/// What the guarantees rest upon, or has an option, on either side.
const OWN: [&str; 3] = ["bootstrap.servers", "metadata.broker.list", "test.mock.num.brokers"];

/// The configuration of a client: `defaults`, over which the lines of `file` win, except for the names in `own`
/// and the brokers, which it may not hold.
pub(crate) fn configuration(
    brokers: &str,
    defaults: &[Property],
    file: Option<&Path>,
    own: &[&str],
) -> anyhow::Result<ClientConfig> {
    let mut config = ClientConfig::new();
    // More is not even handed over.
    let is_debug = LevelFilter::current() >= LevelFilter::DEBUG;
    config.set_log_level(if is_debug { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    if let Some(path) = file {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        for (name, value) in properties(&text, own).with_context(|| path.display().to_string())? {
            config.set(name, value);
        }
    }
    config.set("bootstrap.servers", brokers);
    Ok(config)
}

/// A client of this configuration.
pub(crate) fn create<C, T>(config: &ClientConfig, context: C) -> anyhow::Result<T>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    config.create_with_context(context).map_err(|error| match error {
        // The whole of it quotes the value.
        KafkaError::ClientConfig(_, _, name, _) => anyhow::anyhow!("Kafka: {name} has a value that cannot be"),
        error => anyhow::anyhow!("Kafka: {error}"),
    })
}

/// The lines `name=value` of a file. Its values may be secrets, which no message quotes.
fn properties<'a>(text: &'a str, own: &[&str]) -> anyhow::Result<Vec<(&'a str, &'a str)>> {
    let mut properties = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { bail!("line {number}: wanted name=value") };
        let (name, value) = (name.trim(), value.trim());
        if OWN.contains(&name) || own.contains(&name) {
            bail!("line {number}: {name} is set by vpcflow, and not to be changed");
        }
        let checked = ClientConfig::new().set(name, value).create_native_config();
        if let Err(KafkaError::ClientConfig(_, text, ..)) = checked {
            let text = if value.is_empty() { text } else { text.replace(value, "…") };
            bail!("line {number}: {}: {}", visible(name), visible(&text));
        }
        properties.push((name, value));
    }
    Ok(properties)
}

/// Whether no other attempt would end otherwise: somebody must change something first.
pub(crate) fn is_for_good(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::*;
    matches!(
        code,
        Fatal
            | Authentication
            | SaslAuthenticationFailed
            | TopicAuthorizationFailed
            | GroupAuthorizationFailed
            | ClusterAuthorizationFailed
            | InconsistentGroupProtocol
            | FencedInstanceId
            | UnsupportedSASLMechanism
    )
}

/// Takes what librdkafka tells.
pub(crate) struct Log {
    /// While a broker is away, each attempt is told of.
    logged: Mutex<LogLimit>,
}

impl Log {
    pub(crate) fn new() -> Log {
        Log { logged: Mutex::new(LogLimit::new()) }
    }

    /// A line of librdkafka's own.
    pub(crate) fn line(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let text = visible(text);
        match level {
            RDKafkaLogLevel::Debug => tracing::debug!(facility, "{text}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::info!(facility, "{text}"),
            _ => self.warn(&text),
        }
    }

    /// What goes wrong and may go better.
    pub(crate) fn warn(&self, text: &str) {
        lock(&self.logged).log(
            || tracing::warn!("Kafka: {text}"),
            || tracing::warn!("Kafka: more such lines are not logged for now"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_properties_is_read_and_its_mistakes_are_placed_without_its_values() {
        let text = "# for the brokers\n\n sasl.username = a=b \nsasl.password=hunter2\n";
        assert_eq!(properties(text, &[]).unwrap(), [("sasl.username", "a=b"), ("sasl.password", "hunter2")]);
        let mistakes = [
            ("\nhunter2", "line 2: wanted name=value"),
            ("sasl.pasword=hunter2", "line 1: sasl.pasword: No such configuration property: \"sasl.pasword\""),
            ("bootstrap.servers=a", "line 1: bootstrap.servers is set by vpcflow, and not to be changed"),
            ("acks=0", "line 1: acks is set by vpcflow, and not to be changed"),
            (
                "security.protocol=hunter2",
                "line 1: security.protocol: Invalid value \"…\" for configuration property \"security.protocol\"",
            ),
        ];
        for (text, expected) in mistakes {
            assert_eq!(properties(text, &["acks"]).unwrap_err().to_string(), expected);
        }
    }
}
