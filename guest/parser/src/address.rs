//! IP addresses as texts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::line::{LOW_BITS, word_at, zero_bytes};

/// Whether what stands in `text` from `start` to `end` is an IPv4 address in dotted decimal, or an
/// IPv6 address (RFC 4291). What follows it, if anything, must be no part of a number.
#[inline(always)]
pub(crate) fn is_valid(text: &[u8], start: usize, end: usize) -> bool {
    is_ipv4(text, start, end) || is_ipv6(&text[start..end])
}

/// Four decimal numbers of 0 to 255 without leading zeros.
#[inline(always)]
fn is_ipv4(text: &[u8], start: usize, end: usize) -> bool {
    const DOTS: u64 = LOW_BITS * b'.' as u64;
    let mut at = start;
    for _ in 0..3 {
        let word = word_at(text, at);
        // Up to the first dot; a dot beyond the end has something before it that is no digit.
        let length = zero_bytes(word ^ DOTS).trailing_zeros() as usize / 8;
        if !is_octet(word, length) {
            return false;
        }
        at += length + 1;
    }
    at < end && is_octet(word_at(text, at), end - at)
}

/// Whether the first `length` bytes of `word` are a decimal number of 0 to 255 without leading zeros.
#[inline(always)]
fn is_octet(word: u64, length: usize) -> bool {
    if !(1..=3).contains(&length) {
        return false;
    }
    let numbers = (word ^ (LOW_BITS * b'0' as u64)) & ((1 << (8 * length)) - 1);
    let are_digits = ((numbers + 0x76_76_76) | numbers) & 0x80_80_80 == 0;
    // As text, of three digits: the order of digits is the order of numbers.
    let is_in_range = length < 3 || (word << 40).swap_bytes() <= u64::from_be_bytes(*b"\0\0\0\0\x00255");
    let has_leading_zero = length > 1 && word as u8 == b'0';
    are_digits && is_in_range && !has_leading_zero
}

/// Left to the standard library, after a glance that spares texts without a colon the work.
fn is_ipv6(text: &[u8]) -> bool {
    text.contains(&b':') && std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Reads an address that has already been found valid.
pub(crate) fn parse(text: &[u8]) -> IpAddr {
    let mut bits: u32 = 0;
    let mut octet = 0;
    for &byte in text {
        match byte {
            b'.' => {
                bits = (bits | octet) << 8;
                octet = 0;
            }
            b'0'..=b'9' => octet = octet * 10 + u32::from(byte - b'0'),
            _ => return parse_ipv6(text),
        }
        if octet > 255 {
            return parse_ipv6(text);
        }
    }
    IpAddr::V4(Ipv4Addr::from_bits(bits | octet))
}

#[cold]
fn parse_ipv6(text: &[u8]) -> IpAddr {
    let address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    address.expect("an address is checked when its record is read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library() {
        let cases = [
            "0.0.0.0",
            "255.255.255.255",
            "10.0.0.62",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.00",
            "1..2.3",
            ".1.2.3.4",
            "1.2.3.4.",
            "1.2.3.4 ",
            "",
            "-",
            "a.b.c.d",
            "::",
            "::1",
            "2001:db8::8d6e:3477:df66:f105",
            "fe80::1%eth0",
            "::ffff:10.0.0.1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7",
            ":::",
            "12345::",
            "1.2.3.0",
            "1.2.3.260",
            "1.2.3.300",
            "1.2.3.255",
            "1.2.3.a",
            "1.2.3.1234",
            "1.2.3.4/8",
            "[::1]",
            "::g",
        ];
        for case in cases {
            let expected = case.parse::<IpAddr>().is_ok();
            assert_eq!(is_valid(case.as_bytes(), 0, case.len()), expected, "{case}");
            if expected {
                assert_eq!(parse(case.as_bytes()), case.parse::<IpAddr>().unwrap(), "{case}");
            }
            for behind in [" ", "\n", " 1.2.3.4", " .", " 10.0.0.1 443 "] {
                let line = format!("x {case}{behind}");
                assert_eq!(is_valid(line.as_bytes(), 2, 2 + case.len()), expected, "{line}");
            }
        }
    }
}
