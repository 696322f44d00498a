//! The Sekoia.io intake format "AWS VPC Flow logs": ECS with a few names of its own.
//! Its contract is the nine samples that Sekoia publishes; `tests/` holds them.

use crate::field::Field;
use crate::json::{close, comma, literal, string};
use crate::protocol;
use crate::record::{Record, Text};
use crate::time::Rfc3339;

/// Appends the record's event and a line feed.
pub(super) fn write(record: &Record<'_>, rfc3339: &mut Rfc3339, out: &mut Vec<u8>) {
    literal(out, b"{\"message\":\"");
    string(out, record.message);
    literal(out, b"\",");
    let (srcaddr, dstaddr) = (record.text(Field::Srcaddr), record.text(Field::Dstaddr));
    event(record, rfc3339, out);
    action(record, out);
    aws(record, out);
    cloud(record, out);
    destination(record, dstaddr, out);
    network(record, out);
    if let Some(interface) = record.text(Field::InterfaceId) {
        literal(out, b"\"observer\":{\"ingress\":{\"interface\":{\"name\":\"");
        string(out, interface);
        literal(out, b"\"}}},");
    }
    related(srcaddr, dstaddr, out);
    source(record, srcaddr, out);
    close(out, b'}');
    out.push(b'\n');
}

/// `@timestamp` and `event`.
#[inline(always)]
fn event(record: &Record<'_>, rfc3339: &mut Rfc3339, out: &mut Vec<u8>) {
    let start = record.number(Field::Start).map(|start| rfc3339.seconds(start));
    if let Some(start) = &start {
        literal(out, b"\"@timestamp\":\"");
        literal(out, start);
        literal(out, b"\",");
    }
    literal(out, b"\"event\":{\"category\":[\"network\"],");
    if let Some(end) = record.number(Field::End) {
        literal(out, b"\"end\":\"");
        literal(out, &rfc3339.seconds(end));
        literal(out, b"\",");
    }
    outcome(record, out);
    if let Some(start) = &start {
        literal(out, b"\"start\":\"");
        literal(out, start);
        literal(out, b"\",");
    }
    close(out, b'}');
    comma(out);
}

#[inline(always)]
fn outcome(record: &Record<'_>, out: &mut Vec<u8>) {
    if let Some(status) = record.text(Field::LogStatus) {
        literal(out, b"\"outcome\":\"");
        lower_case(out, status);
        literal(out, b"\",");
    }
}

#[inline(always)]
fn action(record: &Record<'_>, out: &mut Vec<u8>) {
    literal(out, b"\"action\":{");
    if let Some(action) = record.text(Field::Action) {
        literal(out, b"\"name\":\"");
        lower_case(out, action);
        literal(out, b"\",");
    }
    outcome(record, out);
    let endpoints = [Field::Srcaddr, Field::Dstaddr, Field::Srcport, Field::Dstport, Field::Bytes, Field::Packets];
    if endpoints.into_iter().any(|field| record.number(field).is_some()) {
        literal(out, b"\"target\":\"network-traffic\",");
    }
    literal(out, b"\"type\":\"forward\"},");
}

#[inline(always)]
fn aws(record: &Record<'_>, out: &mut Vec<u8>) {
    let subnet = record.text(Field::SubnetId);
    let tcp_flags = record.text(Field::TcpFlags);
    let vpc = record.text(Field::VpcId);
    if subnet.is_none() && tcp_flags.is_none() && vpc.is_none() {
        return;
    }
    literal(out, b"\"aws\":{\"flowlogs\":{");
    if let Some(subnet) = subnet {
        literal(out, b"\"subnet\":{\"id\":\"");
        string(out, subnet);
        literal(out, b"\"},");
    }
    if let Some(tcp_flags) = tcp_flags {
        literal(out, b"\"tcp_flags\":");
        string(out, tcp_flags);
        comma(out);
    }
    if let Some(vpc) = vpc {
        literal(out, b"\"vpc\":{\"id\":\"");
        string(out, vpc);
        literal(out, b"\"},");
    }
    close(out, b'}');
    literal(out, b"},");
}

