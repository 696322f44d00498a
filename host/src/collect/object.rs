//! Objects of S3 as streams of bytes. A stream that breaks off is taken up again where it broke.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::telemetry::Metrics;
use super::{Content, Failure, Stream, backoff, chain, describe};
use crate::sink::visible;

/// Attempts at an object without a byte of progress, before it is left for later: some three minutes.
const MAX_ATTEMPTS: u32 = 12;

/// An object of S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    /// Where the bucket is, if that is known.
    pub(crate) region: Option<String>,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Opens objects.
pub(crate) struct Store {
    pub(crate) client: Client,
    pub(crate) runtime: Handle,
    pub(crate) metrics: Arc<Metrics>,
    /// Ends readings at once.
    pub(crate) abort: CancellationToken,
}

impl Store {
    /// Signs in to S3.
    pub(crate) fn open(config: &SdkConfig, metrics: Arc<Metrics>, abort: CancellationToken) -> Store {
        // Test servers, and S3 behind an endpoint of one's own, have no name for each bucket.
        let has_own_endpoint = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(has_own_endpoint);
        Store { client: Client::from_conf(builder.build()), runtime: Handle::current(), metrics, abort }
    }

    /// The lines of `object`, which is read when these are.
    pub(crate) fn stream(self: &Arc<Store>, object: &Object) -> Stream {
        Stream { origin: object.to_string(), content: Content::Reader(Box::new(self.read(object))) }
    }

    /// A reader of `object`, which sends its first request when it is first read.
    fn read(self: &Arc<Store>, object: &Object) -> ObjectReader {
        ObjectReader {
            store: self.clone(),
            object: object.clone(),
            position: 0,
            length: None,
            etag: None,
            body: None,
            chunk: Bytes::new(),
        }
    }
}

/// Reads one object, in as many requests as it takes.
struct ObjectReader {
    store: Arc<Store>,
    object: Object,
    position: u64,
    length: Option<u64>,
    /// What has been read so far is of this, so the rest must be.
    etag: Option<String>,
    body: Option<ByteStream>,
    /// What has come of the body and has not been read.
    chunk: Bytes,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let store = self.store.clone();
            let next = async {
                tokio::select! {
                    () = store.abort.cancelled() => Err(Failure::Stopped),
                    outcome = self.next_chunk() => outcome,
                }
            };
            store.runtime.block_on(next).map_err(io::Error::other)?;
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// What an attempt ended with.
enum Stumble {
    /// Another one may go better.
    Again(String),
    Failed(Failure),
}

impl ObjectReader {
    /// Waits for more; leaves the chunk empty at the end.
    async fn next_chunk(&mut self) -> Result<(), Failure> {
        let mut attempts = 0;
        loop {
            let error = match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(Stumble::Failed(failure)) => return Err(failure),
                Err(Stumble::Again(error)) => error,
            };
            attempts += 1;
            if attempts == MAX_ATTEMPTS {
                return Err(Failure::ForNow(error));
            }
            let delay = backoff(attempts, Duration::from_millis(500), Duration::from_secs(30));
            self.store.metrics.retries.inc();
            let object = visible(&self.object.to_string());
            tracing::info!(object, position = self.position, attempts, error, "reading again");
            self.body = None;
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&mut self) -> Result<(), Stumble> {
        while self.chunk.is_empty() {
            if self.length == Some(self.position) {
                // The end of the body is where the SDK compares the checksum.
                let end = match self.body.take() {
                    Some(mut body) => body.try_next().await,
                    None => Ok(None),
                };
                return end.map(drop).map_err(|error| Stumble::Failed(Failure::ForNow(chain(&error))));
            }
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let body = self.open().await?;
                    self.body.insert(body)
                }
            };
            match body.try_next().await {
                Ok(Some(chunk)) => {
                    self.position += chunk.len() as u64;
                    self.store.metrics.read_bytes.inc_by(chunk.len() as u64);
                    self.chunk = chunk;
                }
                Ok(None) if self.length == Some(self.position) => {}
                Ok(None) => return Err(Stumble::Again(format!("the object ended after byte {}", self.position))),
                Err(error) => return Err(Stumble::Again(chain(&error))),
            }
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<ByteStream, Stumble> {
        let Object { bucket, key, version, region } = &self.object;
        let range = format!("bytes={}-", self.position);
        let request = self.store.client.get_object().bucket(bucket).key(key).set_version_id(version.clone());
        let request = match self.position {
            0 => request,
            _ => request.range(&range).set_if_match(self.etag.clone()),
        };
        // Tries are counted here, over requests and what comes of them.
        let config = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        let config = match region {
            Some(region) => config.region(Region::new(region.clone())),
            None => config,
        };
        let GetObjectOutput { body, content_length, content_range, e_tag, .. } =
            request.customize().config_override(config).send().await.map_err(|error| classify(&error))?;
        let begins = range.replace('=', " ");
        if self.position > 0 && !content_range.is_some_and(|range| range.starts_with(&begins)) {
            let error = format!("S3 gives another part of the object than {begins}");
            return Err(Stumble::Failed(Failure::ForNow(error)));
        }
        let length = content_length.and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| Stumble::Again("S3 tells no length of the object".into()))?;
        self.length = Some(self.position + length);
        self.etag = e_tag;
        Ok(body)
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
fn classify(error: &SdkError<GetObjectError>) -> Stumble {
    /// With a status that would be for good, and yet passing.
    const PASSING: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestTimeTooSkewed", "TokenRefreshRequired"];
    let is_passing = |code| [PASSING, THROTTLING_ERRORS, TRANSIENT_ERRORS].iter().any(|codes| codes.contains(&code));
    let text = describe("S3", error);
    if error.code().is_some_and(is_passing) {
        return Stumble::Again(text);
    }
    match error.raw_response().map(|response| response.status().as_u16()) {
        // Overwritten while it was read: what has been read is of another object than the rest.
        Some(412) => Stumble::Failed(Failure::ForNow(text)),
        // Elsewhere for the moment, too slow, too often.
        Some(307 | 408 | 429) => Stumble::Again(text),
        Some(300..=499) => Stumble::Failed(Failure::ForGood(text)),
        // An object that no request can be made for, such as one without a key.
        None if matches!(error, SdkError::ConstructionFailure(_)) => Stumble::Failed(Failure::ForGood(text)),
        _ => Stumble::Again(text),
    }
}
