//! The command, as a process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value;

const RECORD: &str = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    command.arg("transform").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(arguments: &[&str]) -> Child {
    command(arguments).spawn().unwrap()
}

/// Runs the command with `input` on its standard input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The command may end before it has read everything.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn messages(output: &Output) -> Vec<String> {
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned())
        .collect()
}

/// `lines 3 events 1 …` without the seconds.
fn counts(output: &Output) -> String {
    let stderr = text(&output.stderr);
    let line = stderr.lines().find(|line| line.ends_with(" seconds")).unwrap_or_else(|| panic!("no counts: {stderr}"));
    line.trim_start_matches("vpcflow: ").rsplit_once(", ").unwrap().0.to_owned()
}

/// The run ended with status 2, and standard error has `message`.
fn assert_failed(output: &Output, message: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

/// Records that tell themselves apart, under a header line.
fn numbered(count: usize) -> String {
    let lines: String =
        (0..count).map(|number| format!("10.0.{}.{} {number}\n", number / 256 % 256, number % 256)).collect();
    format!("srcaddr bytes\n{lines}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_line_from_standard_input_becomes_an_event() {
    for arguments in [&[][..], &["-"]] {
        let output = run(arguments, RECORD.as_bytes());
        assert!(output.status.success());
        assert_eq!(messages(&output), [RECORD.trim_end()]);
        assert_eq!(counts(&output), "1 lines, 1 events, 0 rejects, 0 skips");
        assert_eq!(text(&output.stderr).lines().count(), 1, "a pipe gets no progress bar");
    }
}

#[test]
fn compressed_input_is_told_by_its_first_bytes() {
    let (first, second) = ("srcaddr\n10.0.0.1\n", "10.0.0.2\nsrcaddr bytes\n10.0.0.3 40\n");
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    let inputs = [
        [first, second].concat().into_bytes(),
        gzip([first, second].concat().as_bytes()),
        [gzip(first.as_bytes()), gzip(second.as_bytes())].concat(),
        [zstd(first), zstd(second)].concat(),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("name.without-meaning");
    for input in inputs {
        let expected = ["10.0.0.1", "10.0.0.2", "10.0.0.3 40"];
        assert_eq!(messages(&run(&[], &input)), expected);
        fs::write(&file, &input).unwrap();
        assert_eq!(messages(&run(&[path(&file)], b"")), expected);
    }
}

#[test]
fn a_single_line_comes_out_while_the_input_stays_open() {
    let mut child = start(&[]);
    let mut stdin = child.stdin.take().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        stdin.write_all(RECORD.as_bytes()).unwrap();
        // Would wait for ever if the line were held back.
        assert!(events.next().unwrap().unwrap().starts_with(r#"{"message":"2 123456789010 "#));
    }
    drop(stdin);
    assert!(events.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_broken_pipe_ends_quietly() {
    for threads in ["1", "3"] {
        let mut child = start(&["--threads", threads]);
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        // Endless input: the command must end because nobody reads, not because there is no more.
        let writer = thread::spawn(move || while stdin.write_all(RECORD.as_bytes()).is_ok() {});
        stdout.read_exact(&mut [0; 100]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "{}", output.status);
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn exit_status_says_how_it_went() {
    let status = |arguments: &[&str], input: &str| run(arguments, input.as_bytes()).status.code().unwrap();
    let bad = "2 nonsense\n";
    assert_eq!(status(&[], bad), 0);
    assert_eq!(status(&["--strict"], bad), 1);
    assert_eq!(status(&["--strict"], RECORD), 0);
    for (arguments, message) in [
        (&["--no-such-option"][..], "unexpected argument '--no-such-option'"),
        (&["/no/such/file"], "/no/such/file: No such file"),
        (&["/no/such/*"], "/no/such/*: no file there"),
        (&["--schema", "ocsf"], "no schema is called ocsf"),
        (&["--format", "no known names"], "the format has no field that AWS names"),
        (&["--output", "/no/such/folder/file"], "/no/such/folder/file cannot be written: No such file"),
        (&["--rejects", "/no/such/folder/file"], "/no/such/folder/file cannot be written: No such file"),
        (&["--module", "/no/such/module"], "the module /no/such/module cannot be read: No such file"),
        (&["--threads", "0"], "invalid value '0' for '--threads <N>'"),
    ] {
        let output = run(arguments, b"");
        assert_failed(&output, message);
        assert_eq!(text(&output.stdout), "");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test")).args(["transform", "--help"]).output().unwrap();
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("Examples:") && text(&help.stdout).contains("Exit status:"));
}

#[test]
fn output_order_is_input_order_for_every_number_of_threads_and_size_of_batches() {
    // Header lines in mid-stream, so that batches depend on those before them.
    let mut input = numbered(3000);
    for section in 0..20 {
        let (header, columns) = if section % 2 == 0 {
            ("bytes srcaddr", "7 10.1.1.1")
        } else {
            ("srcaddr srcport bytes", "10.2.2.2 443 8")
        };
        input += &format!("{header}\n{}", format!("{columns}\n").repeat(97));
        input += "no such columns here\n";
    }
    let expected = run(&["--threads", "1"], input.as_bytes());
    assert_eq!(messages(&expected).len(), 3000 + 20 * 97);
    assert_eq!(counts(&expected), format!("{} lines, 4940 events, 20 rejects, 21 skips", 3001 + 20 * 99));
    for threads in ["1", "2", "5"] {
        for batch_bytes in ["1", "100", "1000", "100000"] {
            let output = run(&["--threads", threads, "--batch-bytes", batch_bytes], input.as_bytes());
            assert!(output.stdout == expected.stdout, "{threads} threads, batches of {batch_bytes}");
            assert_eq!(counts(&output), counts(&expected));
            // A header line is handed from thread to thread as it stood, so it fits the limit again.
            let limits = ["--max-line-bytes", "26"];
            let short = run(
                &[&limits[..], &["--threads", threads]].concat(),
                b"srcaddr dstaddr logstatus\n10.0.0.1 10.0.0.2 OK\n",
            );
            assert_eq!(counts(&short), "2 lines, 1 events, 0 rejects, 1 skips");
            let rejects = |output: &Output| {
                text(&output.stderr)
                    .lines()
                    .filter(|line| line.contains("wanted"))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(rejects(&output), rejects(&expected));
        }
    }
}

#[test]
fn rejects_are_kept_with_source_line_offset_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, rejects) =
        (folder.path().join("a.log"), folder.path().join("b.log"), folder.path().join("rejects.ndjson"));
    fs::write(&first, "srcaddr srcport\n10.0.0.1 443\n10.0.0.1 https\n").unwrap();
    fs::write(&second, b"srcaddr\n\n\xff\n").unwrap();
    let arguments = ["--rejects", path(&rejects), "--batch-bytes", "1", path(&first), path(&second)];
    let output = run(&arguments, b"");
    assert_eq!(counts(&output), "6 lines, 1 events, 2 rejects, 3 skips");
    assert_eq!(text(&output.stderr).lines().count(), 1);
    let kept: Vec<Value> =
        fs::read_to_string(&rejects).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = serde_json::json!([
        {
            "source": path(&first), "line_number": 3, "byte_offset": 29, "reason": "bad-value", "column": 2,
            "field": "srcport", "found": "https", "wanted": "a port, 0 to 65535", "line": "10.0.0.1 https"
        },
        {
            "source": path(&second), "line_number": 3, "byte_offset": 9, "reason": "not-utf8",
            "found": "byte 0xff at 0", "wanted": "UTF-8", "line": "\u{fffd}", "line_base64": "/w=="
        },
    ]);
    assert_eq!(Value::Array(kept), expected);
}

#[test]
fn without_a_file_for_them_the_first_rejects_are_shown() {
    let output = run(&[], "nonsense\n".repeat(30).as_bytes());
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().filter(|line| line.starts_with("vpcflow: -:")).count(), 10);
    assert!(stderr.starts_with("vpcflow: -:1: found \"1 columns\", wanted a header line before it"), "{stderr}");
    assert!(stderr.contains("--rejects FILE keeps all"));
    let summary = run(&["--summary"], b"nonsense\n");
    assert!(text(&summary.stderr).contains("1 rejects: unknown-format"));
}

#[test]
fn folders_and_globs_are_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("b/deep");
    fs::create_dir_all(&deep).unwrap();
    fs::write(folder.path().join("c.log"), "srcaddr\n10.0.0.3\n").unwrap();
    fs::write(folder.path().join("a.log"), "srcaddr\n10.0.0.1\n").unwrap();
    fs::write(deep.join("x.log.gz"), gzip(b"srcaddr\n10.0.0.2\n")).unwrap();
    assert_eq!(messages(&run(&[path(folder.path())], b"")), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let glob = folder.path().join("*.log");
    assert_eq!(messages(&run(&[path(&glob)], b"")), ["10.0.0.1", "10.0.0.3"]);
}

#[test]
fn a_header_holds_for_its_own_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.log"), folder.path().join("b.log"));
    fs::write(&first, "srcaddr\n10.0.0.1\n").unwrap();
    fs::write(&second, "10.0.0.2\n").unwrap();
    let output = run(&[path(&first), path(&second)], b"");
    assert_eq!(messages(&output), ["10.0.0.1"]);
    assert_eq!(counts(&output), "3 lines, 1 events, 1 rejects, 1 skips");
}

#[test]
fn what_is_whole_before_a_corruption_is_transformed_and_the_rest_named() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, good) = (folder.path().join("a.log.gz"), folder.path().join("b.log"));
    let whole = gzip(numbered(20_000).as_bytes());
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    fs::write(&good, "srcaddr\n10.9.9.9\n").unwrap();
    let output = run(&["--threads", "2", path(&broken), path(&good)], b"");
    assert_failed(&output, "a.log.gz: ");
    assert_failed(&output, "of an unfinished line");
    let messages = messages(&output);
    assert!(messages.len() > 1000 && messages[0] == "10.0.0.0 0");
    assert_eq!(messages.last().unwrap(), "10.9.9.9");
    for (number, message) in messages[..messages.len() - 1].iter().enumerate() {
        assert!(message.ends_with(&format!(" {number}")), "{message}");
    }
    let parquet = folder.path().join("c.parquet");
    fs::write(&parquet, b"PAR1....").unwrap();
    assert_failed(&run(&[path(&parquet)], b""), "is no Parquet file that can be read");
}

#[test]
fn lines_that_are_too_long_are_rejected_and_the_next_ones_transformed() {
    let folder = tempfile::tempdir().unwrap();
    let rejects = folder.path().join("rejects");
    // Blanks and what looks like a record do not hide that a line is too long.
    for (limit, line) in [("20", " ".repeat(21)), ("20", "10.0.0.1".to_owned() + &" ".repeat(12) + "\rgarbage")] {
        let output = run(&["--max-line-bytes", limit, "--batch-bytes", "1"], format!("srcaddr\n{line}\n").as_bytes());
        assert_eq!(counts(&output), "2 lines, 0 events, 1 rejects, 1 skips", "{line:?}");
    }
    for (length, limit) in [(5_000_000, "1000000"), (3000, "100"), (102, "100")] {
        let input = format!("srcaddr\n10.0.0.1\n{}\n10.0.0.2\n{}", "x".repeat(length), "y".repeat(length));
        for batch_bytes in ["10", "131072"] {
            let arguments = ["--max-line-bytes", limit, "--batch-bytes", batch_bytes, "--rejects", path(&rejects)];
            let output = run(&arguments, input.as_bytes());
            assert_eq!(messages(&output), ["10.0.0.1", "10.0.0.2"], "{length}, {limit}, {batch_bytes}");
            assert_eq!(counts(&output), "5 lines, 2 events, 2 rejects, 1 skips");
            let kept: Vec<Value> =
                fs::read_to_string(&rejects).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(kept[0]["byte_offset"], 17);
            assert_eq!(kept[1]["byte_offset"], 17 + length + 1 + 9);
            assert_eq!((&kept[1]["line_number"], &kept[1]["reason"]), (&5.into(), &"line-too-long".into()));
            assert!(kept[1]["line"].as_str().unwrap().starts_with("yyyy"));
        }
    }
}

#[test]
fn events_go_to_a_file_but_never_over_their_own_input() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output_file) = (folder.path().join("in.log"), folder.path().join("out.ndjson"));
    fs::write(&input, RECORD).unwrap();
    let output = run(&["-o", path(&output_file), path(&input)], b"");
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(fs::read(&output_file).unwrap(), run(&[], RECORD.as_bytes()).stdout);
    let refused = |arguments: &[&str], stdin: Stdio| {
        assert_failed(&command(arguments).stdin(stdin).output().unwrap(), "would be overwritten");
    };
    refused(&["-o", path(&input), path(&input)], Stdio::null());
    refused(&["-o", path(&input)], fs::File::open(&input).unwrap().into());
    let same = folder.path().join("./in.log");
    refused(&["--rejects", path(&same), path(&input)], Stdio::null());
    let (new, same) = (folder.path().join("new"), folder.path().join("./new"));
    refused(&["-o", path(&new), "--rejects", path(&same)], Stdio::null());
    assert_eq!(fs::read_to_string(&input).unwrap(), RECORD);
}

#[test]
fn a_standard_error_that_takes_nothing_stops_nothing() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = command(&[]).stderr(full).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("nonsense\n{RECORD}").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(messages(&output), [RECORD.trim_end()]);
}

