//! Event ids: the same record of the same object always has the same one.
//!
//! An id names the origin (as a digest), the position in it, and the content (as a hash), so that
//! two equal lines of an object differ, and so do two objects that had the same name one after the
//! other: `2d711642b726b044-1024-9f2c1e5a6b7d8c90`. A log event of CloudWatch Logs has an id of its own,
//! which stays when the event is delivered again in another payload; it is used with a digest of its
//! log stream in front: `5c1a2b3d4e5f6071-319531066069668633…`.

use std::fmt::Write;

use sha1::{Digest, Sha1};
use xxhash_rust::xxh64::xxh64;

use crate::envelope::LogEvent;

/// Makes ids for the records of one origin after the other.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// The last origin and the last log stream, and their digests.
    origin: (String, String),
    stream: (String, String),
    id: String,
}

impl Identity {
    /// The id of the record `text`, which begins at `offset` in `origin`, or is a log event there.
    pub(crate) fn id(&mut self, origin: &str, offset: u64, event: Option<LogEvent<'_>>, text: &[u8]) -> &str {
        self.id.clear();
        let written = match event {
            Some(event) if is_id(event.id) => {
                write!(self.id, "{}-{}", digest(&mut self.stream, event.stream), event.id)
            }
            Some(LogEvent { index, .. }) => {
                let origin = digest(&mut self.origin, origin);
                write!(self.id, "{origin}-{offset}-{index}-{:016x}", xxh64(text, 0))
            }
            None => write!(self.id, "{}-{offset}-{:016x}", digest(&mut self.origin, origin), xxh64(text, 0)),
        };
        written.expect("a string can be written");
        &self.id
    }
}

/// Whether it can be CloudWatch's id, which has 56 digits: nothing to escape, and no great length.
fn is_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The first 64 bits of the SHA-1 digest, in hexadecimal; `last` remembers them.
fn digest<'a>(last: &'a mut (String, String), text: &str) -> &'a str {
    if last.0 != text || last.1.is_empty() {
        let digest = Sha1::digest(text);
        *last = (text.into(), digest[..8].iter().map(|byte| format!("{byte:02x}")).collect());
    }
    &last.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_origin_position_and_content() {
        let mut identity = Identity::default();
        let mut id = |origin, offset, text: &str| identity.id(origin, offset, None, text.as_bytes()).to_owned();
        let first = id("s3://bucket/key", 10, "line");
        assert_eq!(first, "3c4b469c42e43ded-10-70435012eeae3c4b");
        assert_eq!(id("s3://bucket/key", 10, "line"), first);
        for (origin, offset, text) in
            [("s3://bucket/other", 10, "line"), ("s3://bucket/key", 11, "line"), ("s3://bucket/key", 10, "lime")]
        {
            assert_ne!(id(origin, offset, text), first);
        }
        assert_eq!(id("s3://bucket/key", 10, "line"), first);
    }

    #[test]
    fn a_log_event_keeps_its_own_id() {
        let mut identity = Identity::default();
        let event = LogEvent { index: 3, stream: "1\0group\0stream", id: "3195", timestamp: None, text: "line" };
        let here = identity.id("here", 0, Some(event), b"line").to_owned();
        assert!(here.ends_with("-3195"));
        assert_eq!(identity.id("there", 7, Some(LogEvent { index: 0, ..event }), b"line"), here);
        assert_ne!(identity.id("here", 0, Some(LogEvent { stream: "other", ..event }), b"line"), here);
        for odd in ["a\"b\nX", &"1".repeat(101), "ü"] {
            assert!(identity.id("here", 0, Some(LogEvent { id: odd, ..event }), b"line").contains("-0-3-"), "{odd}");
        }
        let without = LogEvent { id: "", ..event };
        assert_ne!(
            identity.id("here", 0, Some(without), b"line").to_owned(),
            identity.id("here", 0, Some(LogEvent { index: 4, ..without }), b"line")
        );
    }
}
