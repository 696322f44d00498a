//! The Sekoia.io intake format "AWS VPC Flow logs": ECS with a few names of its own.
//! Its contract is the nine samples that Sekoia publishes; `tests/` holds them.

use crate::field::Field;
use crate::json::Writer;
use crate::protocol;
use crate::record::{Record, Text};
use crate::schema::{
    Extras, TimeField, exact_member, fixed_member, message, nested_member, number_member, string_member,
};
use crate::time::Rfc3339;

/// The members of an event.
pub(super) const TOP_MEMBERS: &[&str] = &[
    "message",
    "@timestamp",
    "event",
    "action",
    "aws",
    "cloud",
    "destination",
    "network",
    "observer",
    "related",
    "source",
];

/// More than all literals, times and protocol names of an event together.
pub(super) const LITERAL_BYTES: usize = 1024;

/// No value is written more often: an address as `ip`, `address` and in `related`.
pub(super) const TIMES_WRITTEN: usize = 3;

/// Writes the record's event and a line feed to `buffer`; gives their length.
pub(super) fn write(record: &Record<'_>, extras: &Extras<'_>, rfc3339: &mut Rfc3339, buffer: &mut [u8]) -> usize {
    let mut writer = Writer::new(buffer);
    let out = &mut writer;
    out.literal(b"{");
    if extras.message {
        message(record, b"\"message\":\"", out);
    }
    let (srcaddr, dstaddr) = (record.text(Field::Srcaddr), record.text(Field::Dstaddr));
    event(record, extras, rfc3339, out);
    action(record, out);
    aws(record, out);
    cloud(record, out);
    destination(record, dstaddr, extras, out);
    network(record, out);
    if let Some(interface) = record.text(Field::InterfaceId) {
        out.literal(b"\"observer\":{\"ingress\":{\"interface\":{\"name\":\"");
        out.string(interface);
        out.literal(b"\"}}},");
    }
    related(srcaddr, dstaddr, out);
    source(record, srcaddr, extras, out);
    out.close(b'}');
    out.literal(b"\n");
    writer.finish()
}

/// `@timestamp` and `event`.
#[inline(always)]
fn event(record: &Record<'_>, extras: &Extras<'_>, rfc3339: &mut Rfc3339, out: &mut Writer<'_>) {
    let start = record.number(Field::Start).map(|start| rfc3339.seconds(start));
    let end = record.number(Field::End).map(|end| rfc3339.seconds(end));
    fixed_member(b"\"@timestamp\":\"", if extras.time_field == TimeField::Start { &start } else { &end }, out);
    out.literal(b"\"event\":{\"category\":[\"network\"],");
    fixed_member(b"\"end\":\"", &end, out);
    exact_member(b"\"id\":\"", extras.id, out);
    exact_member(b"\"ingested\":\"", extras.collected, out);
    outcome(record, out);
    fixed_member(b"\"start\":\"", &start, out);
    out.close(b'}');
    out.literal(b",");
}

#[inline(always)]
fn outcome(record: &Record<'_>, out: &mut Writer<'_>) {
    if let Some(status) = record.text(Field::LogStatus) {
        out.literal(b"\"outcome\":\"");
        out.lower_case(status);
        out.literal(b"\",");
    }
}

#[inline(always)]
fn action(record: &Record<'_>, out: &mut Writer<'_>) {
    out.literal(b"\"action\":{");
    if let Some(action) = record.text(Field::Action) {
        out.literal(b"\"name\":\"");
        out.lower_case(action);
        out.literal(b"\",");
    }
    outcome(record, out);
    let endpoints = [Field::Srcaddr, Field::Dstaddr, Field::Srcport, Field::Dstport, Field::Bytes, Field::Packets];
    if endpoints.into_iter().any(|field| record.number(field).is_some()) {
        out.literal(b"\"target\":\"network-traffic\",");
    }
    out.literal(b"\"type\":\"forward\"},");
}

