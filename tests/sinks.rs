//! Files and directories as sinks.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use vpcflow::sink::{Compression, DirectorySink, FileSink, Rotation, Sink};

use crate::flow_logs::gzip;

const NEVER: Rotation = Rotation { bytes: u64::MAX, age: Duration::MAX };

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).unwrap()
}

#[test]
fn a_file_is_appended_to_and_what_is_unfinished_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let half = |bytes: Vec<u8>| bytes[..bytes.len() - 3].to_vec();
    let plain: fn(&[u8]) -> Vec<u8> = |bytes| bytes.to_vec();
    let cases = [
        (None, plain, b"{half a li".to_vec()),
        (Some(Compression::Gzip), gzip, half(gzip(b"{half\n"))),
        (Some(Compression::Zstd), zstd, half(zstd(b"{half\n"))),
    ];
    for (compression, encode, unfinished) in cases {
        let path = folder.path().join(format!("{compression:?}"));
        let mut sink = FileSink::open(&path, compression).unwrap();
        for line in ["{1}\n", "{2}\n"] {
            sink.write(line.as_bytes()).unwrap();
            sink.flush().unwrap();
        }
        let whole = fs::read(&path).unwrap();
        drop(sink);
        append(&path, &unfinished);
        let mut sink = FileSink::open(&path, compression).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "{compression:?}");
        sink.write(b"{3}\n").unwrap();
        sink.flush().unwrap();
        // Readable as one stream, also by those who write members of their own.
        append(&path, &encode(b"{4}\n"));
        let source = vpcflow::source::Source::File(path);
        let text = std::io::read_to_string(source.open(Default::default()).unwrap()).unwrap();
        assert_eq!(text, "{1}\n{2}\n{3}\n{4}\n", "{compression:?}");
    }
    // A line that is longer than what is read at once.
    let path = folder.path().join("long");
    fs::write(&path, "{1}\n".to_owned() + &"x".repeat(200_000)).unwrap();
    drop(FileSink::open(&path, None).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"{1}\n");
}

#[test]
fn a_file_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let first = FileSink::open(&path, None).unwrap();
    let error = FileSink::open(&path, None).err().unwrap();
    assert_eq!(error.to_string(), "another process is writing to it");
    drop(first);
    FileSink::open(&path, None).unwrap();
}

#[test]
fn what_is_written_to_a_file_that_is_gone_is_not_safe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let mut sink = FileSink::open(&path, None).unwrap();
    fs::remove_file(&path).unwrap();
    sink.flush().unwrap();
    sink.write(b"{1}\n").unwrap();
    assert_eq!(sink.flush().unwrap_err().to_string(), "it has been removed");
}

#[test]
fn a_directory_rotates_by_size_and_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rotation: Rotation, flushes: usize| {
        let _ = fs::remove_dir_all(folder.path());
        let mut sink = DirectorySink::open(folder.path(), None, rotation).unwrap();
        for _ in 0..flushes {
            sink.write(&b"0123456789012345678\n".repeat(5)).unwrap();
            sink.flush().unwrap();
        }
        (names(folder.path()), sink)
    };
    let (all, sink) = write(NEVER, 3);
    assert!(all.len() == 1 && all[0].ends_with(".ndjson.part"), "{all:?}");
    assert!(all[0].starts_with("events-20") && all[0].contains("Z-"), "{all:?}");
    drop(sink);
    let (all, mut sink) = write(Rotation { bytes: 200, ..NEVER }, 5);
    let part = all.iter().filter(|name| name.ends_with(".ndjson.part")).count();
    assert_eq!((all.len(), part), (3, 1), "{all:?}");
    sink.finish().unwrap();
    let all = names(folder.path());
    assert!(all.len() == 3 && all.iter().all(|name| name.ends_with(".ndjson")), "{all:?}");

    let (all, mut sink) = write(Rotation { age: Duration::from_secs(2), ..NEVER }, 1);
    assert!(all[0].ends_with(".part"));
    std::thread::sleep(Duration::from_millis(2100));
    // Nothing more has come, and yet it is due.
    sink.flush().unwrap();
    assert!(names(folder.path())[0].ends_with(".ndjson"));
    sink.finish().unwrap();
    assert_eq!(names(folder.path()).len(), 1, "no file without an event");
}

