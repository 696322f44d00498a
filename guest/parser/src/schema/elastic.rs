//! ECS 8.11 as the Elastic data stream "AWS VPC flow" has it, with the field list of
//! <https://www.elastic.co/docs/reference/integrations/aws/vpcflow>. Members are in alphabetical order,
//! those below `aws.vpcflow` in the order of the field table.

use percent_encoding::percent_decode;

use crate::community_id::community_id;
use crate::field::Field;
use crate::json::{Padded, Writer};
use crate::protocol;
use crate::record::{Record, Text};
use crate::schema::{
    Extras, TimeField, exact_member, fixed_member, message, nested_member, number_member, string_member,
};
use crate::time::Rfc3339;

/// The members of an event.
pub(super) const TOP_MEMBERS: &[&str] = &[
    "@timestamp",
    "aws",
    "cloud",
    "container",
    "data_stream",
    "destination",
    "ecs",
    "event",
    "network",
    "orchestrator",
    "related",
    "service",
    "source",
];

/// `data_stream` in the events: its type and dataset.
pub(super) const DATA_STREAM: &str = "logs-aws.vpcflow";

/// More than all literals, times and protocol names of an event together.
pub(super) const LITERAL_BYTES: usize = 4096;

/// No value is written more often: an address as `ip`, `address` and in `related`. A tag may grow to
/// twice its length when it is decoded: from `%01` to `\u0001`.
pub(super) const TIMES_WRITTEN: usize = 3;

/// Writes the record's event and a line feed to `buffer`; gives their length.
pub(super) fn write(record: &Record<'_>, extras: &Extras<'_>, rfc3339: &mut Rfc3339, buffer: &mut [u8]) -> usize {
    let mut writer = Writer::new(buffer);
    let out = &mut writer;
    let start = record.number(Field::Start).map(|start| rfc3339.millis(start));
    let end = record.number(Field::End).map(|end| rfc3339.millis(end));
    let (time, other) = if extras.time_field == TimeField::End { (end, start) } else { (start, end) };
    // A data stream takes no event without a time, so any is better than none.
    let time = time.or(other).or_else(|| extras.received.map(|received| rfc3339.millis(received)));
    out.literal(b"{");
    match &time {
        Some(_) => fixed_member(b"\"@timestamp\":\"", &time, out),
        None => exact_member(b"\"@timestamp\":\"", extras.collected, out),
    }
    vpcflow(record, out);
    cloud(record, out);
    nested_member(b"\"container\":{\"id\":\"", record.text(Field::EcsContainerId), out);
    out.literal(b"\"data_stream\":{\"dataset\":\"aws.vpcflow\",\"namespace\":\"default\",\"type\":\"logs\"},");
    let (srcaddr, dstaddr) = (record.text(Field::Srcaddr), record.text(Field::Dstaddr));
    let dstport = record.text(Field::Dstport);
    if dstaddr.is_some() || dstport.is_some() {
        out.literal(b"\"destination\":{");
        endpoint(dstaddr, dstport, extras.destination, out);
        end_object(out);
    }
    out.literal(b"\"ecs\":{\"version\":\"8.11.0\"},");
    event(record, extras, (&start, &end), out);
    network(record, srcaddr.or(dstaddr), out);
    orchestrator(record, out);
    related(record, out);
    nested_member(b"\"service\":{\"name\":\"", record.text(Field::EcsServiceName), out);
    let (srcport, bytes, packets) =
        (record.text(Field::Srcport), record.text(Field::Bytes), record.text(Field::Packets));
    if srcaddr.is_some() || srcport.is_some() || bytes.is_some() || packets.is_some() {
        out.literal(b"\"source\":{");
        number_member(b"\"bytes\":", bytes, out);
        number_member(b"\"packets\":", packets, out);
        endpoint(srcaddr, srcport, extras.source, out);
        end_object(out);
    }
    out.close(b'}');
    out.literal(b"\n");
    writer.finish()
}

#[inline(always)]
fn end_object(out: &mut Writer<'_>) {
    out.close(b'}');
    out.literal(b",");
}

#[inline(always)]
fn endpoint(address: Option<Text<'_>>, port: Option<Text<'_>>, members: &[u8], out: &mut Writer<'_>) {
    string_member(b"\"address\":\"", address, out);
    out.exact(members);
    string_member(b"\"ip\":\"", address, out);
    number_member(b"\"port\":", port, out);
}

