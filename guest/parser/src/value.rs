//! What a legal value is. A [`Kind`] is asked of every record; a [`Shape`] only where the format
//! had to be guessed, so that a wrong guess never becomes an event.

use crate::address;
use crate::line::{HIGH_BITS, LOW_BITS, word_at};

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
pub(crate) const LARGEST_TIME_IN_MILLIS: u64 = 253_402_300_799_999;

impl Kind {
    /// Reads the value that stands in `text` from `start` to `end`. Gives the number that it stands
    /// for (a [`Kind::Time`] in Unix milliseconds; 0 for texts and addresses), or `None` where it is
    /// not legal.
    #[inline(always)]
    pub(crate) fn read(self, text: &[u8], start: usize, end: usize) -> Option<u64> {
        let largest = match self {
            Kind::Text => return Some(0),
            Kind::Address => return address::is_valid(text, start, end).then_some(0),
            Kind::Port => u16::MAX.into(),
            Kind::Protocol => u8::MAX.into(),
            Kind::Int32 => i32::MAX as u64,
            Kind::Int64 => i64::MAX as u64,
            Kind::Time => LARGEST_TIME_IN_MILLIS,
        };
        let number = integer(text, start, end).filter(|&number| number <= largest)?;
        let is_in_seconds = matches!(self, Kind::Time) && number <= LARGEST_TIME_IN_SECONDS;
        Some(if is_in_seconds { number * 1000 } else { number })
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

    /// A legal value of the kind and `shape`, another one for every `number`.
    pub(crate) fn example(self, shape: Shape, number: u8) -> String {
        match (self, shape) {
            (Kind::Address, _) => format!("192.0.2.{number}"),
            (Kind::Text, Shape::OneOf(words)) => words[0].into(),
            (Kind::Text, _) => format!("x{number}"),
            _ => number.to_string(),
        }
    }

    /// Whether a value is written as a number.
    pub(crate) fn is_number(self) -> bool {
        !matches!(self, Kind::Text | Kind::Address)
    }
}

/// Reads the decimal integer, without sign or leading zeros, from `start` to `end`.
#[inline(always)]
pub(crate) fn integer(text: &[u8], start: usize, end: usize) -> Option<u64> {
    let length = end - start;
    let number =
        if (1..=8).contains(&length) { eight_digits(text, start, length)? } else { long_integer(text, start, end)? };
    (length == 1 || text[start] != b'0').then_some(number)
}

/// The same for more than eight digits: times, and the counters of large flows.
fn long_integer(text: &[u8], start: usize, end: usize) -> Option<u64> {
    // 19 digits are below 10^19 < 2^64, so nothing overflows.
    if !(9..=19).contains(&(end - start)) {
        return None;
    }
    let middle = start.max(end.saturating_sub(16));
    let highest = if middle > start { eight_digits(text, start, middle - start)? } else { 0 };
    let high = eight_digits(text, middle, end - 8 - middle)?;
    Some((highest * 100_000_000 + high) * 100_000_000 + eight_digits(text, end - 8, 8)?)
}

/// Reads `length` digits, one to eight, all at once.
#[inline(always)]
fn eight_digits(text: &[u8], start: usize, length: usize) -> Option<u64> {
    const ZEROS: u64 = LOW_BITS * b'0' as u64;
    // The first digit comes first in memory: shift the last one to the top, fill up with zeros below.
    let digits = (word_at(text, start) << (64 - 8 * length)) | (ZEROS >> 8 >> (8 * (length - 1)));
    let numbers = digits ^ ZEROS;
    // A byte of 10 to 127 gets its high bit from the sum, a larger one has it.
    if (((numbers & !HIGH_BITS) + LOW_BITS * (128 - 10)) | numbers) & HIGH_BITS != 0 {
        return None;
    }
    // Pairs of digits, then pairs of pairs.
    let pairs = numbers * 10 + (numbers >> 8);
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    let high = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    Some(high.wrapping_add(low) >> 32)
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
            Shape::Service => {
                value[0].is_ascii_uppercase() && all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
            }
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

    fn read(kind: Kind, value: &str) -> Option<u64> {
        // Between other bytes, so that what surrounds the value is seen to make no difference.
        let alone = kind.read(value.as_bytes(), 0, value.len());
        let surrounded = kind.read(format!("7{value} 777777777").as_bytes(), 1, value.len() + 1);
        assert_eq!(alone, surrounded, "{value}");
        alone
    }

    #[test]
    fn integers_are_plain_decimals_within_their_range() {
        assert_eq!(read(Kind::Port, "65535"), Some(65535));
        assert_eq!(read(Kind::Int64, "9223372036854775807"), Some(i64::MAX as u64));
        for value in ["", "65536", "-1", "+1", "1.0", "007", "1e3", "99999999999999999999"] {
            assert_eq!(read(Kind::Port, value), None, "{value}");
        }
        for length in 1..=19 {
            let digits = &"1234567890123456789"[..length];
            assert_eq!(read(Kind::Int64, digits), digits.parse().ok());
            for position in 0..length {
                for wrong in ['/', ':', ' ', 'a', '\u{7f}'] {
                    let mut value = digits.to_owned();
                    value.replace_range(position..=position, &wrong.to_string());
                    assert_eq!(read(Kind::Int64, &value), None, "{value}");
                }
            }
        }
        assert_eq!(read(Kind::Protocol, "256"), None);
        assert_eq!(read(Kind::Int32, "2147483648"), None);
        assert_eq!(read(Kind::Int64, "9223372036854775808"), None);
    }

    #[test]
    fn times_are_seconds_or_milliseconds() {
        assert_eq!(read(Kind::Time, "0"), Some(0));
        assert_eq!(read(Kind::Time, "1512564058"), Some(1_512_564_058_000));
        assert_eq!(read(Kind::Time, "1512564058999"), Some(1_512_564_058_999));
        assert_eq!(read(Kind::Time, "253402300800000"), None);
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