#[test]
fn what_stands_well_before_a_corrupt_place_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.log.gz");
    let input = numbered(5000);
    let mut corrupt = gzip(input.as_bytes());
    let place = corrupt.len() * 9 / 10;
    corrupt[place..place + 50].fill(0xff);
    fs::write(&file, corrupt).unwrap();
    let output = run(&[path(&file)], b"");
    assert_failed(&output, "a.log.gz: ");
    assert!(messages(&output).len() > 4000, "{} events: {}", messages(&output).len(), text(&output.stderr));
}

#[test]
fn a_full_disk_is_an_error() {
    assert_failed(&run(&["-o", "/dev/full"], RECORD.as_bytes()), "the output cannot be written");
    assert_failed(&run(&["--rejects", "/dev/full"], b"nonsense\n"), "the file of the rejects");
}

#[test]
fn another_module_of_the_world_runs_and_its_faults_cost_single_lines() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("misbehaving.wasm");
    fs::write(&module, include_bytes!(concat!(env!("OUT_DIR"), "/misbehaving.wasm"))).unwrap();
    let arguments = ["--module", path(&module), "--call-timeout-secs", "1", "--module-memory-mib", "16"];
    let output = run(&arguments, b"one\ntrap\nloop\ntwo\nmemory\nthree\nnonsense\n");
    assert_eq!(text(&output.stdout), "|one\n|two\n|three\n");
    assert_eq!(counts(&output), "7 lines, 3 events, 4 rejects, 0 skips");
    let stderr = text(&output.stderr);
    for reason in ["(trap)", "(deadline)", "(memory-limit)", "(nonsense)"] {
        assert!(stderr.contains(reason), "{stderr}");
    }
}

/// The peak of the resident memory, while 1 GB goes through a pipe.
#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_input() {
    const BYTES: usize = 1_000_000_000;
    const LIMIT_KB: u64 = 100_000;
    let mut child = command(&["--rejects", "/dev/null"]).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Some lines are bad, so that the rejects are part of it.
    let block = (RECORD.repeat(99) + "2 123456789010 nonsense\n").repeat(100);
    for _ in 0..BYTES / block.len() {
        stdin.write_all(block.as_bytes()).unwrap();
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kb: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kb < LIMIT_KB, "{peak_kb} kB");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
