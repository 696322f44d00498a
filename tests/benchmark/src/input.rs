//! Generated flow logs: the same bytes in every run.

use std::fmt::Write as _;

/// What the lines are like.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Mix {
    /// The 14 columns of the default format, under its header.
    Default,
    /// The 29 columns up to version 5, under their header.
    V5,
    /// The same 29 columns in alphabetical order.
    V5Shuffled,
    /// The default format, NODATA only.
    NoData,
    /// The default format, every second line with an impossible port.
    HalfBad,
    /// The default format, IPv6 only.
    Ipv6,
    /// The default format in Firehose's `{"message": …}`.
    JsonMessage,
}

pub const V5_FIELDS: [&str; 29] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
];

/// Whole lines of at least `bytes` bytes.
pub fn generate(mix: Mix, bytes: usize) -> Vec<u8> {
    let mut order: Vec<usize> = (0..if matches!(mix, Mix::V5 | Mix::V5Shuffled) { 29 } else { 14 }).collect();
    if matches!(mix, Mix::V5Shuffled) {
        order.sort_by_key(|&index| V5_FIELDS[index]);
    }
    let line = |columns: &[String]| order.iter().map(|&index| columns[index].as_str()).collect::<Vec<_>>().join(" ");
    let mut text = line(&V5_FIELDS.map(str::to_owned)) + "\n";
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut number = 0;
    while text.len() < bytes {
        let mut columns = columns(mix, &mut random, number);
        if matches!(mix, Mix::HalfBad) && number % 2 == 0 {
            columns[5] = "123456".into();
        }
        let line = line(&columns);
        match mix {
            Mix::JsonMessage => writeln!(text, r#"{{"message":"{line}"}}"#),
            _ => writeln!(text, "{line}"),
        }
        .expect("a string can be written");
        number += 1;
    }
    text.into_bytes()
}

fn columns(mix: Mix, random: &mut Random, number: u64) -> Vec<String> {
    // A capture window of a minute, about 50 000 records each, as a busy VPC has it.
    let start = 1_700_000_000 + number / 50_000 * 60 + random.below(30);
    let end = start + 30 + random.below(30);
    let interface = format!("eni-{:017x}", 0x0f06_a40f_c9be_5960 + random.below(200));
    let head = ["2".into(), "123456789010".into(), interface];
    let window = [start.to_string(), end.to_string()];
    if matches!(mix, Mix::NoData) {
        let none = || "-".to_owned();
        return head.into_iter().chain((0..7).map(|_| none())).chain(window).chain([none(), "NODATA".into()]).collect();
    }
    let (source, destination) = (random.address(mix), random.address(mix));
    let most_packets = if random.below(4) == 0 { 20_000 } else { 40 };
    let packets = 1 + random.below(most_packets);
    let protocol = [6, 6, 6, 6, 17, 17, 1][random.below(7) as usize];
    let flow = [
        source.clone(),
        destination.clone(),
        (1024 + random.below(64_000)).to_string(),
        [443, 443, 80, 22, 53, 3389, 5432][random.below(7) as usize].to_string(),
        protocol.to_string(),
        packets.to_string(),
        (packets * (40 + random.below(1400))).to_string(),
    ];
    let action = if random.below(5) == 0 { "REJECT" } else { "ACCEPT" };
    let egress = random.below(2) == 0;
    let rest = [
        action.into(),
        "OK".into(),
        "vpc-abcdefab012345678".into(),
        format!("subnet-aaaaaaaa01234567{}", random.below(6)),
        if random.below(3) == 0 { "-".into() } else { format!("i-{:017x}", random.below(500)) },
        [2, 18, 19, 3, 0][random.below(5) as usize].to_string(),
        "IPv4".into(),
        source,
        destination,
        "eu-west-1".into(),
        format!("euw1-az{}", 1 + random.below(3)),
        "-".into(),
        "-".into(),
        "-".into(),
        if random.below(3) == 0 { "S3".into() } else { "-".into() },
        if egress { "egress".into() } else { "ingress".into() },
        if egress { "8".into() } else { "-".into() },
    ];
    head.into_iter().chain(flow).chain(window).chain(rest).collect()
}

/// Marsaglia's xorshift64*: no cryptography, always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn address(&mut self, mix: Mix) -> String {
        if matches!(mix, Mix::Ipv6) {
            let groups: Vec<String> = (0..5).map(|_| format!("{:x}", self.below(0x1_0000))).collect();
            return format!("2001:db8:1234:{}", groups.join(":"));
        }
        match self.below(2) {
            0 => format!("10.0.{}.{}", self.below(4), self.below(256)),
            // A VPC has its usual counterparts.
            _ => {
                let number = self.below(3000).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                let [_, b, c, d] = (number as u32).to_be_bytes();
                format!("{}.{b}.{c}.{d}", 11 + (number >> 24) % 200)
            }
        }
    }
}
