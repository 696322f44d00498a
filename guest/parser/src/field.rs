//! The one table of AWS's flow log fields. Format parsing, validation and the schemas read it;
//! nothing else in the workspace spells out a field name.
//!
//! Source: "Flow log records" (Amazon VPC User Guide, 54 fields up to version 11, June 2026) and
//! "Transit Gateway Flow Logs" (Amazon VPC Transit Gateways guide, version 6, 18 further fields).
//! Types are those of AWS's Parquet files.

use crate::value::{Kind, Shape};

/// One row of the table.
#[derive(Debug)]
#[non_exhaustive]
pub struct FieldInfo {
    /// AWS's own name, hyphenated, as it stands in header lines.
    pub name: &'static str,
    /// The flow log version that brought the field.
    pub since: u8,
    /// What a legal value is.
    pub kind: Kind,
    /// What AWS's values look like; only asked for where the format had to be guessed.
    pub shape: Shape,
    /// What the field says, in one line.
    pub doc: &'static str,
}

macro_rules! fields {
    ($($variant:ident $name:literal $since:literal $kind:ident $shape:expr, $doc:literal;)*) => {
        /// A field that AWS names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Field { $(#[doc = $doc] $variant),* }

        impl Field {
            /// Every field: the 54 of VPC flow logs in AWS's own order, then Transit Gateway's 18.
            pub const ALL: [Field; 72] = [$(Field::$variant),*];
        }

        static TABLE: [FieldInfo; Field::ALL.len()] = [
            $(FieldInfo { name: $name, since: $since, kind: Kind::$kind, shape: $shape, doc: $doc }),*
        ];
    };
}

const ANY: Shape = Shape::Any;
const ENI: Shape = Shape::Prefix(&["eni-"]);
const VPC: Shape = Shape::Prefix(&["vpc-"]);
const SUBNET: Shape = Shape::Prefix(&["subnet-"]);
const ATTACHMENT: Shape = Shape::Prefix(&["tgw-attach-"]);
const ARN: Shape = Shape::Prefix(&["arn:"]);
const FAMILY: Shape = Shape::OneOf(&["IPv4", "IPv6", "EFA"]);
const STATUS: Shape = Shape::OneOf(&["OK", "NODATA", "SKIPDATA"]);
const SUBLOCATION: Shape = Shape::OneOf(&["wavelength", "outpost", "localzone"]);

