//! What Elasticsearch answers to a batch: for each document, in the order of the request, what became of it.

use serde::Deserialize;

use crate::sink::visible;

/// As much of an error as a person reads.
const MAX_ERROR_LETTERS: usize = 500;

/// Errors with the status of a bad document that are about the index.
const NOT_THE_DOCUMENTS: [&str; 3] = ["index_closed_exception", "invalid_index_name_exception", "validation_exception"];

/// How the reasons of an `illegal_argument_exception` begin that are about the index.
const NOT_THEIR_ARGUMENTS: [&str; 2] = ["pipeline with id [", "no write index is defined for alias ["];

/// What became of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Created,
    /// An earlier attempt had created it.
    Present,
    /// Not for now.
    Again(String),
    /// Not this document, ever.
    Refused(String),
    /// No document: the index or the permission for it is not there.
    Stop(String),
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    error: Option<Problem>,
    /// Of data streams: `used` where a document that cannot be mapped has gone to their failure store, with a status of
    /// success. <https://www.elastic.co/docs/manage-data/data-store/data-streams/failure-store>
    failure_store: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Problem {
    Object {
        #[serde(rename = "type")]
        kind: Option<String>,
        reason: Option<String>,
        caused_by: Option<Box<Problem>>,
    },
    Text(String),
}

#[derive(Deserialize)]
struct Failure {
    error: Problem,
}

/// The verdicts on `count` documents. An error says why this is no such answer.
pub(super) fn verdicts(answer: &[u8], count: usize) -> Result<Vec<Verdict>, String> {
    let Answer { items } = serde_json::from_slice(answer).map_err(|error| format!("{error}: {}", beginning(answer)))?;
    if items.len() != count {
        return Err(format!("it tells of {} documents, and {count} were sent", items.len()));
    }
    Ok(items.into_iter().map(|item| verdict(item.create)).collect())
}

fn verdict(outcome: Outcome) -> Verdict {
    let why = || {
        let error = outcome.error.as_ref().map(told).unwrap_or_default();
        cut(if error.is_empty() { format!("status {}", outcome.status) } else { error })
    };
    match outcome.status {
        200..=299 if outcome.failure_store.as_deref() == Some("used") => {
            Verdict::Refused("it has gone to the data stream's failure store, where the reason is".into())
        }
        200..=299 => Verdict::Created,
        // There is only one reason for a conflict where documents are created.
        409 => Verdict::Present,
        408 | 429 | 500.. => Verdict::Again(why()),
        // What would be so for every document must not empty the source into the rejects.
        401 | 403 | 404 => Verdict::Stop(why()),
        _ if outcome.error.as_ref().is_some_and(is_about_the_index) => Verdict::Stop(why()),
        _ => Verdict::Refused(why()),
    }
}

fn is_about_the_index(problem: &Problem) -> bool {
    let Problem::Object { kind: Some(kind), reason, .. } = problem else { return false };
    let reason = reason.as_deref().unwrap_or_default();
    NOT_THE_DOCUMENTS.contains(&kind.as_str())
        || kind == "illegal_argument_exception" && NOT_THEIR_ARGUMENTS.iter().any(|begin| reason.starts_with(begin))
}

/// What the body of a failed request says.
pub(super) fn failure(answer: &[u8]) -> String {
    match serde_json::from_slice::<Failure>(answer) {
        Ok(failure) => cut(told(&failure.error)),
        Err(_) => beginning(answer),
    }
}

fn beginning(text: &[u8]) -> String {
    cut(String::from_utf8_lossy(text).trim().to_owned())
}

/// Type and reason, and those of the causes.
fn told(problem: &Problem) -> String {
    match problem {
        Problem::Text(text) => text.clone(),
        Problem::Object { kind, reason, caused_by } => {
            let cause = caused_by.as_ref().map(|cause| told(cause));
            let parts = [kind.clone(), reason.clone(), cause];
            parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
        }
    }
}

fn cut(text: String) -> String {
    let text = visible(&text);
    match text.char_indices().nth(MAX_ERROR_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_has_a_verdict() {
        let answer = br#"{"items":[
            {"create":{"status":201}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}},
            {"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"busy"}}},
            {"create":{"status":503}},
            {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed",
                "caused_by":{"type":"illegal_argument_exception","reason":"For input\nstring"}}}},
            {"create":{"status":403,"error":"forbidden"}},
            {"create":{"status":400,"error":{"type":"index_closed_exception","reason":"closed"}}},
            {"create":{"status":400,"error":{"type":"illegal_argument_exception",
                "reason":"pipeline with id [p] does not exist"}}},
            {"create":{"status":201,"failure_store":"used"}},
            {"create":{"status":201,"failure_store":"not_enabled"}}
        ]}"#;
        let expected = [
            Verdict::Created,
            Verdict::Present,
            Verdict::Again("es_rejected_execution_exception: busy".into()),
            Verdict::Again("status 503".into()),
            Verdict::Refused(
                r"document_parsing_exception: failed: illegal_argument_exception: For input\nstring".into(),
            ),
            Verdict::Stop("forbidden".into()),
            Verdict::Stop("index_closed_exception: closed".into()),
            Verdict::Stop("illegal_argument_exception: pipeline with id [p] does not exist".into()),
            Verdict::Refused("it has gone to the data stream's failure store, where the reason is".into()),
            Verdict::Created,
        ];
        assert_eq!(verdicts(answer, 10).unwrap(), expected);
        assert_eq!(verdicts(answer, 8).unwrap_err(), "it tells of 10 documents, and 8 were sent");
        assert!(verdicts(b"<html>", 1).unwrap_err().ends_with(": <html>"));
    }

    #[test]
    fn errors_are_cut_to_what_is_read() {
        let text = "ä".repeat(2000);
        assert_eq!(failure(text.as_bytes()).chars().count(), MAX_ERROR_LETTERS + 1);
        let answer = br#"{"error":{"root_cause":[],"type":"security_exception","reason":"no"},"status":401}"#;
        assert_eq!(failure(answer), "security_exception: no");
    }
}
