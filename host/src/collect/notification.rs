//! What the body of a queue message announces: S3's own notifications, plain or in SNS's envelope,
//! and EventBridge's events.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::object::Object;

/// SNS within SNS does not happen by itself; more is somebody's mistake.
const MAX_ENVELOPES: u32 = 3;

/// What a message is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// Objects that were created, and how many other happenings were with them.
    Objects { created: Vec<Object>, others: usize },
    /// What S3 sends when notifications are set up.
    Test,
}

/// All the shapes at once: a body is one of them, told by the members that it has.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
    /// Of S3's test message.
    #[serde(rename = "Event")]
    event: Option<String>,
    /// Of SNS's envelope.
    #[serde(rename = "Message")]
    message: Option<String>,
    /// Of EventBridge.
    source: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    region: Option<String>,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: Option<String>,
    #[serde(rename = "awsRegion")]
    region: Option<String>,
    s3: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    bucket: Option<Bucket>,
    object: Option<Key>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    #[serde(alias = "versionId", rename = "version-id")]
    version: Option<String>,
}

impl Key {
    /// S3 calls the version of an object in a bucket without versions `null`.
    fn version(&self) -> Option<String> {
        self.version.clone().filter(|version| version != "null")
    }
}

impl Notification {
    /// Reads a message's body. The error says what it is instead of a notification.
    pub(crate) fn parse(body: &str) -> Result<Notification, String> {
        let mut body = body.to_owned();
        for _ in 0..MAX_ENVELOPES {
            let parsed: Body =
                serde_json::from_str(&body).map_err(|error| format!("the body is no S3 notification: {error}"))?;
            if let Some(records) = parsed.records {
                return from_s3(records);
            }
            if parsed.event.as_deref() == Some("s3:TestEvent") {
                return Ok(Notification::Test);
            }
            if parsed.source.as_deref() == Some("aws.s3") {
                return from_event_bridge(parsed);
            }
            body = parsed.message.ok_or("the body is no S3 notification: it has no Records, Message or detail")?;
        }
        Err(format!("the body has more than {MAX_ENVELOPES} envelopes"))
    }
}

fn from_s3(records: Vec<Record>) -> Result<Notification, String> {
    let mut created = Vec::new();
    let mut others = 0;
    for record in records {
        let name = record.event_name.as_deref().ok_or("a record of the notification has no eventName")?;
        // Without `s3:`, as AWS writes it; some servers that speak S3 write it with.
        if !name.strip_prefix("s3:").unwrap_or(name).starts_with("ObjectCreated:") {
            others += 1;
            continue;
        }
        let (bucket, key) = parts(record.s3, record.region.as_deref())?;
        let name = decode(&key.key)?;
        created.push(Object { key: name, version: key.version(), ..bucket });
    }
    Ok(Notification::Objects { created, others })
}

fn from_event_bridge(body: Body) -> Result<Notification, String> {
    if body.detail_type.as_deref() != Some("Object Created") {
        return Ok(Notification::Objects { created: Vec::new(), others: 1 });
    }
    let (bucket, key) = parts(body.detail, body.region.as_deref())?;
    // EventBridge gives keys as they are.
    Ok(Notification::Objects { created: vec![Object { version: key.version(), key: key.key, ..bucket }], others: 0 })
}

fn parts(detail: Option<Detail>, region: Option<&str>) -> Result<(Object, Key), String> {
    match detail {
        Some(Detail { bucket: Some(bucket), object: Some(key) }) if !bucket.name.is_empty() && !key.key.is_empty() => {
            let region = region.filter(|region| !region.is_empty()).map(str::to_owned);
            Ok((Object { bucket: bucket.name, key: String::new(), version: None, region }, key))
        }
        _ => Err("the notification names no bucket and object".into()),
    }
}

/// S3 encodes keys as HTML forms do: a blank is `+`, and `=` is `%3D`, as in every Hive prefix.
fn decode(key: &str) -> Result<String, String> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(String::from).map_err(|_| format!("the key {key:?} of the notification is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, version: Option<&str>, region: Option<&str>) -> Object {
        Object { bucket: "b".into(), key: key.into(), version: version.map(Into::into), region: region.map(Into::into) }
    }

    fn record(name: &str, key: &str) -> String {
        format!(
            r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2","eventName":"{name}",
            "s3":{{"bucket":{{"name":"b"}},"object":{{"key":"{key}","size":1,"eTag":"e","versionId":null}}}}}}"#
        )
    }

    #[test]
    fn every_record_of_s3s_own_counts_and_its_key_is_decoded() {
        let body = format!(
            r#"{{"Records":[{},{},{}]}}"#,
            record("ObjectCreated:Put", "a+b%2Bc/year%3D2024/%C3%A9%25.log"),
            record("ObjectRemoved:Delete", "gone"),
            record("ObjectCreated:CompleteMultipartUpload", "large"),
        );
        let region = Some("us-west-2");
        let created = vec![object("a b+c/year=2024/é%.log", None, region), object("large", None, region)];
        let expected = Ok(Notification::Objects { created, others: 1 });
        assert_eq!(Notification::parse(&body), expected);
        let enveloped = serde_json::json!({"Type": "Notification", "TopicArn": "arn", "Message": body}).to_string();
        assert_eq!(Notification::parse(&enveloped), expected);
    }

    #[test]
    fn a_key_of_event_bridge_is_taken_as_it_is() {
        let body = r#"{"version":"0","detail-type":"Object Created","source":"aws.s3","region":"eu-west-1",
            "detail":{"version":"0","bucket":{"name":"b"},"object":{"key":"a+b%20c=d","size":5,"version-id":"v1"}}}"#;
        let created = vec![object("a+b%20c=d", Some("v1"), Some("eu-west-1"))];
        assert_eq!(Notification::parse(body), Ok(Notification::Objects { created, others: 0 }));
        let deleted = body.replace("Object Created", "Object Deleted");
        assert_eq!(Notification::parse(&deleted), Ok(Notification::Objects { created: vec![], others: 1 }));
    }

    #[test]
    fn a_test_event_is_told_apart() {
        let body = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"t","Bucket":"b","RequestId":"r"}"#;
        assert_eq!(Notification::parse(body), Ok(Notification::Test));
    }

    #[test]
    fn what_is_no_notification_says_so() {
        for body in ["", "hello", "[]", "{}", r#"{"Records":[{}]}"#, r#"{"Message":"{}"}"#, r#"{"source":"aws.s3"}"#] {
            let outcome = Notification::parse(body);
            let is_fine = matches!(outcome, Err(_) | Ok(Notification::Objects { others: 1, .. }));
            assert!(is_fine, "{body}: {outcome:?}");
        }
        let nameless = format!(r#"{{"Records":[{}]}}"#, record("ObjectCreated:Put", ""));
        assert_eq!(Notification::parse(&nameless), Err("the notification names no bucket and object".into()));
        let broken = format!(r#"{{"Records":[{}]}}"#, record("ObjectCreated:Put", "%ff"));
        assert_eq!(Notification::parse(&broken), Err("the key \"%ff\" of the notification is not UTF-8".into()));
    }
}