#[rustfmt::skip]
fields! {
    Version "version" 2 Int32 ANY, "Highest version among the fields of the format.";
    AccountId "account-id" 2 Text Shape::Account, "Account that owns the network interface, or `unknown`.";
    InterfaceId "interface-id" 2 Text ENI, "Network interface of the traffic.";
    Srcaddr "srcaddr" 2 Address ANY, "Source address, as the interface sees it.";
    Dstaddr "dstaddr" 2 Address ANY, "Destination address, as the interface sees it.";
    Srcport "srcport" 2 Port ANY, "Source port; 0 for ICMP.";
    Dstport "dstport" 2 Port ANY, "Destination port; 0 for ICMP.";
    Protocol "protocol" 2 Protocol ANY, "IANA protocol number.";
    Packets "packets" 2 Int64 ANY, "Packets of the flow.";
    Bytes "bytes" 2 Int64 ANY, "Bytes of the flow.";
    Start "start" 2 Time ANY, "Arrival of the first packet in the window, Unix seconds.";
    End "end" 2 Time ANY, "Arrival of the last packet in the window, Unix seconds.";
    Action "action" 2 Text Shape::OneOf(&["ACCEPT", "REJECT"]), "`ACCEPT` or `REJECT`.";
    LogStatus "log-status" 2 Text STATUS, "`OK`, `NODATA` or `SKIPDATA`.";
    VpcId "vpc-id" 3 Text VPC, "VPC of the interface.";
    SubnetId "subnet-id" 3 Text SUBNET, "Subnet of the interface.";
    InstanceId "instance-id" 3 Text Shape::Prefix(&["i-"]), "Instance of the interface, when it is yours.";
    TcpFlags "tcp-flags" 3 Int32 ANY, "TCP flags, OR-ed over the window: FIN 1, SYN 2, RST 4, SYN-ACK 18.";
    Type "type" 3 Text FAMILY, "`IPv4`, `IPv6` or `EFA`.";
    PktSrcaddr "pkt-srcaddr" 3 Address ANY, "Source address in the packet itself.";
    PktDstaddr "pkt-dstaddr" 3 Address ANY, "Destination address in the packet itself.";
    Region "region" 4 Text Shape::Region, "Region of the interface.";
    AzId "az-id" 4 Text Shape::Zone, "Availability Zone id of the interface.";
    SublocationType "sublocation-type" 4 Text SUBLOCATION, "`wavelength`, `outpost` or `localzone`.";
    SublocationId "sublocation-id" 4 Text ANY, "Sublocation of the interface.";
    PktSrcAwsService "pkt-src-aws-service" 5 Text Shape::Service, "AWS service that owns pkt-srcaddr.";
    PktDstAwsService "pkt-dst-aws-service" 5 Text Shape::Service, "AWS service that owns pkt-dstaddr.";
    FlowDirection "flow-direction" 5 Text Shape::OneOf(&["ingress", "egress"]), "`ingress` or `egress`, seen from the interface.";
    TrafficPath "traffic-path" 5 Int32 Shape::Range(1, 99), "Path of egress traffic, 1 to 8.";
    EcsClusterArn "ecs-cluster-arn" 7 Text ARN, "ARN of the ECS cluster.";
    EcsClusterName "ecs-cluster-name" 7 Text ANY, "Name of the ECS cluster.";
    EcsContainerInstanceArn "ecs-container-instance-arn" 7 Text ARN, "ARN of the ECS container instance, on EC2.";
    EcsContainerInstanceId "ecs-container-instance-id" 7 Text ANY, "Id of the ECS container instance, on EC2.";
    EcsContainerId "ecs-container-id" 7 Text ANY, "Runtime id of the task's first container.";
    EcsSecondContainerId "ecs-second-container-id" 7 Text ANY, "Runtime id of the task's second container.";
    EcsServiceName "ecs-service-name" 7 Text ANY, "ECS service that started the task.";
    EcsTaskDefinitionArn "ecs-task-definition-arn" 7 Text ARN, "ARN of the ECS task definition.";
    EcsTaskArn "ecs-task-arn" 7 Text ARN, "ARN of the ECS task.";
    EcsTaskId "ecs-task-id" 7 Text ANY, "Id of the ECS task.";
    RejectReason "reject-reason" 8 Text Shape::Service, "`BPA` (Block Public Access) or `EC` (encryption controls).";
    ResourceId "resource-id" 9 Text Shape::Prefix(&["nat-"]), "Regional NAT gateway of the traffic.";
    EncryptionStatus "encryption-status" 10 Int32 Shape::Range(0, 9), "0 none, 1 Nitro, 2 application, 3 both.";
    InstanceTag "instance-tag" 11 Text ANY, "First chosen instance tag, percent-encoded.";
    InstanceTag2 "instance-tag-2" 11 Text ANY, "Second chosen instance tag, percent-encoded.";
    InterfaceTag "interface-tag" 11 Text ANY, "First chosen network interface tag, percent-encoded.";
    InterfaceTag2 "interface-tag-2" 11 Text ANY, "Second chosen network interface tag, percent-encoded.";
    AsgTag "asg-tag" 11 Text ANY, "First chosen Auto Scaling group tag, percent-encoded.";
    AsgTag2 "asg-tag-2" 11 Text ANY, "Second chosen Auto Scaling group tag, percent-encoded.";
    InterfaceType "interface-type" 11 Text Shape::Word, "What kind of managed interface it is.";
    NextHopInterfaceId "next-hop-interface-id" 11 Text ENI, "Interface of the next hop (egress) or the sender (ingress).";
    NextHopSubnetId "next-hop-subnet-id" 11 Text SUBNET, "Subnet of the next hop.";
    NextHopAzId "next-hop-az-id" 11 Text Shape::Zone, "Availability Zone id of the next hop.";
    NextHopVpcId "next-hop-vpc-id" 11 Text VPC, "VPC of the next hop.";
    NextHopInterfaceType "next-hop-interface-type" 11 Text Shape::Word, "What kind of managed interface the next hop is.";
    ResourceType "resource-type" 6 Text Shape::OneOf(&["TransitGateway"]), "Always `TransitGateway`.";
    TgwId "tgw-id" 6 Text Shape::Prefix(&["tgw-"]), "Transit gateway of the traffic.";
    TgwAttachmentId "tgw-attachment-id" 6 Text ATTACHMENT, "Transit gateway attachment of the traffic.";
    TgwSrcVpcAccountId "tgw-src-vpc-account-id" 6 Text Shape::Account, "Account of the source VPC.";
    TgwDstVpcAccountId "tgw-dst-vpc-account-id" 6 Text Shape::Account, "Account of the destination VPC.";
    TgwSrcVpcId "tgw-src-vpc-id" 6 Text VPC, "Source VPC.";
    TgwDstVpcId "tgw-dst-vpc-id" 6 Text VPC, "Destination VPC.";
    TgwSrcSubnetId "tgw-src-subnet-id" 6 Text SUBNET, "Subnet of the source.";
    TgwDstSubnetId "tgw-dst-subnet-id" 6 Text SUBNET, "Subnet of the destination.";
    TgwSrcEni "tgw-src-eni" 6 Text ENI, "Attachment interface at the source.";
    TgwDstEni "tgw-dst-eni" 6 Text ENI, "Attachment interface at the destination.";
    TgwSrcAzId "tgw-src-az-id" 6 Text Shape::Zone, "Availability Zone id of the source.";
    TgwDstAzId "tgw-dst-az-id" 6 Text Shape::Zone, "Availability Zone id of the destination.";
    TgwPairAttachmentId "tgw-pair-attachment-id" 6 Text ATTACHMENT, "The attachment on the other side.";
    PacketsLostNoRoute "packets-lost-no-route" 6 Int64 ANY, "Packets lost for want of a route.";
    PacketsLostBlackhole "packets-lost-blackhole" 6 Int64 ANY, "Packets lost to a black hole route.";
    PacketsLostMtuExceeded "packets-lost-mtu-exceeded" 6 Int64 ANY, "Packets lost because they exceeded the MTU.";
    PacketsLostTtlExpired "packets-lost-ttl-expired" 6 Int64 ANY, "Packets lost because their time to live ran out.";
}