#[inline(always)]
fn event(
    record: &Record<'_>,
    extras: &Extras<'_>,
    (start, end): (&Option<[u8; 24]>, &Option<[u8; 24]>),
    out: &mut Writer<'_>,
) {
    let action = record.text(Field::Action);
    out.literal(b"\"event\":{");
    string_member(b"\"action\":\"", action, out);
    out.literal(b"\"category\":[\"network\"],\"dataset\":\"aws.vpcflow\",");
    fixed_member(b"\"end\":\"", end, out);
    exact_member(b"\"id\":\"", extras.id, out);
    exact_member(b"\"ingested\":\"", extras.collected, out);
    out.literal(b"\"kind\":\"event\",\"module\":\"aws\",");
    if extras.message {
        message(record, b"\"original\":\"", out);
    }
    let action = action.map(Text::bytes).unwrap_or_default();
    match action {
        b"ACCEPT" => out.literal(b"\"outcome\":\"success\","),
        b"REJECT" => out.literal(b"\"outcome\":\"failure\","),
        _ => {}
    }
    string_member(b"\"reason\":\"", record.text(Field::RejectReason), out);
    fixed_member(b"\"start\":\"", start, out);
    match action {
        b"ACCEPT" => out.literal(b"\"type\":[\"connection\",\"allowed\"]},"),
        b"REJECT" => out.literal(b"\"type\":[\"connection\",\"denied\"]},"),
        _ => out.literal(b"\"type\":[\"connection\"]},"),
    }
}

/// `address` is one of the two ends.
#[inline(always)]
fn network(record: &Record<'_>, address: Option<Text<'_>>, out: &mut Writer<'_>) {
    out.literal(b"\"network\":{");
    let before = out.length();
    number_member(b"\"bytes\":", record.text(Field::Bytes), out);
    fixed_member(b"\"community_id\":\"", &community_id(record), out);
    string_member(b"\"direction\":\"", record.text(Field::FlowDirection), out);
    let protocol = record.number(Field::Protocol);
    if let Some(protocol) = protocol {
        // The number rather than its text, which in JSON may be `6.0`.
        out.literal(b"\"iana_number\":\"");
        out.integer(protocol);
        out.literal(b"\",");
    }
    number_member(b"\"packets\":", record.text(Field::Packets), out);
    string_member(b"\"transport\":\"", protocol.and_then(protocol::name).map(without_blank), out);
    if let Some(address) = address {
        match address.bytes().contains(&b':') {
            true => out.literal(b"\"type\":\"ipv6\","),
            false => out.literal(b"\"type\":\"ipv4\","),
        }
    }
    if out.length() == before {
        out.take_back(b"\"network\":{");
    } else {
        end_object(out);
    }
}

