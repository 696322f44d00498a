//! A format: the fields of a record in column order, compiled once and read for every line.
//!
//! Where it comes from, in this order: the caller's own list, the header line that stood before
//! the record, AWS's published orders. The last is a guess, and its [`Format::guessed`] asks each
//! column to look like AWS's values of its field.

use std::sync::LazyLock;

use crate::error::FormatError;
use crate::field::{Field, bare};
use crate::record::Layout;
use crate::value::{Kind, Shape};

/// More columns than AWS has fields, and few enough for [`Layout`].
pub(crate) const MAX_COLUMNS: usize = 250;

#[derive(Debug)]
pub(crate) struct Format {
    pub(crate) columns: Vec<Column>,
    pub(crate) layout: Layout,
    /// Whether nobody said that this is the format.
    pub(crate) guessed: bool,
}

#[derive(Debug)]
pub(crate) struct Column {
    /// AWS's name; where AWS has none that we know, the name as it was given.
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
}

impl Format {
    /// Compiles names in any spelling of [`Field::by_name`], separated by blanks or commas.
    pub(crate) fn parse(names: &str) -> Result<Format, FormatError> {
        Format::compile(names.split([' ', '\t', ',']).filter(|name| !name.is_empty()))
    }

    /// Reads a header line: every token is spelled like a field name, and at least half are AWS's.
    /// (One alone may be a tag's value, in a record of tags.) Gives the line without blanks around it, too.
    pub(crate) fn from_header(line: &[u8]) -> Option<(&str, Format)> {
        // Spares data lines, nearly all of which begin with a digit, everything that follows.
        if !matches!(line.first(), Some(b'a'..=b'z' | b'$' | b' ' | b'\t' | b'\r')) {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?.trim_ascii();
        let names = line.split_ascii_whitespace();
        // Data lines that begin with a letter mostly fail here, before anything is compiled.
        if !names.clone().all(|name| is_spelled_like_a_name(bare(name))) {
            return None;
        }
        let format = Format::compile(names).ok()?;
        (2 * format.layout.fields.len() >= format.columns.len()).then_some((line, format))
    }

    fn compile<'a>(names: impl Iterator<Item = &'a str>) -> Result<Format, FormatError> {
        let mut format = Format { columns: Vec::new(), layout: Layout::new(), guessed: false };
        for name in names {
            if !is_spelled_like_a_name(bare(name)) {
                return Err(FormatError::BadName(name.into()));
            }
            if format.columns.len() == MAX_COLUMNS {
                return Err(FormatError::TooManyColumns);
            }
            format.push(name)?;
        }
        match format.layout.fields.is_empty() {
            true => Err(FormatError::NoKnownField),
            false => Ok(format),
        }
    }

    fn push(&mut self, name: &str) -> Result<(), FormatError> {
        let slot = self.columns.len();
        let column = match Field::by_name(name) {
            Some(field) => {
                let info = field.info();
                if self.layout.has(field) {
                    return Err(FormatError::FieldTwice(info.name.into()));
                }
                self.layout.add(field, slot);
                Column { name: info.name.into(), kind: info.kind, shape: info.shape }
            }
            None => {
                let name = bare(name);
                if self.layout.unknown.iter().any(|unknown| *unknown.name == *name) {
                    return Err(FormatError::FieldTwice(name.into()));
                }
                self.layout.add_unknown(name, slot);
                Column { name: name.into(), kind: Kind::Text, shape: Shape::Any }
            }
        };
        self.columns.push(column);
        Ok(())
    }

    /// AWS's own order for a line of so many columns, the second of which is `second`.
    pub(crate) fn published<'a>(columns: usize, second: impl Fn() -> &'a [u8]) -> Option<&'static Format> {
        let format = PUBLISHED.iter().find(|format| format.columns.len() == columns)?;
        (columns != TRANSIT_GATEWAY.len() || second() == b"TransitGateway").then_some(format)
    }

    /// The names in column order.
    pub(crate) fn names(&self) -> String {
        self.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(" ")
    }
}

