//! Community ID version 1 with seed 0, as <https://github.com/corelight/community-id-spec> defines it:
//! a hash of a flow's two ends and its protocol that is the same in both directions.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::address;
use crate::field::Field;
use crate::record::Record;

/// `1:` and the base64 of 20 bytes.
pub(crate) const LENGTH: usize = 30;

const ICMP: u64 = 1;
const TCP: u64 = 6;
const UDP: u64 = 17;
const IPV6_ICMP: u64 = 58;
const SCTP: u64 = 132;
/// The type of the message that answers an ICMP message of type 0, which itself is an answer.
const ECHO_REQUEST: u16 = 8;

/// The id of the record's flow, if the record has all that it takes.
pub(crate) fn community_id(record: &Record<'_>) -> Option<[u8; LENGTH]> {
    let source = address::parse(record.text(Field::Srcaddr)?.bytes());
    let destination = address::parse(record.text(Field::Dstaddr)?.bytes());
    let protocol = record.number(Field::Protocol)?;
    let port = |field| record.number(field).map(|port| port as u16);
    let ports = match protocol {
        TCP | UDP | SCTP => Some((port(Field::Srcport)?, port(Field::Dstport)?)),
        // A record has neither type nor code, and Elastic's pipeline takes what is not there as 0.
        ICMP => Some((0, ECHO_REQUEST)),
        IPV6_ICMP => Some((0, 0)),
        _ => None,
    };
    // Type 0 of ICMPv6 has no answer, so its direction counts.
    let is_one_way = protocol == IPV6_ICMP;
    let key = |address: &IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let from = (key(&source), ports.map(|(source, _)| source));
    let to = (key(&destination), ports.map(|(_, destination)| destination));
    let in_order = is_one_way || from < to;
    let (first, second) = if in_order { (source, destination) } else { (destination, source) };

    // The seed, two addresses, the protocol and a zero, two ports.
    let mut flow = [0; 2 + 16 + 16 + 2 + 4];
    let mut length = 2;
    for address in [first, second] {
        match address {
            IpAddr::V4(address) => append(&mut flow, &mut length, &address.octets()),
            IpAddr::V6(address) => append(&mut flow, &mut length, &address.octets()),
        }
    }
    append(&mut flow, &mut length, &[protocol as u8, 0]);
    if let Some((source, destination)) = ports {
        let (first, second) = if in_order { (source, destination) } else { (destination, source) };
        append(&mut flow, &mut length, &first.to_be_bytes());
        append(&mut flow, &mut length, &second.to_be_bytes());
    }
    let mut id = [0; LENGTH];
    id[..2].copy_from_slice(b"1:");
    STANDARD.encode_slice(Sha1::digest(&flow[..length]), &mut id[2..]).expect("20 bytes are 28 digits of base64");
    Some(id)
}

fn append<const N: usize>(flow: &mut [u8], length: &mut usize, bytes: &[u8; N]) {
    flow[*length..][..N].copy_from_slice(bytes);
    *length += N;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Value;
    use crate::record::{Layout, Text};

    fn id(flow: &str) -> Option<String> {
        let fields = [Field::Srcaddr, Field::Dstaddr, Field::Protocol, Field::Srcport, Field::Dstport];
        let mut layout = Layout::new();
        let mut values = Vec::new();
        let mut start = 0;
        for (slot, column) in flow.split(' ').enumerate() {
            layout.add(fields[slot], slot);
            let number = column.parse().unwrap_or(0);
            values.push(Value { start, end: start + column.len(), number });
            start += column.len() + 1;
        }
        let message = Text::whole(flow.as_bytes(), true);
        let record = Record {
            message,
            text: flow.as_bytes(),
            values: &values,
            value_bytes: flow.len(),
            layout: &layout,
            plain: true,
        };
        community_id(&record).map(|id| String::from_utf8(id.to_vec()).unwrap())
    }

    /// From the specification's own list of what an implementation must give, and Elastic's sample event.
    #[test]
    fn published_flows_have_their_published_ids() {
        for (flow, expected) in [
            ("128.232.110.120 66.35.250.204 6 34855 80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ("66.35.250.204 128.232.110.120 6 80 34855", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ("192.168.1.52 8.8.8.8 17 54585 53", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            ("8.8.8.8 192.168.1.52 17 53 54585", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            ("192.168.170.8 192.168.170.56 132 7 7", "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            ("192.168.170.56 192.168.170.8 132 7 7", "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (
                "2001:db8:1234:a100:8d6e:3477:df66:f105 2001:db8:1234:a102:3304:8879:34cf:4071 6 34892 22",
                "1:hXZclvxUJScaVf0xMIJR6yW6tBQ=",
            ),
        ] {
            assert_eq!(id(flow).as_deref(), Some(expected), "{flow}");
        }
    }

    #[test]
    fn icmp_counts_as_type_0() {
        // What the specification's own implementation (`communityid` on PyPI) gives for type 0, code 0.
        let echo_reply = Some("1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        assert_eq!(id("192.168.0.1 192.168.0.89 1 0 0").as_deref(), echo_reply);
        assert_eq!(id("192.168.0.1 192.168.0.89 1 5 6").as_deref(), echo_reply, "ports do not count");
        assert_eq!(id("fe80::1 fe80::2 58 0 0").as_deref(), Some("1:51CXJrsHp5lJ8C+pkWKx+gQBejE="));
        assert_ne!(id("fe80::1 fe80::2 58 0 0"), id("fe80::2 fe80::1 58 0 0"));
    }

    #[test]
    fn other_protocols_have_no_ports() {
        for flow in ["10.0.0.1 10.0.0.2 47 0 0", "10.0.0.2 10.0.0.1 47 7 8"] {
            assert_eq!(id(flow).as_deref(), Some("1:+KlEHDT0vJgzs/eNmzHq0aSpRYw="), "{flow}");
        }
    }

    #[test]
    fn what_is_missing_leaves_no_id() {
        assert_eq!(id("10.0.0.1 10.0.0.2 6 80"), None);
        assert_eq!(id("10.0.0.1 10.0.0.2"), None);
        assert!(id("10.0.0.1 10.0.0.2 47").is_some());
    }
}