#[test]
fn what_a_crash_has_left_in_a_directory_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let left = [
        ("events-a.ndjson.part", b"{1}\n{2".to_vec(), Some(b"{1}\n".to_vec())),
        ("events-b.ndjson.part", b"{ha".to_vec(), None),
        ("events-c.ndjson.part", b"".to_vec(), None),
        ("events-d.ndjson.gz.part", [gzip(b"{1}\n"), gzip(b"{2}\n")[..5].to_vec()].concat(), Some(gzip(b"{1}\n"))),
        ("events-e.ndjson.zst.part", [zstd(b"{1}\n"), zstd(b"{2}\n")[..9].to_vec()].concat(), Some(zstd(b"{1}\n"))),
    ];
    for (name, bytes, _) in &left {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    // Of others.
    for name in ["other.txt", "download.part", "events-x.part"] {
        fs::write(folder.path().join(name), "untouched").unwrap();
    }
    std::os::unix::fs::symlink("other.txt", folder.path().join("events-link.ndjson.part")).unwrap();
    // Of another process, which is at it.
    let mut busy = DirectorySink::open(folder.path(), None, NEVER).unwrap();
    busy.write(b"{bu").unwrap();
    let sink = DirectorySink::open(folder.path(), None, NEVER).unwrap();
    drop(sink);
    let mut expected: Vec<String> =
        ["other.txt", "download.part", "events-x.part", "events-link.ndjson.part"].map(str::to_owned).to_vec();
    for (name, _, bytes) in left {
        let path = folder.path().join(name.trim_end_matches(".part"));
        assert_eq!(fs::read(&path).ok(), bytes, "{name}");
        expected.extend(bytes.map(|_| name.trim_end_matches(".part").to_owned()));
    }
    assert_eq!(fs::read(folder.path().join("other.txt")).unwrap(), b"untouched");
    let (busy_names, mut finished): (Vec<_>, Vec<_>) =
        names(folder.path()).into_iter().partition(|name| name.starts_with("events-20"));
    expected.sort();
    finished.sort();
    assert_eq!(finished, expected);
    assert!(busy_names.len() == 1 && busy_names[0].ends_with(".part"), "{busy_names:?}");
    busy.write(b"sy}\n").unwrap();
    busy.finish().unwrap();
    let name = busy_names[0].trim_end_matches(".part");
    assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"{busy}\n");
}

#[test]
fn nothing_is_appended_to_a_file_of_another_kind_or_to_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let members = [gzip(b"{1}\n"), gzip(b"{2}\n"), gzip(b"{3}\n")].concat();
    let mut damaged = members.clone();
    damaged[members.len() / 2] ^= 0xff;
    let elsewhere = "it holds something else than";
    let cases = [
        (b"{1}\n".to_vec(), Some(Compression::Gzip), elsewhere),
        (members.clone(), None, elsewhere),
        (members.clone(), Some(Compression::Zstd), elsewhere),
        (zstd(b"{1}\n"), Some(Compression::Gzip), elsewhere),
        (b"somebody's notes".to_vec(), None, elsewhere),
        (damaged, Some(Compression::Gzip), "it is damaged behind byte"),
    ];
    for (bytes, compression, message) in cases {
        fs::write(&path, &bytes).unwrap();
        let error = FileSink::open(&path, compression).err().unwrap();
        assert!(error.to_string().contains(message), "{compression:?}: {error}");
        assert!(fs::read(&path).unwrap() == bytes, "{compression:?}: it is as it was");
    }
    // What a power failure may leave.
    fs::write(&path, [members.clone(), vec![0; 5000]].concat()).unwrap();
    drop(FileSink::open(&path, Some(Compression::Gzip)).unwrap());
    assert!(fs::read(&path).unwrap() == members);
}
