//! Names of the IANA protocol numbers, as the published Sekoia format has them.

use crate::json::Padded;
use crate::record::Text;

/// The protocol's name, as long as it has one.
#[inline(always)]
pub(crate) fn name(number: u64) -> Option<Text<'static>> {
    let name = PADDED_NAMES.get(usize::try_from(number).ok()?)?;
    Some(name.text()).filter(|text| text.length > 0)
}

/// The name of an IANA protocol number, as the published Sekoia format has it: `tcp`.
pub fn protocol_name(number: u8) -> Option<&'static str> {
    Some(NAMES[usize::from(number)].trim_ascii_end()).filter(|name| !name.is_empty())
}

static PADDED_NAMES: [Padded; 256] = {
    let mut names = [Padded::new(""); 256];
    let mut index = 0;
    while index < names.len() {
        names[index] = Padded::new(NAMES[index]);
        index += 1;
    }
    names
};

/// By number; 143 to 252 have no name. The blank behind `pipe` is the published name's own.
#[rustfmt::skip]
const NAMES: [&str; 256] = [
    "hopopt", "icmp", "igmp", "ggp", "ipv4", "st", "tcp", "cbt", "egp", "igp", "bbn-rcc-mon", "nvp-ii", "pup",
    "argus", "emcon", "xnet", "chaos", "udp", "mux", "dcn-meas", "hmp", "prm", "xns-idp", "trunk-1", "trunk-2",
    "leaf-1", "leaf-2", "rdp", "irtp", "iso-tp4", "netblt", "mfe-nsp", "merit-inp", "dccp", "3pc", "idpr", "xtp",
    "ddp", "idpr-cmtp", "tp++", "il", "ipv6", "sdrp", "ipv6-route", "ipv6-frag", "idrp", "rsvp", "gre", "dsr", "bna",
    "esp", "ah", "i-nlsp", "swipe", "narp", "mobile", "tlsp", "skip", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts",
    "any host internal protocol", "cftp", "any local network", "sat-expak", "kryptolan", "rvd", "ippc",
    "any distributed file system", "sat-mon", "visa", "ipcv", "cpnx", "cphb", "wsn", "pvp", "br-sat-mon", "sun-nd",
    "wb-mon", "wb-expak", "iso-ip", "vmtp", "secure-vmtp", "vines", "iptm/ttp", "nsfnet-igp", "dgp", "tcf", "eigrp",
    "ospfigp", "sprite-rpc", "larp", "mtp", "ax.25", "ipip", "micp", "scc-sp", "etherip", "encap",
    "any private encryption scheme", "gmtp", "ifmp", "pnni", "pim", "aris", "scps", "qnx", "a/n", "ipcomp", "snp",
    "compaq-peer", "ipx-in-ip", "vrrp", "pgm", "any 0-hop protocol", "l2tp", "ddx", "iatp", "stp", "srp", "uti",
    "smp", "sm", "ptp", "isis over ipv4", "fire", "crtp", "crudp", "sscopmce", "iplt", "sps", "pipe ", "sctp", "fc",
    "rsvp-e2e-ignore", "mobility header", "udplite", "mpls-in-ip", "manet", "hip", "shim6", "wesp", "rohc", "", "",
    "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
    "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
    "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
    "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "unassigned",
    "use for experimentation and testing", "reserved",
];