/// One published name ends in a blank.
#[inline(always)]
fn without_blank(name: Text<'_>) -> Text<'_> {
    Text { length: name.bytes().trim_ascii_end().len(), ..name }
}

#[inline(always)]
fn cloud(record: &Record<'_>, out: &mut Writer<'_>) {
    out.literal(b"\"cloud\":{");
    nested_member(b"\"account\":{\"id\":\"", record.text(Field::AccountId), out);
    string_member(b"\"availability_zone\":\"", record.text(Field::AzId), out);
    nested_member(b"\"instance\":{\"id\":\"", record.text(Field::InstanceId), out);
    out.literal(b"\"provider\":\"aws\",");
    string_member(b"\"region\":\"", record.text(Field::Region), out);
    end_object(out);
}

/// The cluster and the container instance of an ECS task.
#[inline(always)]
fn orchestrator(record: &Record<'_>, out: &mut Writer<'_>) {
    const TASK: std::ops::RangeInclusive<usize> = Field::EcsClusterArn as usize..=Field::EcsTaskId as usize;
    // The fields are in the order of the table, so that the last one tells of most formats that they have none.
    let fields = &record.layout.fields;
    let is_of_task = |field: &Field| TASK.contains(&(*field as usize)) && record.text(*field).is_some();
    if fields.last().is_none_or(|&last| (last as usize) < *TASK.start()) || !fields.iter().any(is_of_task) {
        return;
    }
    out.literal(b"\"orchestrator\":{");
    let (arn, name) = (record.text(Field::EcsClusterArn), record.text(Field::EcsClusterName));
    if arn.is_some() || name.is_some() {
        out.literal(b"\"cluster\":{");
        string_member(b"\"id\":\"", arn, out);
        string_member(b"\"name\":\"", name, out);
        end_object(out);
    }
    let (id, name) = (record.text(Field::EcsContainerInstanceId), record.text(Field::EcsContainerInstanceArn));
    if id.is_some() || name.is_some() {
        out.literal(b"\"resource\":{");
        string_member(b"\"id\":\"", id, out);
        string_member(b"\"name\":\"", name, out);
        end_object(out);
    }
    out.literal(b"\"type\":\"ecs\"},");
}

/// `related.ip`: the distinct addresses, as the interface saw them and as the packet has them.
#[inline(always)]
fn related(record: &Record<'_>, out: &mut Writer<'_>) {
    let addresses =
        [Field::Srcaddr, Field::Dstaddr, Field::PktSrcaddr, Field::PktDstaddr].map(|field| record.text(field));
    if addresses.iter().all(Option::is_none) {
        return;
    }
    out.literal(b"\"related\":{\"ip\":[");
    for (index, address) in addresses.iter().enumerate() {
        let is_new =
            |address: &Text<'_>| !addresses[..index].iter().flatten().any(|earlier| earlier.bytes() == address.bytes());
        if let Some(address) = address.filter(is_new) {
            out.literal(b"\"");
            out.string(address);
            out.literal(b"\",");
        }
    }
    out.close(b']');
    out.literal(b"},");
}

/// How a field is written below `aws.vpcflow`.
#[derive(Clone, Copy)]
enum Member {
    /// It stands elsewhere in the event.
    None,
    String(Padded),
    Number(Padded),
    /// A string that AWS percent-encodes.
    Tag(Padded),
}

/// How each field is written, by its number.
static MEMBERS: [Member; Field::ALL.len()] = {
    let mut members = [Member::None; Field::ALL.len()];
    let mut index = 0;
    while index < members.len() {
        members[index] = member(Field::ALL[index]);
        index += 1;
    }
    members
};

const fn member(field: Field) -> Member {
    use Field::*;
    match field {
        Srcaddr
        | Dstaddr
        | Srcport
        | Dstport
        | Protocol
        | Packets
        | Bytes
        | Start
        | End
        | Region
        | AzId
        | SublocationType
        | SublocationId
        | FlowDirection
        | EcsClusterArn
        | EcsClusterName
        | EcsContainerInstanceArn
        | EcsContainerInstanceId
        | EcsContainerId
        | EcsServiceName
        | RejectReason => Member::None,
        PktSrcAwsService => Member::String(name("pkt-src-service")),
        PktDstAwsService => Member::String(name("pkt-dst-service")),
        PacketsLostNoRoute | PacketsLostBlackhole | PacketsLostMtuExceeded | PacketsLostTtlExpired => {
            Member::Number(name(field.info().name))
        }
        InstanceTag | InstanceTag2 | InterfaceTag | InterfaceTag2 | AsgTag | AsgTag2 => {
            Member::Tag(name(field.info().name))
        }
        _ => Member::String(name(field.info().name)),
    }
}

/// `"vpc_id":` for `vpc-id`.
const fn name(name: &str) -> Padded {
    let mut text = [0; 40];
    let name = name.as_bytes();
    let mut index = 0;
    text[0] = b'"';
    while index < name.len() {
        text[index + 1] = if name[index] == b'-' { b'_' } else { name[index] };
        index += 1;
    }
    text[index + 1] = b'"';
    text[index + 2] = b':';
    match std::str::from_utf8(text.split_at(index + 3).0) {
        Ok(text) => Padded::new(text),
        Err(_) => panic!("AWS's names are ASCII"),
    }
}

fn vpcflow(record: &Record<'_>, out: &mut Writer<'_>) {
    out.literal(b"\"aws\":{\"vpcflow\":{");
    let before = out.length();
    for &field in &record.layout.fields {
        let Some(value) = record.text(field) else { continue };
        match &MEMBERS[field as usize] {
            Member::None => {}
            Member::String(name) => {
                out.string(name.text());
                out.literal(b"\"");
                out.string(value);
                out.literal(b"\",");
            }
            Member::Number(name) => {
                out.string(name.text());
                out.string(value);
                out.literal(b",");
            }
            Member::Tag(name) => {
                out.string(name.text());
                tag(value, out);
            }
        }
        if matches!(field, Field::TcpFlags) {
            tcp_flags_array(record.number(field).unwrap_or_default(), out);
        }
    }
    let (id, kind) = (record.text(Field::SublocationId), record.text(Field::SublocationType));
    if id.is_some() || kind.is_some() {
        out.literal(b"\"sublocation\":{");
        string_member(b"\"id\":\"", id, out);
        string_member(b"\"type\":\"", kind, out);
        end_object(out);
    }
    if !record.layout.unknown.is_empty() {
        unknown(record, out);
    }
    if out.length() == before {
        out.take_back(b"\"aws\":{\"vpcflow\":{");
    } else {
        out.close(b'}');
        out.literal(b"},");
    }
}

/// The names of the bits that AWS documents.
#[inline(always)]
fn tcp_flags_array(flags: u64, out: &mut Writer<'_>) {
    if flags & 0x3f == 0 {
        return;
    }
    out.literal(b"\"tcp_flags_array\":[");
    for (bit, name) in [b"\"fin\",", b"\"syn\",", b"\"rst\",", b"\"psh\",", b"\"ack\",", b"\"urg\","].iter().enumerate()
    {
        if flags & (1 << bit) != 0 {
            out.literal(name);
        }
    }
    out.close(b']');
    out.literal(b",");
}

/// The text that AWS has percent-encoded; as it came, if it is not that.
#[cold]
fn tag(value: Text<'_>, out: &mut Writer<'_>) {
    let decoded = percent_decode(value.bytes()).decode_utf8();
    let decoded = decoded.as_ref().map_or(value.bytes(), |text| text.as_bytes());
    out.literal(b"\"");
    out.string(Text::whole(decoded, false));
    out.literal(b"\",");
}

#[cold]
fn unknown(record: &Record<'_>, out: &mut Writer<'_>) {
    for (unknown, value) in record.unknown() {
        out.literal(b"\"");
        out.string(Text::whole(unknown.member.as_bytes(), false));
        out.literal(b"\":\"");
        out.string(value);
        out.literal(b"\",");
    }
}
