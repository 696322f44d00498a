//! Objects of S3 as streams of bytes. A stream that breaks off is taken up again where it broke.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::backoff;
use super::telemetry::Metrics;

/// Attempts at an object without a byte of progress, before it is left for later.
const MAX_ATTEMPTS: u32 = 5;

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

/// Why an object could not be read to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It is not there, not to be read, or not what it should be: another attempt would end the same.
    #[error("{0}")]
    ForGood(String),
    /// The network or the service failed.
    #[error("{0}")]
    ForNow(String),
    /// The process is to end.
    #[error("the process is ending")]
    Stopped,
}

impl From<io::Error> for Failure {
    /// What comes through a decoder is either a failure from here, or of the system's, or about the bytes.
    fn from(error: io::Error) -> Failure {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
            Some(failure) => failure.clone(),
            None if error.raw_os_error().is_some() => Failure::ForNow(error.to_string()),
            None => Failure::ForGood(error.to_string()),
        }
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
    /// A reader of `object`, which sends its first request when it is first read.
    pub(crate) fn read(self: &Arc<Store>, object: &Object) -> ObjectReader {
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
pub(crate) struct ObjectReader {
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

impl ObjectReader {
    /// Waits for more; leaves the chunk empty at the end.
    async fn next_chunk(&mut self) -> Result<(), Failure> {
        let mut attempts = 0;
        loop {
            match self.attempt().await {
                Err(Failure::ForNow(error)) if attempts + 1 < MAX_ATTEMPTS => {
                    attempts += 1;
                    let delay = backoff(attempts, Duration::from_millis(500), Duration::from_secs(30));
                    self.store.metrics.retries.inc();
                    tracing::info!(object = %self.object, position = self.position, attempts, error, "reading again");
                    self.body = None;
                    tokio::time::sleep(delay).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&mut self) -> Result<(), Failure> {
        if self.length == Some(self.position) {
            return Ok(());
        }
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.open().await?;
                if self.length == Some(self.position) {
                    return Ok(());
                }
                self.body.insert(body)
            }
        };
        match body.try_next().await {
            Ok(Some(chunk)) => {
                self.position += chunk.len() as u64;
                self.store.metrics.read_bytes.inc_by(chunk.len() as u64);
                self.chunk = chunk;
                Ok(())
            }
            Ok(None) => Err(Failure::ForNow(format!("the object ended after byte {}", self.position))),
            Err(error) => Err(Failure::ForNow(DisplayErrorContext(error).to_string())),
        }
    }

    async fn open(&mut self) -> Result<ByteStream, Failure> {
        let Object { bucket, key, version, region } = &self.object;
        let request = self.store.client.get_object().bucket(bucket).key(key).set_version_id(version.clone());
        let request = match self.position {
            0 => request,
            position => request.range(format!("bytes={position}-")).set_if_match(self.etag.clone()),
        };
        let config = aws_sdk_s3::config::Builder::new();
        let config = match region {
            Some(region) => config.region(Region::new(region.clone())),
            None => config,
        };
        let GetObjectOutput { body, content_length, e_tag, .. } =
            request.customize().config_override(config).send().await.map_err(classify)?;
        let length = content_length.and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| Failure::ForNow("S3 tells no length of the object".into()))?;
        self.length = Some(self.position + length);
        self.etag = e_tag;
        Ok(body)
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
fn classify(error: SdkError<GetObjectError>) -> Failure {
    /// With a status that would be for good, and yet passing.
    const PASSING: &[&str] = &[
        "ExpiredToken",
        "ExpiredTokenException",
        "PreconditionFailed",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "TokenRefreshRequired",
    ];
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().map(str::to_owned);
    let is_passing = code.as_deref().is_some_and(|code| PASSING.contains(&code));
    let text = match (&code, error.message()) {
        (Some(code), Some(message)) => format!("S3 answers {code}: {message}"),
        (Some(code), None) => format!("S3 answers {code}"),
        _ => DisplayErrorContext(&error).to_string(),
    };
    match status {
        // 408 and 429: too slow, too often. 412: overwritten while it was read.
        Some(300..=407 | 409..=411 | 413..=428 | 430..=499) if !is_passing => Failure::ForGood(text),
        _ => Failure::ForNow(text),
    }
}
