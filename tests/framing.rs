//! A stream of everything, cut at every byte, in batches of many sizes.

use std::io::{self, Read};
use std::sync::Arc;

use vpcflow::engine::{Context, Session};
use vpcflow::framing::{Framer, Framing, Lines};

use crate::cases::{self, CaseOptions, SCHEMAS};
use crate::implementation::{engine, engine_options, open_native};

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
    let (mut end, mut was_cut) = (0, false);
    while framer.next(&mut lines).unwrap() {
        assert!(lines.offset == end || was_cut, "no byte is left out but of what is too long");
        was_cut = lines.is_cut;
        end = lines.offset + lines.bytes().len() as u64;
        let context = Context { origin: "case".into(), offset: lines.offset, collected_at: None };
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

fn session(schema: &str, framing: Framing) -> Session {
    let mut options = engine_options();
    options.schema = Some(schema.into());
    options.event_id = true;
    options.max_line_bytes = framing.max_line_bytes as u32;
    Session::open(engine(), Arc::new(options)).unwrap()
}

#[test]
fn a_mixed_stream_gives_the_same_for_every_cut_and_every_batch_size() {
    let case = mixed();
    let input = &case.input;
    let whole = Framing { batch_bytes: 1 << 20, max_line_bytes: 1 << 20, fill: true };
    for schema in SCHEMAS {
        every_cut(&mut session(schema, whole), input, whole);
    }
}

fn every_cut(session: &mut Session, input: &[u8], whole: Framing) {
    let expected = collect(session, input, whole);
    assert!(expected.events.lines().count() > 20 && expected.rejects.len() > 3, "{expected:?}");
    for batch_bytes in [1, 50, 333, 4096] {
        for fill in [false, true] {
            let framing = Framing { batch_bytes, fill, ..whole };
            let every_byte = input.chunks(1).collect();
            assert_eq!(collect(session, Pieces::new(every_byte), framing), expected, "{framing:?}, byte by byte");
        }
    }
    for cut in 0..=input.len() {
        let (left, right) = input.split_at(cut);
        for (batch_bytes, fill) in [(500, true), (4096, false)] {
            let framing = Framing { batch_bytes, fill, ..whole };
            let found = collect(session, Pieces::new(vec![left, right]), framing);
            assert_eq!(found, expected, "{framing:?}, cut at byte {cut}");
        }
    }
}

/// The same with nothing but the module, which gets whole lines.
#[test]
fn a_mixed_stream_gives_the_same_without_a_host() {
    let case = mixed();
    let options = CaseOptions { event_id: true, ..CaseOptions::default() };
    let framing = Framing { batch_bytes: 64, max_line_bytes: 1 << 20, fill: true };
    for schema in SCHEMAS {
        let whole = open_native(schema, &options).transform(&case.input, 0);
        let collected = collect(&mut session(schema, framing), &case.input[..], framing);
        assert_eq!(collected.events.as_bytes(), whole.events);
        assert_eq!([collected.lines, collected.skips], [whole.counts[0], whole.counts[3]]);
        let places: Vec<_> =
            whole.rejects.iter().map(|reject| (u64::from(reject.line) + 1, u64::from(reject.offset))).collect();
        assert_eq!(collected.rejects.iter().map(|reject| (reject.0, reject.1)).collect::<Vec<_>>(), places);
    }
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
    let collected = collect(&mut session("snare", framing), input.as_bytes(), framing);
    assert_eq!(collected.events.lines().count(), 19_998);
    let bad = input.find(r#"{"message":"bad"#).unwrap() as u64;
    let length = object(7000).len() as u64;
    let expected = [(1, bad, None, "unknown-format".into()), (1, bad + length, None, "bad-json".into())];
    assert_eq!(collected.rejects, expected);
    assert_eq!((collected.lines, collected.skips), (1, 0));
}

const RECORD: &str =
    r#"{"message":"2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070 ACCEPT OK"}"#;

fn counts(input: &[u8], framing: Framing) -> (usize, Vec<String>) {
    let collected = collect(&mut session("sekoia", framing), input, framing);
    (collected.events.lines().count(), collected.rejects.into_iter().map(|reject| reject.3).collect())
}

/// Damage in objects that run together costs what it strikes, for every size of the batches.
#[test]
fn damage_among_objects_that_run_together_costs_one_object() {
    let good = RECORD.repeat(40);
    let long = RECORD.replace("eni-1", &"x".repeat(3000));
    let damages: [(&[u8], &str); 6] = [
        (b"{\"message\": }", "bad-json"),
        (b"{\"message\":\"a string without its end}", "bad-json"),
        (b"{\"message\":{\"a\":1}", "bad-json"),
        (b"{\"message\":\"\xff\"}", "not-utf8"),
        (b"{\"message\":\"x\"}", "unknown-format"),
        (long.as_bytes(), "line-too-long"),
    ];
    for (damage, reason) in damages {
        let input = [good.as_bytes(), damage, good.as_bytes(), b"\n", RECORD.as_bytes(), b"\n"].concat();
        for batch_bytes in [1, 100, 1000, 1 << 20] {
            for fill in [true, false] {
                let framing = Framing { batch_bytes, max_line_bytes: 2000, fill };
                assert_eq!(
                    counts(&input, framing),
                    (81, vec![reason.to_owned()]),
                    "{framing:?}, {}",
                    damage.escape_ascii()
                );
            }
        }
    }
}

/// An error that comes after some objects leaves all of them but the last, which may go on.
#[test]
fn objects_before_an_error_are_given() {
    struct ThenError<R>(R);
    impl<R: Read> Read for ThenError<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("cut")),
                count => Ok(count),
            }
        }
    }
    for batch_bytes in [1, 100, 1000, 1 << 20] {
        for before in ["", "10.0.0.1\n"] {
            let input = before.to_owned() + &RECORD.repeat(30);
            let framing = Framing { batch_bytes, max_line_bytes: 2000, fill: true };
            let mut framer = Framer::new(ThenError(input.as_bytes()), framing);
            let mut lines = Lines::default();
            let mut given = Vec::new();
            let error = loop {
                match framer.next(&mut lines) {
                    Ok(true) => given.extend_from_slice(lines.bytes()),
                    Ok(false) => panic!("the error is lost"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.to_string(), "cut");
            assert_eq!(given, input.as_bytes()[..input.len() - RECORD.len()], "{batch_bytes}");
            assert_eq!(framer.rest(), ((input.len() - RECORD.len()) as u64, RECORD.len()));
        }
    }
}
