//! Who the process is towards AWS. Secrets come from where the SDK looks for them, never from an
//! option, and are shown nowhere.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::Args;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the first byte of an answer; longer than a request for messages waits.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How to sign in. Without these options: environment variables, the shared configuration's
/// default profile, a web identity, the container's or the instance's role.
#[derive(Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct SignIn {
    /// Region of the source [default: as the SDK finds it, or as the queue's URL or the stream's ARN says]
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,

    /// Profile of the shared AWS configuration
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Use this endpoint for every service, such as a test server
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Assume this role
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,

    /// External id that the role's trust policy asks for
    #[arg(long, value_name = "ID", requires = "role_arn", conflicts_with = "web_identity_token_file")]
    external_id: Option<String>,

    /// Name of the role's session, as CloudTrail shows it
    #[arg(long, value_name = "NAME", default_value = "vpcflow")]
    role_session_name: String,

    /// Assume the role with the OIDC token in this file, which is read again when the session ends
    #[arg(long, value_name = "FILE", requires = "role_arn")]
    web_identity_token_file: Option<PathBuf>,
}

impl SignIn {
    /// What the clients of all services are made from. `region` is taken where none is configured.
    pub(crate) async fn config(&self, region: Option<&str>) -> anyhow::Result<SdkConfig> {
        let mut loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client()).timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build(),
            );
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut config = loader.load().await;
        if config.region().is_none() {
            let Some(region) = region else { bail!("no region is known: use --region, or set AWS_REGION") };
            config = config.into_builder().region(Region::new(region.to_owned())).build();
        }
        let Some(role_arn) = &self.role_arn else { return Ok(config) };
        let credentials = match &self.web_identity_token_file {
            Some(token_file) => SharedCredentialsProvider::new(WebIdentity {
                client: aws_sdk_sts::Client::new(&config),
                role_arn: role_arn.clone(),
                session_name: self.role_session_name.clone(),
                token_file: token_file.clone(),
            }),
            None => {
                let mut role = AssumeRoleProvider::builder(role_arn).session_name(&self.role_session_name);
                if let Some(id) = &self.external_id {
                    role = role.external_id(id);
                }
                SharedCredentialsProvider::new(role.configure(&config).build().await)
            }
        };
        Ok(config.into_builder().credentials_provider(credentials).build())
    }
}

/// The region in `arn:aws:kinesis:eu-west-1:…`; none in what is no ARN.
#[cfg(any(feature = "cloudwatch", feature = "kinesis"))]
pub(crate) fn region_of_arn(name: &str) -> Option<&str> {
    name.strip_prefix("arn:")?.split(':').nth(2)
}

/// Reads a time of the command line, `2024-09-05` or `2024-09-05T16:20:00Z`.
pub(crate) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let time = || DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    date.or_else(|_| time()).map_err(|_| "wanted a date or a time as in 2024-09-05 or 2024-09-05T16:20:00Z".into())
}

/// The SDK's own client, but with ring for cryptography.
fn http_client() -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = aws_smithy_http_client::Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        builder.tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build()
    })
}

/// A role assumed with a token in a file. The SDK has such a provider, but that one knows no endpoint URL.
#[derive(Debug)]
struct WebIdentity {
    client: aws_sdk_sts::Client,
    role_arn: String,
    session_name: String,
    token_file: PathBuf,
}

impl ProvideCredentials for WebIdentity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

impl WebIdentity {
    async fn assume(&self) -> provider::Result {
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| {
            CredentialsError::provider_error(format!("{} cannot be read: {error}", self.token_file.display()))
        })?;
        let request = self.client.assume_role_with_web_identity();
        let request = request.role_arn(&self.role_arn).role_session_name(&self.session_name);
        let session = request.web_identity_token(token.trim()).send().await;
        let session = session.map_err(CredentialsError::provider_error)?;
        let keys = session.credentials.ok_or_else(|| CredentialsError::provider_error("STS gives no credentials"))?;
        let expiry = SystemTime::try_from(keys.expiration).map_err(CredentialsError::provider_error)?;
        let token = Some(keys.session_token);
        Ok(Credentials::new(keys.access_key_id, keys.secret_access_key, token, Some(expiry), "web identity"))
    }
}
