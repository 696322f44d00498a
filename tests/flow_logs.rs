//! Objects with flow logs, whose every record has an interface of its own, and what came of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::parquet::parquet_of;

/// The name of a record's interface.
pub fn interface(object: usize, record: usize) -> String {
    format!("eni-{object:05}-{record:06}")
}

/// Records under a header line, in one of three formats.
pub fn text(object: usize, records: usize) -> String {
    const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    let formats = [
        DEFAULT.to_owned(),
        format!(
            "{DEFAULT} vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"
        ),
        "interface-id end start srcaddr dstaddr bytes".to_owned(),
    ];
    let format = &formats[object % formats.len()];
    let mut text = format!("{format}\n");
    for record in 0..records {
        let values = format.split(' ').map(|field| match field {
            "version" => "2".to_owned(),
            "account-id" => "123456789012".to_owned(),
            "interface-id" => interface(object, record),
            "srcaddr" | "pkt-srcaddr" => format!("10.0.{}.{}", record / 256 % 256, record % 256),
            "dstaddr" | "pkt-dstaddr" => "192.0.2.7".to_owned(),
            "srcport" => (1024 + record % 60_000).to_string(),
            "dstport" => "443".to_owned(),
            "protocol" => "6".to_owned(),
            "packets" => "5".to_owned(),
            "bytes" => "400".to_owned(),
            "start" => (1_700_000_000 + record).to_string(),
            "end" => (1_700_000_060 + record).to_string(),
            "action" => "ACCEPT".to_owned(),
            "log-status" => "OK".to_owned(),
            "type" => "IPv4".to_owned(),
            "tcp-flags" => "2".to_owned(),
            _ => "-".to_owned(),
        });
        text += &values.collect::<Vec<_>>().join(" ");
        text += "\n";
    }
    text
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An object's key and bytes: text, gzip, gzip of two members, zstd or Parquet.
pub fn object(number: usize, records: usize) -> (String, Vec<u8>) {
    let text = text(number, records);
    let (suffix, bytes) = match number % 5 {
        0 => ("log", text.into_bytes()),
        1 => ("log.gz", gzip(text.as_bytes())),
        2 => {
            let (first, second) = text.split_at(text.len() / 2);
            ("log.gz", [gzip(first.as_bytes()), gzip(second.as_bytes())].concat())
        }
        3 => ("log.zst", zstd::encode_all(text.as_bytes(), 0).unwrap()),
        _ => ("log.parquet", parquet_of(&text)),
    };
    (format!("AWSLogs/123456789012/vpcflowlogs/eu-west-1/2024/09/05/{number:05}.{suffix}"), bytes)
}

/// An event where it was found.
pub struct Found {
    pub interface: String,
    pub id: Option<String>,
    /// The file without `.part`, and the byte behind the event's line.
    pub place: (String, u64),
}

/// All events in the files of a directory or in a file. Every line must be one.
pub fn events(path: &Path) -> Vec<Found> {
    read(path, true)
}

/// Those that are there while they are written: the last line may be unfinished.
pub fn events_so_far(path: &Path) -> Vec<Found> {
    if path.exists() { read(path, false) } else { Vec::new() }
}

fn read(path: &Path, is_finished: bool) -> Vec<Found> {
    let mut paths: Vec<_> = match path.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![path.to_owned()],
    };
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".part").to_owned();
        let bytes = match fs::read(&path) {
            // Renamed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && !is_finished => continue,
            bytes => bytes.unwrap(),
        };
        let text = match name.rsplit('.').next() {
            Some("gz") => {
                let mut text = Vec::new();
                MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).unwrap();
                text
            }
            Some("zst") => zstd::decode_all(bytes.as_slice()).unwrap(),
            _ => bytes,
        };
        let mut end = 0;
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            end += line.len() as u64;
            if !line.ends_with(b"\n") {
                assert!(!is_finished, "{path:?} ends within a line");
                break;
            }
            let event: Value = serde_json::from_slice(line).unwrap();
            let interface = event["observer"]["ingress"]["interface"]["name"].as_str().unwrap().to_owned();
            let id = event["event"]["id"].as_str().map(str::to_owned);
            found.push(Found { interface, id, place: (name.clone(), end) });
        }
    }
    found
}

/// The events are exactly the records of these objects, each with one event id.
pub fn assert_all(events: &[Found], objects: impl IntoIterator<Item = usize>, records: usize) {
    let (found, expected) = (counts(events), expected(objects, records));
    let missing: Vec<_> = expected.iter().filter(|(interface, _)| !found.contains_key(*interface)).take(3).collect();
    let wrong: Vec<_> = found.iter().filter(|entry| expected.get(entry.0) != Some(entry.1)).take(3).collect();
    let is_exact = missing.is_empty() && wrong.is_empty();
    assert!(is_exact, "{} of {} interfaces; missing {missing:?}, wrong {wrong:?}", found.len(), expected.len());
}

/// How often each interface was found, once for every event id.
fn counts(events: &[Found]) -> BTreeMap<String, usize> {
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| (&event.id, &event.interface)).collect();
    let mut counts = BTreeMap::new();
    for (_, interface) in ids {
        *counts.entry(interface.clone()).or_default() += 1;
    }
    counts
}

/// Exactly the records of these objects, each once.
fn expected(objects: impl IntoIterator<Item = usize>, records: usize) -> BTreeMap<String, usize> {
    objects.into_iter().flat_map(|object| (0..records).map(move |record| (interface(object, record), 1))).collect()
}
