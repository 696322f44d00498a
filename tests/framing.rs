//! A stream of everything, cut at every byte, in batches of many sizes.

use std::io::{self, Read};
use std::sync::Arc;

use vpcflow::engine::{Context, Session};
use vpcflow::framing::{Framer, Framing, Lines};

use crate::cases::{self, CaseOptions};
use crate::implementation::{engine, engine_options};

/// Gives its pieces one by one, as a pipe does.
struct Pieces<'a>(std::vec::IntoIter<&'a [u8]>, &'a [u8]);

impl<'a> Pieces<'a> {
    fn new(pieces: Vec<&'a [u8]>) -> Pieces<'a> {
        Pieces(pieces.into_iter(), &[])
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.1.is_empty() {
            match self.0.next() {
                Some(piece) => self.1 = piece,
                None => return Ok(0),
            }
        }
        self.1.read(buffer)
    }
}

/// What came out: events, and of each reject the line from 1, the byte offset, the log event and the reason.
#[derive(Debug, Default, PartialEq)]
struct Collected {
    events: String,
    rejects: Vec<(u64, u64, Option<u32>, String)>,
    lines: u64,
    skips: u64,
}

/// As the pump does it, on one thread.
fn collect(session: &mut Session, reader: impl Read, framing: Framing) -> Collected {
    let mut framer = Framer::new(reader, framing);
    let mut lines = Lines::default();
    let mut header: Option<String> = None;
    let mut collected = Collected::default();
    let mut end = 0;
    while framer.next(&mut lines).unwrap() {
        assert_eq!(lines.offset, end, "no byte is left out");
        end = lines.offset + lines.bytes().len() as u64;
        let context = Context { origin: "stream".into(), offset: lines.offset, collected_at: None };
        let transformed = session.transform(header.as_deref(), lines.bytes(), &context).unwrap();
        header = transformed.header;
        let batch = transformed.batch;
        let counted = u64::from(lines.continues);
        collected.events += std::str::from_utf8(&batch.events).unwrap();
        collected.rejects.extend(batch.rejects.into_iter().map(|reject| {
            (
                collected.lines - counted + u64::from(reject.line) + 1,
                lines.offset + u64::from(reject.offset),
                reject.event.map(|event| event.index),
                vpcflow::reject::reason_name(&reject.fault.reason).to_owned(),
            )
        }));
        collected.lines += batch.counts.lines - counted;
        collected.skips += batch.counts.skips;
    }
    collected
}

fn mixed() -> cases::Case {
    cases::all().into_iter().find(|case| case.name == "mixed-stream").unwrap()
}

fn session() -> Session {
    let mut options = engine_options();
    options.schema = Some("snare".into());
    options.event_id = true;
    Session::open(engine(), Arc::new(options)).unwrap()
}

#[test]
fn a_mixed_stream_gives_the_same_for_every_cut_and_every_batch_size() {
    let case = mixed();
    let input = &case.input;
    let mut session = session();
    let whole = Framing { batch_bytes: 1 << 20, max_line_bytes: 1 << 20, fill: true };
    let expected = collect(&mut session, &input[..], whole);
    assert!(expected.events.lines().count() > 20 && expected.rejects.len() > 3, "{expected:?}");
    for batch_bytes in [1, 50, 333, 4096] {
        for fill in [false, true] {
            let framing = Framing { batch_bytes, fill, ..whole };
            let every_byte = input.chunks(1).collect();
            assert_eq!(collect(&mut session, Pieces::new(every_byte), framing), expected, "{framing:?}, byte by byte");
        }
    }
    for cut in 0..=input.len() {
        let (left, right) = input.split_at(cut);
        for (batch_bytes, fill) in [(64, true), (4096, false)] {
            let framing = Framing { batch_bytes, fill, ..whole };
            let found = collect(&mut session, Pieces::new(vec![left, right]), framing);
            assert_eq!(found, expected, "{framing:?}, cut at byte {cut}");
        }
    }
}

/// The same with nothing but the module, which gets whole lines.
#[test]
fn a_mixed_stream_gives_the_same_without_a_host() {
    let case = mixed();
    let options = CaseOptions { event_id: true, ..CaseOptions::default() };
    let whole = crate::implementation::open_native("snare", &options).transform(&case.input, 0);
    let framing = Framing { batch_bytes: 64, max_line_bytes: 1 << 20, fill: true };
    let collected = collect(&mut session(), &case.input[..], framing);
    let without_ids = |events: &str| {
        let digest = |event: &str| event.split("\"EVENTID\":\"").nth(1).map(|rest| rest[16..].to_owned());
        events.lines().map(digest).collect::<Vec<_>>()
    };
    // The origins differ, so the digests do; positions and contents do not.
    assert_eq!(without_ids(&collected.events), without_ids(std::str::from_utf8(&whole.events).unwrap()));
    assert_eq!(collected.lines, whole.counts[0]);
}

#[test]
fn objects_run_together_without_any_line_end_are_bounded_and_keep_their_places() {
    let object = |number: usize| match number {
        7000 => r#"{"message":"bad \" } { one"}"#.to_owned(),
        7001 => r#"{"message": }"#.to_owned(),
        _ => format!(
            "{{\"message\":\"2 123456789010 eni-{number} 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070 ACCEPT OK\"}}"
        ),
    };
    let input: String = (0..20_000).map(object).collect();
    let framing = Framing { batch_bytes: 4096, max_line_bytes: 10_000, fill: true };
    let collected = collect(&mut session(), input.as_bytes(), framing);
    assert_eq!(collected.events.lines().count(), 19_998);
    let bad = input.find(r#"{"message":"bad"#).unwrap() as u64;
    let length = object(7000).len() as u64;
    let expected = [(1, bad, None, "unknown-format".into()), (1, bad + length, None, "bad-json".into())];
    assert_eq!(collected.rejects, expected);
    assert_eq!((collected.lines, collected.skips), (1, 0));
}