#[inline(always)]
fn cloud(record: &Record<'_>, out: &mut Vec<u8>) {
    literal(out, b"\"cloud\":{");
    if let Some(account) = record.text(Field::AccountId) {
        literal(out, b"\"account\":{\"id\":\"");
        string(out, account);
        literal(out, b"\"},");
    }
    if let Some(instance) = record.text(Field::InstanceId) {
        literal(out, b"\"instance\":{\"id\":\"");
        string(out, instance);
        literal(out, b"\"},");
    }
    literal(out, b"\"provider\":\"aws\"},");
}

#[inline(always)]
fn destination(record: &Record<'_>, address: Option<Text<'_>>, out: &mut Vec<u8>) {
    let port = record.text(Field::Dstport);
    if address.is_some() || port.is_some() {
        literal(out, b"\"destination\":{");
        address_and_port(address, port, out);
        close(out, b'}');
        comma(out);
    }
}

/// The counters are the sender's.
#[inline(always)]
fn source(record: &Record<'_>, address: Option<Text<'_>>, out: &mut Vec<u8>) {
    let port = record.text(Field::Srcport);
    let bytes = record.text(Field::Bytes);
    let packets = record.text(Field::Packets);
    if address.is_none() && port.is_none() && bytes.is_none() && packets.is_none() {
        return;
    }
    literal(out, b"\"source\":{");
    address_and_port(address, port, out);
    if let Some(bytes) = bytes {
        literal(out, b"\"bytes\":");
        string(out, bytes);
        comma(out);
    }
    if let Some(packets) = packets {
        literal(out, b"\"packets\":");
        string(out, packets);
        comma(out);
    }
    close(out, b'}');
    comma(out);
}

#[inline(always)]
fn address_and_port(address: Option<Text<'_>>, port: Option<Text<'_>>, out: &mut Vec<u8>) {
    if let Some(address) = address {
        literal(out, b"\"ip\":\"");
        string(out, address);
        literal(out, b"\",\"address\":\"");
        string(out, address);
        literal(out, b"\",");
    }
    if let Some(port) = port {
        literal(out, b"\"port\":");
        string(out, port);
        comma(out);
    }
}

#[inline(always)]
fn network(record: &Record<'_>, out: &mut Vec<u8>) {
    let Some(number) = record.text(Field::Protocol) else { return };
    literal(out, b"\"network\":{\"iana_number\":\"");
    string(out, number);
    literal(out, b"\",");
    // A float of a JSON record (`6.0`) keeps its text, and has no name: a published sample has it so.
    let is_integer = number.bytes().iter().all(u8::is_ascii_digit);
    if let Some(name) = record.number(Field::Protocol).filter(|_| is_integer).and_then(protocol::name) {
        literal(out, b"\"transport\":\"");
        out.extend_from_slice(name.as_bytes());
        literal(out, b"\",");
    }
    close(out, b'}');
    comma(out);
}

/// `related.ip`: the distinct addresses in string order.
#[inline(always)]
fn related(source: Option<Text<'_>>, destination: Option<Text<'_>>, out: &mut Vec<u8>) {
    let (first, second) = match (source, destination) {
        (None, None) => return,
        (Some(only), None) | (None, Some(only)) => (only, None),
        (Some(source), Some(destination)) => match source.bytes().cmp(destination.bytes()) {
            std::cmp::Ordering::Less => (source, Some(destination)),
            std::cmp::Ordering::Equal => (source, None),
            std::cmp::Ordering::Greater => (destination, Some(source)),
        },
    };
    literal(out, b"\"related\":{\"ip\":[\"");
    string(out, first);
    if let Some(second) = second {
        literal(out, b"\",\"");
        string(out, second);
    }
    literal(out, b"\"]},");
}

/// Appends a word in lower case.
#[inline(always)]
fn lower_case(out: &mut Vec<u8>, word: Text<'_>) {
    let start = out.len();
    string(out, word);
    out[start..].make_ascii_lowercase();
}
