//! The flat table `AWSVPCFlowLog` of Snare Central. What it has no column for goes into `SNAREDATAMAP`.

use crate::field::Field;
use crate::json::Writer;
use crate::record::{Record, Text};
use crate::schema::{Extras, exact_member, fixed_member, message, string_member};
use crate::time::{Moment, Rfc3339};

/// The members of an event.
pub(super) const TOP_MEMBERS: &[&str] = &[
    "DATE",
    "TIME",
    "SYSTEM",
    "TABLE",
    "COLLECTIONDATETIME",
    "CWLDATETIME",
    "DATETIME",
    "VERSION",
    "ACCOUNTID",
    "INTERFACEID",
    "SRCADDR",
    "DSTADDR",
    "SRCPORT",
    "DSTPORT",
    "PROTOCOL",
    "PACKETS",
    "BYTES",
    "START",
    "ACTION",
    "LOGSTATUS",
    "EVENTID",
    "SNAREDATAMAP",
];

/// More than all literals and times of an event together.
pub(super) const LITERAL_BYTES: usize = 4096;

/// Every value is written once.
pub(super) const TIMES_WRITTEN: usize = 1;

/// Whether the field has a column of its own.
fn has_column(field: Field) -> bool {
    // Those of version 2, which are the first of the table.
    field as usize <= Field::LogStatus as usize
}

/// Writes the record's event and a line feed to `buffer`; gives their length.
pub(super) fn write(record: &Record<'_>, extras: &Extras<'_>, rfc3339: &mut Rfc3339, buffer: &mut [u8]) -> usize {
    let mut writer = Writer::new(buffer);
    let out = &mut writer;
    out.literal(b"{");
    let end = record.number(Field::End);
    if let Some(end) = end {
        let text = rfc3339.seconds(end);
        fixed_member(b"\"DATE\":\"", &text.first_chunk::<10>().copied(), out);
        fixed_member(b"\"TIME\":\"", &text[11..].first_chunk::<8>().copied(), out);
    }
    out.literal(b"\"SYSTEM\":\"AWS Internal\",\"TABLE\":\"AWSVPCFlowLog\",");
    exact_member(b"\"COLLECTIONDATETIME\":\"", extras.collected, out);
    time_member(b"\"CWLDATETIME\":\"", extras.received, rfc3339, out);
    time_member(b"\"DATETIME\":\"", end, rfc3339, out);
    integer_member(b"\"VERSION\":", record.number(Field::Version), out);
    string_member(b"\"ACCOUNTID\":\"", record.text(Field::AccountId), out);
    string_member(b"\"INTERFACEID\":\"", record.text(Field::InterfaceId), out);
    string_member(b"\"SRCADDR\":\"", record.text(Field::Srcaddr), out);
    string_member(b"\"DSTADDR\":\"", record.text(Field::Dstaddr), out);
    integer_member(b"\"SRCPORT\":", record.number(Field::Srcport), out);
    integer_member(b"\"DSTPORT\":", record.number(Field::Dstport), out);
    integer_member(b"\"PROTOCOL\":", record.number(Field::Protocol), out);
    integer_member(b"\"PACKETS\":", record.number(Field::Packets), out);
    integer_member(b"\"BYTES\":", record.number(Field::Bytes), out);
    time_member(b"\"START\":\"", record.number(Field::Start), rfc3339, out);
    string_member(b"\"ACTION\":\"", record.text(Field::Action), out);
    string_member(b"\"LOGSTATUS\":\"", record.text(Field::LogStatus), out);
    exact_member(b"\"EVENTID\":\"", extras.id, out);
    data_map(record, extras, out);
    out.close(b'}');
    out.literal(b"\n");
    writer.finish()
}

/// With as many fractional digits as are not zero.
#[inline(always)]
fn time_member<const N: usize>(name: &[u8; N], time: Option<u64>, rfc3339: &mut Rfc3339, out: &mut Writer<'_>) {
    let Some(millis) = time else { return };
    out.literal(name);
    if millis.is_multiple_of(1000) {
        out.literal(&rfc3339.seconds(millis));
    } else {
        let moment = Moment { unix_secs: millis / 1000, nanos: (millis % 1000) as u32 * 1_000_000 };
        out.exact(rfc3339.shortest(moment).as_bytes());
    }
    out.literal(b"\",");
}

#[inline(always)]
fn integer_member<const N: usize>(name: &[u8; N], number: Option<u64>, out: &mut Writer<'_>) {
    if let Some(number) = number {
        out.literal(name);
        out.integer(number);
        out.literal(b",");
    }
}

/// Every other field under AWS's name, then what AWS does not name, then the record itself, if it is wanted.
fn data_map(record: &Record<'_>, extras: &Extras<'_>, out: &mut Writer<'_>) {
    out.literal(b"\"SNAREDATAMAP\":{");
    let before = out.length();
    for &field in record.layout.fields.iter().filter(|&&field| !has_column(field)) {
        if let Some(value) = record.text(field) {
            out.literal(b"\"");
            out.exact(field.info().name.as_bytes());
            out.literal(b"\":\"");
            out.string(value);
            out.literal(b"\",");
        }
    }
    let mut has_message = false;
    for (unknown, value) in record.unknown() {
        has_message |= &*unknown.name == "message";
        out.literal(b"\"");
        out.string(Text::whole(unknown.name.as_bytes(), false));
        out.literal(b"\":\"");
        out.string(value);
        out.literal(b"\",");
    }
    if extras.message && !has_message {
        message(record, b"\"message\":\"", out);
    }
    if out.length() == before {
        out.take_back(b"\"SNAREDATAMAP\":{");
    } else {
        out.close(b'}');
        out.literal(b",");
    }
}
