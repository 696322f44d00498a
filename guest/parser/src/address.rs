//! Whether a text is an IP address.

use std::net::Ipv6Addr;

/// Whether `text` is an IPv4 address in dotted decimal, or an IPv6 address (RFC 4291).
#[inline]
pub(crate) fn is_valid(text: &[u8]) -> bool {
    is_ipv4(text) || is_ipv6(text)
}

/// Four decimal numbers of 0 to 255 without leading zeros.
#[inline]
fn is_ipv4(text: &[u8]) -> bool {
    const LONGEST: usize = "255.255.255.255".len();
    if text.len() > LONGEST {
        return false;
    }
    let (mut dots, mut number, mut digits) = (0, 0u32, 0);
    for &byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit <= 9 {
            // A number that begins with 0 has no second digit.
            if digits > 0 && number == 0 {
                return false;
            }
            number = number * 10 + digit;
            digits += 1;
            if number > 255 {
                return false;
            }
        } else if byte == b'.' && digits > 0 {
            (dots, number, digits) = (dots + 1, 0, 0);
        } else {
            return false;
        }
    }
    dots == 3 && digits > 0
}

/// Left to the standard library, after a glance that spares texts without a colon the work.
fn is_ipv6(text: &[u8]) -> bool {
    text.contains(&b':') && std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn agrees_with_the_standard_library() {
        let cases = [
            "0.0.0.0", "255.255.255.255", "10.0.0.62", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.00", "1..2.3",
            ".1.2.3.4", "1.2.3.4.", "1.2.3.4 ", "", "-", "a.b.c.d", "::", "::1", "2001:db8::8d6e:3477:df66:f105", "fe80::1%eth0",
            "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", ":::", "12345::", "[::1]", "::g",
        ];
        for case in cases {
            assert_eq!(is_valid(case.as_bytes()), case.parse::<IpAddr>().is_ok(), "{case}");
        }
    }
}
