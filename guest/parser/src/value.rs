//! What a legal value is. A [`Kind`] is asked of every record; a [`Shape`] only where the format
//! had to be guessed, so that a wrong guess never becomes an event.

use crate::address;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Any text.
    Text,
    /// An IPv4 or IPv6 address.
    Address,
    /// A port, 0 to 65535.
    Port,
    /// An IANA protocol number, 0 to 255.
    Protocol,
    /// A non-negative integer of 32 bits (AWS's Parquet type INT_32).
    Int32,
    /// A non-negative integer of 64 bits (AWS's Parquet type INT_64).
    Int64,
    /// A moment in Unix seconds, or in milliseconds as some deliveries have it.
    Time,
}

/// Above this, a time is in milliseconds: as seconds it would lie beyond the year 5138,
/// as milliseconds it is later than March 1973.
const LARGEST_TIME_IN_SECONDS: u64 = 100_000_000_000;
/// 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can write.
const LARGEST_TIME_IN_MILLIS: u64 = 253_402_300_799_999;

impl Kind {
    /// Reads a value. Gives the number that it stands for (a [`Kind::Time`] in Unix milliseconds;
    /// 0 for texts and addresses), or `None` where it is not legal.
    #[inline]
    pub(crate) fn read(self, value: &[u8]) -> Option<u64> {
        match self {
            Kind::Text => Some(0),
            Kind::Address => address::is_valid(value).then_some(0),
            Kind::Port => integer(value, u16::MAX.into()),
            Kind::Protocol => integer(value, u8::MAX.into()),
            Kind::Int32 => integer(value, i32::MAX as u64),
            Kind::Int64 => integer(value, i64::MAX as u64),
            Kind::Time => match integer(value, LARGEST_TIME_IN_MILLIS)? {
                seconds @ ..=LARGEST_TIME_IN_SECONDS => Some(seconds * 1000),
                millis => Some(millis),
            },
        }
    }

    /// What a legal value is, for messages.
    pub fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Address => "an IPv4 or IPv6 address",
            Kind::Port => "a port, 0 to 65535",
            Kind::Protocol => "a protocol number, 0 to 255",
            Kind::Int32 => "an integer, 0 to 2147483647",
            Kind::Int64 => "an integer, 0 to 9223372036854775807",
            Kind::Time => "a time in Unix seconds or milliseconds",
        }
    }

    /// Whether a value is written as a number.
    pub(crate) fn is_number(self) -> bool {
        !matches!(self, Kind::Text | Kind::Address)
    }
}

/// Reads a decimal integer without sign or leading zeros.
#[inline]
pub(crate) fn integer(digits: &[u8], largest: u64) -> Option<u64> {
    // 19 digits are below 10^19 < 2^64, so the sum cannot overflow.
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let mut number = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    (number <= largest).then_some(number)
}

/// What AWS's values of a field look like. No stricter than the published samples, which have
/// `vpc-1`, `eni-1234s1m4n56789` and an account of ten digits.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Nothing is known, or the [`Kind`] says it all.
    Any,
    /// Digits, or the word `unknown`.
    Account,
    /// Begins with one of these, and goes on.
    Prefix(&'static [&'static str]),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An integer in this range.
    Range(u64, u64),
    /// `us-east-1`, `us-gov-west-1`.
    Region,
    /// `use1-az4`, `usw2-lax1-az1`.
    Zone,
    /// `S3`, `AMAZON_CONNECT`: an open set, so only its letters are known.
    Service,
    /// `nat_gateway`: lower case with underscores.
    Word,
}

impl Shape {
    /// Whether `value`, already legal for its kind as `number`, looks like one of AWS's.
    pub(crate) fn fits(self, value: &[u8], number: u64) -> bool {
        let all = |allowed: fn(&u8) -> bool| value.iter().all(allowed);
        let has_digit = || value.iter().any(u8::is_ascii_digit);
        match self {
            Shape::Any => true,
            Shape::Account => all(u8::is_ascii_digit) || value == b"unknown",
            Shape::Prefix(prefixes) => {
                prefixes.iter().any(|prefix| value.len() > prefix.len() && value.starts_with(prefix.as_bytes()))
            }
            Shape::OneOf(words) => words.iter().any(|word| word.as_bytes() == value),
            Shape::Range(least, largest) => (least..=largest).contains(&number),
            Shape::Region | Shape::Zone => {
                value[0].is_ascii_lowercase()
                    && value.contains(&b'-')
                    && has_digit()
                    && all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                    && (matches!(self, Shape::Region) || value.windows(3).any(|part| part == b"-az"))
            }
            Shape::Service => value[0].is_ascii_uppercase() && all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')),
            Shape::Word => all(|byte| matches!(byte, b'a'..=b'z' | b'_')),
        }
    }

    /// What fits, for messages.
    pub(crate) fn wanted(self) -> String {
        match self {
            Shape::Any => "text".into(),
            Shape::Account => "an account id".into(),
            Shape::Prefix(prefixes) => format!("{}…", prefixes.join("…, ")),
            Shape::OneOf(words) => words.join(", "),
            Shape::Range(least, largest) => format!("an integer, {least} to {largest}"),
            Shape::Region => "a region".into(),
            Shape::Zone => "an Availability Zone id".into(),
            Shape::Service => "an upper-case name".into(),
            Shape::Word => "a lower-case name".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_plain_decimals_within_their_range() {
        assert_eq!(Kind::Port.read(b"65535"), Some(65535));
        assert_eq!(Kind::Int64.read(b"9223372036854775807"), Some(i64::MAX as u64));
        for value in ["", "65536", "-1", "+1", "1.0", "007", "1e3", "99999999999999999999"] {
            assert_eq!(Kind::Port.read(value.as_bytes()), None, "{value}");
        }
        assert_eq!(Kind::Protocol.read(b"256"), None);
        assert_eq!(Kind::Int32.read(b"2147483648"), None);
        assert_eq!(Kind::Int64.read(b"9223372036854775808"), None);
    }

    #[test]
    fn times_are_seconds_or_milliseconds() {
        assert_eq!(Kind::Time.read(b"0"), Some(0));
        assert_eq!(Kind::Time.read(b"1512564058"), Some(1_512_564_058_000));
        assert_eq!(Kind::Time.read(b"1512564058999"), Some(1_512_564_058_999));
        assert_eq!(Kind::Time.read(b"253402300800000"), None);
    }

    #[test]
    fn shapes_accept_the_published_samples_and_refuse_their_neighbours() {
        let fits = |shape: Shape, value: &str| shape.fits(value.as_bytes(), 0);
        assert!(fits(Shape::Account, "1234567890") && fits(Shape::Account, "unknown"));
        assert!(!fits(Shape::Account, "eni-1"));
        assert!(fits(Shape::Prefix(&["vpc-"]), "vpc-1") && !fits(Shape::Prefix(&["vpc-"]), "vpc-"));
        assert!(fits(Shape::Region, "us-gov-west-1") && !fits(Shape::Region, "ingress"));
        assert!(fits(Shape::Zone, "usw2-lax1-az1") && !fits(Shape::Zone, "us-east-1"));
        assert!(fits(Shape::Service, "S3") && !fits(Shape::Service, "ingress") && !fits(Shape::Service, "8"));
    }
}
