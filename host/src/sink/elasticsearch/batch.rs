//! Documents that go in one request: for each a line that says what to do with it, and the event.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest `_id` that is taken:
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/mapping-id-field.html>.
const MAX_ID_BYTES: usize = 512;

/// Documents that are being gathered.
#[derive(Default)]
pub(super) struct Gathering {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Gathering {
    /// How large it would be with this event, about.
    pub(super) fn bytes_with(&self, event: &[u8]) -> usize {
        self.bytes.len() + event.len()
    }

    /// Takes an event: one JSON object, without line end.
    pub(super) fn add(&mut self, event: &[u8]) -> io::Result<()> {
        let id = id_of(event)?;
        self.bytes.extend_from_slice(br#"{"create":{"_id":"#);
        self.bytes.extend_from_slice(id.as_bytes());
        self.bytes.extend_from_slice(b"}}\n");
        self.bytes.extend_from_slice(event);
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
        Ok(())
    }

    pub(super) fn finish(self) -> Batch {
        Batch { bytes: self.bytes.into(), ends: self.ends }
    }
}

/// Documents to be sent.
pub(super) struct Batch {
    bytes: Bytes,
    /// Where each document ends.
    ends: Vec<usize>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The body of the request.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn document(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// The event of a document, as it was written.
    pub(super) fn event(&self, index: usize) -> Cow<'_, str> {
        let document = self.document(index);
        let action = document.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        String::from_utf8_lossy(document[action..].trim_ascii_end())
    }

    /// Only these documents of it.
    pub(super) fn only(&self, indexes: &[usize]) -> Batch {
        let mut chosen = Gathering::default();
        for &index in indexes {
            chosen.bytes.extend_from_slice(self.document(index));
            chosen.ends.push(chosen.bytes.len());
        }
        chosen.finish()
    }

    /// Its two halves, or itself if it is one document.
    pub(super) fn halves(self) -> Result<(Batch, Batch), Batch> {
        if self.len() < 2 {
            return Err(self);
        }
        let Batch { bytes, mut ends } = self;
        let second = ends.split_off(ends.len() / 2);
        let middle = ends[ends.len() - 1];
        let second_ends = second.into_iter().map(|end| end - middle).collect();
        let halves = (bytes.slice(..middle), bytes.slice(middle..));
        Ok((Batch { bytes: halves.0, ends }, Batch { bytes: halves.1, ends: second_ends }))
    }
}

/// Where the schemas have their ids.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "EVENTID")]
    event_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InEvent<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// The event's id as JSON. Without one, an event that is sent again would be there twice.
fn id_of(event: &[u8]) -> io::Result<&str> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let found: Identified = serde_json::from_slice(event).map_err(|error| wrong(format!("an event: {error}")))?;
    let inner = found.event.and_then(|event| serde_json::from_str::<InEvent>(event.get()).ok()?.id);
    let id = inner.or(found.event_id).map(RawValue::get).filter(|id| id.starts_with('"'));
    match id {
        Some(id) if id.len() <= MAX_ID_BYTES => Ok(id),
        Some(id) => Err(wrong(format!("an event has an id of {} bytes; Elasticsearch takes {MAX_ID_BYTES}", id.len()))),
        None => Err(wrong("an event has no id, neither `event.id` nor `EVENTID`; the module must give one".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[&str]) -> Batch {
        let mut gathering = Gathering::default();
        ids.iter().for_each(|id| gathering.add(format!(r#"{{"event":{{"id":"{id}"}}}}"#).as_bytes()).unwrap());
        gathering.finish()
    }

    #[test]
    fn ids_are_found_in_both_places() {
        assert_eq!(id_of(br#"{"x":1,"event":{"a":[{"id":"0"}],"id":"1-\"2"},"id":5}"#).unwrap(), r#""1-\"2""#);
        assert_eq!(id_of(br#"{"EVENTID":"7","event":{}}"#).unwrap(), r#""7""#);
        for none in [&br#"{"event":{"id":7}}"#[..], br#"{"event":5,"id":"1"}"#, br#"{}"#, br#"{"#] {
            assert!(id_of(none).is_err(), "{}", String::from_utf8_lossy(none));
        }
    }

    #[test]
    fn halves_and_choices_hold_the_same_documents() {
        let (first, second) = batch(&["a", "b", "c"]).halves().ok().unwrap();
        assert_eq!((first.bytes(), second.bytes()), (batch(&["a"]).bytes(), batch(&["b", "c"]).bytes()));
        assert_eq!(second.event(1), r#"{"event":{"id":"c"}}"#);
        let (third, fourth) = second.halves().ok().unwrap();
        assert_eq!((third.event(0), fourth.event(0)), (batch(&["b"]).event(0), batch(&["c"]).event(0)));
        assert_eq!(fourth.halves().err().unwrap().len(), 1);
        let chosen = batch(&["a", "b", "c"]).only(&[0, 2]);
        assert_eq!((chosen.bytes(), chosen.len()), (batch(&["a", "c"]).bytes(), 2));
    }
}