#[inline(always)]
fn aws(record: &Record<'_>, out: &mut Writer<'_>) {
    let subnet = record.text(Field::SubnetId);
    let tcp_flags = record.text(Field::TcpFlags);
    let vpc = record.text(Field::VpcId);
    if subnet.is_none() && tcp_flags.is_none() && vpc.is_none() {
        return;
    }
    out.literal(b"\"aws\":{\"flowlogs\":{");
    nested_member(b"\"subnet\":{\"id\":\"", subnet, out);
    number_member(b"\"tcp_flags\":", tcp_flags, out);
    nested_member(b"\"vpc\":{\"id\":\"", vpc, out);
    out.close(b'}');
    out.literal(b"},");
}

#[inline(always)]
fn cloud(record: &Record<'_>, out: &mut Writer<'_>) {
    out.literal(b"\"cloud\":{");
    nested_member(b"\"account\":{\"id\":\"", record.text(Field::AccountId), out);
    nested_member(b"\"instance\":{\"id\":\"", record.text(Field::InstanceId), out);
    out.literal(b"\"provider\":\"aws\"},");
}

#[inline(always)]
fn destination(record: &Record<'_>, address: Option<Text<'_>>, extras: &Extras<'_>, out: &mut Writer<'_>) {
    let port = record.text(Field::Dstport);
    if address.is_some() || port.is_some() {
        out.literal(b"\"destination\":{");
        address_and_port(address, port, out);
        out.exact(extras.destination);
        out.close(b'}');
        out.literal(b",");
    }
}

/// The counters are the sender's.
#[inline(always)]
fn source(record: &Record<'_>, address: Option<Text<'_>>, extras: &Extras<'_>, out: &mut Writer<'_>) {
    let port = record.text(Field::Srcport);
    let bytes = record.text(Field::Bytes);
    let packets = record.text(Field::Packets);
    if address.is_none() && port.is_none() && bytes.is_none() && packets.is_none() {
        return;
    }
    out.literal(b"\"source\":{");
    address_and_port(address, port, out);
    number_member(b"\"bytes\":", bytes, out);
    number_member(b"\"packets\":", packets, out);
    out.exact(extras.source);
    out.close(b'}');
    out.literal(b",");
}

#[inline(always)]
fn address_and_port(address: Option<Text<'_>>, port: Option<Text<'_>>, out: &mut Writer<'_>) {
    string_member(b"\"ip\":\"", address, out);
    string_member(b"\"address\":\"", address, out);
    number_member(b"\"port\":", port, out);
}

#[inline(always)]
fn network(record: &Record<'_>, out: &mut Writer<'_>) {
    let Some(number) = record.text(Field::Protocol) else { return };
    out.literal(b"\"network\":{\"iana_number\":\"");
    out.string(number);
    out.literal(b"\",");
    // A float of a JSON record (`6.0`) keeps its text, and has no name: a published sample has it so.
    let is_integer = number.bytes().iter().all(u8::is_ascii_digit);
    let name = record.number(Field::Protocol).filter(|_| is_integer).and_then(protocol::name);
    string_member(b"\"transport\":\"", name, out);
    out.close(b'}');
    out.literal(b",");
}

/// `related.ip`: the distinct addresses in string order.
#[inline(always)]
fn related(source: Option<Text<'_>>, destination: Option<Text<'_>>, out: &mut Writer<'_>) {
    let (first, second) = match (source, destination) {
        (None, None) => return,
        (Some(only), None) | (None, Some(only)) => (only, None),
        (Some(source), Some(destination)) => match source.bytes().cmp(destination.bytes()) {
            std::cmp::Ordering::Less => (source, Some(destination)),
            std::cmp::Ordering::Equal => (source, None),
            std::cmp::Ordering::Greater => (destination, Some(source)),
        },
    };
    out.literal(b"\"related\":{\"ip\":[\"");
    out.string(first);
    if let Some(second) = second {
        out.literal(b"\",\"");
        out.string(second);
    }
    out.literal(b"\"]},");
}