impl Field {
    /// The field's row.
    pub const fn info(self) -> &'static FieldInfo {
        &TABLE[self as usize]
    }

    /// Finds a field by its name in any spelling in use: `account-id` (headers), `account_id`
    /// (Parquet), `accountId` and `srcAddr` (CloudWatch Logs' `parseVPC`), `${account-id}` (`LogFormat`).
    pub fn by_name(name: &str) -> Option<Field> {
        let name = bare(name);
        let mut folded = [0; LONGEST_NAME];
        let length = fold(name, &mut folded)?;
        let found =
            BY_FOLDED_NAME.binary_search_by(|(candidate, length_, _)| candidate[..*length_].cmp(&folded[..length]));
        found.ok().map(|index| BY_FOLDED_NAME[index].2)
    }
}

/// `name` without the `${…}` that AWS's `LogFormat` puts around it.
pub(crate) fn bare(name: &str) -> &str {
    name.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(name)
}

const LONGEST_NAME: usize = 32;
type FoldedName = ([u8; LONGEST_NAME], usize, Field);

/// Lower case without separators: the form in which all spellings of a name are the same.
const fn fold(name: &str, folded: &mut [u8; LONGEST_NAME]) -> Option<usize> {
    let name = name.as_bytes();
    let mut length = 0;
    let mut index = 0;
    while index < name.len() {
        if !matches!(name[index], b'-' | b'_') {
            if length == LONGEST_NAME {
                return None;
            }
            folded[length] = name[index].to_ascii_lowercase();
            length += 1;
        }
        index += 1;
    }
    Some(length)
}

static BY_FOLDED_NAME: std::sync::LazyLock<[FoldedName; Field::ALL.len()]> = std::sync::LazyLock::new(|| {
    let mut names = Field::ALL.map(|field| {
        let mut folded = [0; LONGEST_NAME];
        let length = fold(field.info().name, &mut folded).expect("LONGEST_NAME holds every name of the table");
        (folded, length, field)
    });
    names.sort_unstable_by(|(a, a_length, _), (b, b_length, _)| a[..*a_length].cmp(&b[..*b_length]));
    names
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_every_name_is_found() {
        for field in Field::ALL {
            let name = field.info().name;
            let camel: String = name
                .split('-')
                .enumerate()
                .map(|(i, word)| if i == 0 { word.into() } else { word[..1].to_uppercase() + &word[1..] })
                .collect();
            for spelling in [name.to_owned(), name.replace('-', "_"), format!("${{{name}}}"), camel] {
                assert_eq!(Field::by_name(&spelling), Some(field), "{spelling}");
            }
        }
        assert_eq!(Field::by_name("core-network-arn"), None);
        assert_eq!(Field::by_name("${version"), None);
        assert_eq!(Field::by_name(&"x".repeat(100)), None);
    }

    #[test]
    fn versions_add_up_to_the_published_counts() {
        let up_to = |version| Field::ALL[..54].iter().filter(|field| field.info().since <= version).count();
        assert_eq!([2, 3, 4, 5, 7, 8, 9, 10, 11].map(up_to), [14, 21, 25, 29, 39, 40, 41, 42, 54]);
        assert!(Field::ALL[54..].iter().all(|field| field.info().since == 6));
    }
}
