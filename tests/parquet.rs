//! Parquet files give the events of the same records in text.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::parser::parse_message_type;
use flate2::Compression as GzipLevel;
use flate2::write::GzEncoder;

use crate::cases::SCHEMAS;

/// A column: its name, its type in Parquet's own notation, its values.
struct Column {
    name: String,
    kind: &'static str,
    values: Vec<Option<String>>,
}

fn column(name: &str, kind: &'static str, values: &[Option<&str>]) -> Column {
    Column { name: name.into(), kind, values: values.iter().map(|value| value.map(str::to_owned)).collect() }
}

/// A file of these columns, so many rows to a row group.
fn file(columns: &[Column], codec: Compression, group_rows: usize) -> Vec<u8> {
    let fields = columns.iter().map(|column| match column.kind.split_once(' ') {
        Some((kind, logical)) => format!("optional {kind} {} ({logical});", column.name),
        None => format!("optional {} {};", column.kind, column.name),
    });
    let schema = format!("message flow_log {{ {} }}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let rows = columns[0].values.len();
    for start in (0..rows).step_by(group_rows) {
        let end = rows.min(start + group_rows);
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            let mut target = group.next_column().unwrap().unwrap();
            write(&mut target, column.kind, &column.values[start..end]);
            target.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

fn write(target: &mut SerializedColumnWriter<'_>, kind: &str, values: &[Option<String>]) {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present = values.iter().flatten();
    let levels = Some(levels.as_slice());
    match kind.split(' ').next().unwrap() {
        "int32" => {
            let values: Vec<i32> = present.map(|value| value.parse().unwrap()).collect();
            target.typed::<Int32Type>().write_batch(&values, levels, None).unwrap();
        }
        "int64" => {
            let values: Vec<i64> = present.map(|value| value.parse().unwrap()).collect();
            target.typed::<Int64Type>().write_batch(&values, levels, None).unwrap();
        }
        "float" => {
            let values: Vec<f32> = present.map(|value| value.parse().unwrap()).collect();
            target.typed::<FloatType>().write_batch(&values, levels, None).unwrap();
        }
        "double" => {
            let values: Vec<f64> = present.map(|value| value.parse().unwrap()).collect();
            target.typed::<DoubleType>().write_batch(&values, levels, None).unwrap();
        }
        _ => {
            let values: Vec<ByteArray> = present.map(|value| value.as_bytes().to_vec().into()).collect();
            target.typed::<ByteArrayType>().write_batch(&values, levels, None).unwrap();
        }
    }
}

/// The records of a text file under its header line as AWS writes them in Parquet.
pub fn parquet_of(text: &str) -> Vec<u8> {
    file(&columns_of(text, |kind| kind), Compression::GZIP(Default::default()), 1000)
}

const UTF8: &str = "binary UTF8";
/// The fields that AWS's documentation gives an integer type.
const INT32: [&str; 7] =
    ["version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path", "encryption-status"];
const INT64: [&str; 8] = [
    "packets",
    "bytes",
    "start",
    "end",
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
];

/// The records of a text file under its header line, as AWS writes them in Parquet: integers may be
/// null, texts are `-`. `integer` may give the integers another type.
fn columns_of(text: &str, integer: fn(&'static str) -> &'static str) -> Vec<Column> {
    let mut lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    let column = |(index, name): (usize, &&str)| {
        let kind = match () {
            () if INT32.contains(name) => integer("int32"),
            () if INT64.contains(name) => integer("int64"),
            () => UTF8,
        };
        let value = |row: &Vec<&str>| match row[index] {
            "-" if kind == "double" => Some("NaN".to_owned()),
            "-" if kind != UTF8 => None,
            value => Some(value.to_owned()),
        };
        Column { name: name.replace('-', "_"), kind, values: rows.iter().map(value).collect() }
    };
    names.iter().enumerate().map(column).collect()
}

fn run(folder: &Path, arguments: &[&str], input: Option<&[u8]>) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"))
        .current_dir(folder)
        .args([&["transform", "--no-message"], arguments].concat())
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const TEXT: &str = "\
bytes version account-id srcaddr dstaddr srcport dstport protocol packets start end action log-status tcp-flags traffic-path region instance-tag packets-lost-no-route newfield
4249 11 012345678901 172.31.16.139 172.31.16.21 20641 22 6 20 1418530010 1418530070 ACCEPT OK 0 8 eu-west-1 web%20server 0 x
- 11 012345678901 - - - - - - 1431280876 1431280934 - NODATA - - - - - -
336 11 unknown 203.0.113.12 2001:db8::1 0 0 1 4 1432917027 1432917142 REJECT OK 63 - - - 7 y
9223372036854775807 11 012345678901 172.31.16.139 172.31.16.21 65535 65535 255 9223372036854775807 1418530010 1418530070 ACCEPT OK 2147483647 1 - - - -
";

#[test]
fn parquet_gives_the_events_of_the_same_records_in_text() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flow.log"), TEXT).unwrap();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::GZIP(Default::default()),
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for schema in SCHEMAS {
        let (status, expected, _) = run(folder.path(), &["--schema", schema, "flow.log"], None);
        assert_eq!((status, expected.lines().count()), (Some(0), 4));
        let check = |file: Vec<u8>, what: &str| {
            fs::write(folder.path().join("flow.log.parquet"), file).unwrap();
            let (status, events, errors) = run(folder.path(), &["--schema", schema, "flow.log.parquet"], None);
            assert_eq!((status, events.as_str()), (Some(0), expected.as_str()), "{what}: {errors}");
            assert!(errors.contains("4 lines, 4 events, 0 rejects, 0 skips"), "{errors}");
        };
        let columns = columns_of(TEXT, |kind| kind);
        for codec in codecs {
            for group_rows in [1, 3, 100] {
                check(file(&columns, codec, group_rows), &format!("{codec:?}, {group_rows}"));
            }
        }
        check(file(&columns_of(TEXT, |_| UTF8), codecs[1], 100), "all texts");
        check(file(&columns_of(TEXT, |_| "int64"), codecs[1], 100), "all integers of 64 bits");
        let mut reversed = columns_of(TEXT, |kind| kind);
        reversed.reverse();
        check(file(&reversed, codecs[1], 100), "columns in another order");
    }
    // As pandas leaves integers with a null: floats, and NaN.
    let text: String = TEXT.lines().take(4).map(|line| line.to_owned() + "\n").collect();
    fs::write(folder.path().join("flow.log"), &text).unwrap();
    let (_, expected, _) = run(folder.path(), &["flow.log"], None);
    fs::write(folder.path().join("floats.parquet"), file(&columns_of(&text, |_| "double"), codecs[2], 100)).unwrap();
    assert_eq!(run(folder.path(), &["floats.parquet"], None).1, expected);
}

#[test]
fn a_format_that_is_given_does_not_apply_to_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [column("srcaddr", UTF8, &[Some("10.0.0.1")]), column("dstaddr", UTF8, &[Some("10.0.0.2")])];
    fs::write(folder.path().join("flow.parquet"), file(&columns, Compression::SNAPPY, 10)).unwrap();
    let (_, events, _) =
        run(folder.path(), &["--format", "dstaddr srcaddr", "--schema", "snare", "flow.parquet"], None);
    assert!(events.contains(r#""SRCADDR":"10.0.0.1","DSTADDR":"10.0.0.2""#), "{events}");
}

#[test]
fn streams_and_outer_gzip_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = file(&columns_of(TEXT, |kind| kind), Compression::SNAPPY, 100);
    let (_, expected, _) = run(folder.path(), &["-"], Some(&bytes));
    assert_eq!(expected.lines().count(), 4);
    let mut encoder = GzEncoder::new(Vec::new(), GzipLevel::default());
    encoder.write_all(&bytes).unwrap();
    let gzip = encoder.finish().unwrap();
    assert_eq!(run(folder.path(), &["-"], Some(&gzip)).1, expected);
    fs::write(folder.path().join("flow.parquet.gz"), gzip).unwrap();
    fs::write(folder.path().join("flow.parquet.zst"), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
    for name in ["flow.parquet.gz", "flow.parquet.zst"] {
        assert_eq!(run(folder.path(), &[name], None).1, expected, "{name}");
    }
}

#[test]
fn what_a_column_may_hold() {
    let folder = tempfile::tempdir().unwrap();
    let transform = |columns: &[Column], arguments: &[&str]| {
        fs::write(folder.path().join("flow.parquet"), file(columns, Compression::SNAPPY, 10)).unwrap();
        run(folder.path(), &[arguments, &["flow.parquet"]].concat(), None)
    };
    let srcaddr = || column("srcaddr", UTF8, &[Some("10.0.0.1")]);
    for (kind, start) in [
        ("int64 TIMESTAMP(MILLIS,true)", "1418530010123"),
        ("int64 TIMESTAMP(MICROS,true)", "1418530010123456"),
        ("int64 TIMESTAMP(NANOS,true)", "1418530010123456789"),
        ("int64", "1418530010123"),
    ] {
        let (_, events, errors) =
            transform(&[srcaddr(), column("start", kind, &[Some(start)])], &["--schema", "elastic"]);
        assert!(events.contains(r#""start":"2014-12-14T04:06:50.123Z""#), "{kind}: {events}{errors}");
    }
    // Floats without a fraction are integers, also a negative zero.
    for (kind, port, expected) in [("double", "-0.0", 0), ("float", "443", 443), ("double", "65535.0", 65535)] {
        let (_, events, errors) = transform(&[column("srcport", kind, &[Some(port)])], &["--schema", "snare"]);
        assert!(events.contains(&format!("\"SRCPORT\":{expected}}}")), "{kind} {port}: {events}{errors}");
    }
    // Texts that would be no column of a text line.
    let odd = column("instance_tag", UTF8, &[Some("a b\n\"c\" \u{1} ü")]);
    let (_, events, _) = transform(&[srcaddr(), odd], &["--schema", "snare"]);
    assert!(events.contains(r#"{"instance-tag":"a b\n\"c\" \u0001 ü"}"#), "{events}");
    // A bad value costs its row, and the row is the line.
    let ports = column("srcport", "int32", &[Some("1"), Some("-1"), None, Some("65536")]);
    let (status, events, errors) = transform(&[ports], &[]);
    assert_eq!((status, events.lines().count()), (Some(0), 1));
    for part in [
        "flow.parquet:2: srcport: found \"-1\"",
        "flow.parquet:3: found \"{}\"",
        "flow.parquet:4: srcport: found \"65536\"",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let (status, _, errors) = transform(&[column("bytes", "int32 DECIMAL(5,2)", &[Some("5")])], &[]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("flow.parquet: has a decimal fraction in its column bytes"), "{errors}");
}

#[test]
fn damaged_files_say_so_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let many: Vec<Option<String>> =
        (0..20_000).map(|number| Some(format!("10.0.{}.{}", number / 250, number % 250))).collect();
    let columns = [Column { name: "srcaddr".into(), kind: UTF8, values: many }];
    let whole = file(&columns, Compression::SNAPPY, 5_000);
    let mut broken_page = whole.clone();
    let middle = whole.len() / 2;
    broken_page[middle..middle + 2000].fill(0xff);
    let damages: [(&str, &[u8]); 4] = [
        ("cut.parquet", &whole[..whole.len() - 20]),
        ("magic.parquet", b"PAR1"),
        ("footer.parquet", b"PAR1\xff\xff\xff\x7fPAR1"),
        ("page.parquet", &broken_page),
    ];
    fs::write(folder.path().join("z.log"), "srcaddr\n10.0.0.1\n").unwrap();
    for (name, bytes) in damages {
        fs::write(folder.path().join(name), bytes).unwrap();
        let (status, events, errors) = run(folder.path(), &[name, "z.log"], None);
        assert_eq!(status, Some(2), "{name}: {errors}");
        assert!(errors.contains(&format!("{name}: is no Parquet file that can be read: ")), "{errors}");
        let rows = if name == "page.parquet" { 5_000..20_000 } else { 0..1 };
        assert!(rows.contains(&(events.lines().count() - 1)), "{name}: {} events", events.lines().count());
    }
}

#[test]
fn damage_of_any_byte_is_an_error_or_other_values_but_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.log.parquet");
    let whole = parquet_of("version srcaddr bytes\n2 10.0.0.1 40\n2 10.0.0.2 -\n");
    for position in 0..whole.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[position] ^= bits;
            fs::write(&path, damaged).unwrap();
            let source = vpcflow::source::Source::File(path.clone());
            let lines = source.open(Default::default()).and_then(|reader| {
                // Damage may look like a number of rows.
                std::io::read_to_string(std::io::Read::take(reader, 1 << 20))
            });
            drop(lines);
        }
    }
}