fn is_spelled_like_a_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Columns of the field table up to versions 2, 3, 4, 5, 7, 8, 9, 10 and 11. Up to 29 columns this is
/// the order that Sekoia's and Elastic's documentation name; beyond, AWS's "all fields" order.
const VPC_PREFIXES: [usize; 9] = [14, 21, 25, 29, 39, 40, 41, 42, 54];

/// The default format of Transit Gateway flow logs.
#[rustfmt::skip]
const TRANSIT_GATEWAY: [Field; 36] = {
    use Field::*;
    [
        Version, ResourceType, AccountId, TgwId, TgwAttachmentId, TgwSrcVpcAccountId, TgwDstVpcAccountId,
        TgwSrcVpcId, TgwDstVpcId, TgwSrcSubnetId, TgwDstSubnetId, TgwSrcEni, TgwDstEni, TgwSrcAzId, TgwDstAzId,
        TgwPairAttachmentId, Srcaddr, Dstaddr, Srcport, Dstport, Protocol, Packets, Bytes, Start, End, LogStatus,
        Type, PacketsLostNoRoute, PacketsLostBlackhole, PacketsLostMtuExceeded, PacketsLostTtlExpired, TcpFlags,
        Region, FlowDirection, PktSrcAwsService, PktDstAwsService,
    ]
};

static PUBLISHED: LazyLock<Vec<Format>> = LazyLock::new(|| {
    let orders = VPC_PREFIXES.iter().map(|&length| &Field::ALL[..length]).chain([&TRANSIT_GATEWAY[..]]);
    let compile = |order: &[Field]| {
        let names = order.iter().map(|field| field.info().name);
        Format { guessed: true, ..Format::compile(names).expect("AWS's orders are formats") }
    };
    orders.map(compile).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_compile_to_one_header() {
        let format = Format::parse("${version} account_id,accountId2 srcAddr").unwrap();
        assert_eq!(format.names(), "version account-id accountId2 srcaddr");
        assert_eq!(format.layout.slot(Field::Srcaddr), 3);
        assert_eq!(&*format.layout.unknown[0].name, "accountId2");
        let format = Format::parse("version some-tag some_tag sublocation").unwrap();
        let members: Vec<&str> = format.layout.unknown.iter().map(|unknown| &*unknown.member).collect();
        assert_eq!(members, ["some_tag", "some_tag_2", "sublocation_3"]);
    }

    #[test]
    fn bad_formats_say_why() {
        let error = |names: &str| Format::parse(names).unwrap_err().to_string();
        assert_eq!(error(""), "the format has no field that AWS names");
        assert_eq!(error("foo bar"), "the format has no field that AWS names");
        assert_eq!(error("version srcaddr version"), "the format has the field version twice");
        assert_eq!(error("version some-tag some-tag"), "the format has the field some-tag twice");
        assert_eq!(error("version 10.0.0.1"), "the format has 10.0.0.1, which is not a field name");
        assert_eq!(
            error(&format!("version {}", (0..250).map(|i| format!("x{i} ")).collect::<String>())),
            "the format has more than 250 columns"
        );
    }

    #[test]
    fn headers_are_told_from_records() {
        let is_header = |line: &str| Format::from_header(line.as_bytes()).is_some();
        assert!(is_header("version account-id interface-id"));
        assert!(is_header("instance-id pkt-srcaddr some-new-field"));
        assert!(is_header("account_id pkt_srcaddr"));
        assert!(is_header("\tsrcaddr dstaddr "));
        assert!(!is_header("end ingress eu-west-1"));
        assert!(!is_header("instance-id 10.0.0.1"));
        assert!(!is_header("i-01234567890123456 eni-1111aaaa2222bbbb3"));
        assert!(!is_header("ingress - 10.0.133.8"));
        assert!(!is_header("2 123456789010 eni-1235b8ca123456789"));
    }
}
