//! Moments as RFC 3339 text.

use chrono::{DateTime, Datelike};

const SECS_PER_DAY: u64 = 86_400;
const MILLIS_PER_SEC: u64 = 1000;
const LARGEST_UNIX_SECS: u64 = 253_402_300_799;

/// A moment, as the caller's clock has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix seconds, up to the end of the year 9999; a later moment counts as that.
    pub unix_secs: u64,
    /// Below a second.
    pub nanos: u32,
}

/// Writes moments; remembers the last day, which nearly every record of a file shares.
#[derive(Debug)]
pub(crate) struct Rfc3339 {
    day: u64,
    text: [u8; 20],
}

impl Rfc3339 {
    pub(crate) fn new() -> Rfc3339 {
        Rfc3339 { day: 0, text: *b"1970-01-01T00:00:00Z" }
    }

    /// `2020-09-09T15:26:33Z`. What is below a second is cut off.
    #[inline(always)]
    pub(crate) fn seconds(&mut self, unix_millis: u64) -> [u8; 20] {
        let unix_secs = unix_millis / MILLIS_PER_SEC;
        let day = unix_secs / SECS_PER_DAY;
        if day != self.day {
            self.change_day(day);
        }
        let second_of_day = (unix_secs % SECS_PER_DAY) as u32;
        self.text[11..13].copy_from_slice(&two_digits(second_of_day / 3600));
        self.text[14..16].copy_from_slice(&two_digits(second_of_day / 60 % 60));
        self.text[17..19].copy_from_slice(&two_digits(second_of_day % 60));
        self.text
    }

    /// `2020-09-09T15:26:33.000Z`.
    #[inline]
    pub(crate) fn millis(&mut self, unix_millis: u64) -> [u8; 24] {
        let millis = (unix_millis % MILLIS_PER_SEC) as u32;
        let mut text = *b"1970-01-01T00:00:00.000Z";
        text[..19].copy_from_slice(&self.seconds(unix_millis)[..19]);
        text[20] = b'0' + (millis / 100) as u8;
        text[21..23].copy_from_slice(&two_digits(millis % 100));
        text
    }

    /// As many fractional digits as are not zero: `2020-09-09T15:26:33Z`, `2020-09-09T15:26:33.0759271Z`.
    #[cold]
    pub(crate) fn shortest(&mut self, moment: Moment) -> String {
        let seconds = self.seconds(moment.unix_secs.min(LARGEST_UNIX_SECS) * MILLIS_PER_SEC);
        let mut text = String::from_utf8_lossy(&seconds[..19]).into_owned();
        if moment.nanos > 0 {
            let fraction = format!(".{:09}", moment.nanos.min(999_999_999));
            text += fraction.trim_end_matches('0');
        }
        text + "Z"
    }

    #[cold]
    fn change_day(&mut self, day: u64) {
        let date =
            DateTime::from_timestamp_secs((day * SECS_PER_DAY) as i64).expect("a time is at most in the year 9999");
        let year = date.year() as u32;
        self.text[0..2].copy_from_slice(&two_digits(year / 100));
        self.text[2..4].copy_from_slice(&two_digits(year % 100));
        self.text[5..7].copy_from_slice(&two_digits(date.month()));
        self.text[8..10].copy_from_slice(&two_digits(date.day()));
        self.day = day;
    }
}

#[inline(always)]
fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_chrono() {
        let mut rfc3339 = Rfc3339::new();
        // Steps of a little over 37 days, so that every field of the date changes.
        for unix_secs in (0..253_402_300_799).step_by(3_210_987).chain([253_402_300_799]) {
            let expected = format!("{:?}", DateTime::from_timestamp_secs(unix_secs).unwrap());
            let millis = unix_secs as u64 * MILLIS_PER_SEC + 999;
            assert_eq!(std::str::from_utf8(&rfc3339.seconds(millis)).unwrap(), expected);
            let expected = expected.replace('Z', ".999Z");
            assert_eq!(std::str::from_utf8(&rfc3339.millis(millis)).unwrap(), expected);
        }
    }

    #[test]
    fn fractions_have_no_zeros_at_their_end() {
        let mut rfc3339 = Rfc3339::new();
        let mut shortest = |nanos| rfc3339.shortest(Moment { unix_secs: 1_632_856_243, nanos });
        assert_eq!(shortest(0), "2021-09-28T19:10:43Z");
        assert_eq!(shortest(75_027_100), "2021-09-28T19:10:43.0750271Z");
        assert_eq!(shortest(u32::MAX), "2021-09-28T19:10:43.999999999Z");
        let end = rfc3339.shortest(Moment { unix_secs: u64::MAX, nanos: 5 });
        assert_eq!(end, "9999-12-31T23:59:59.000000005Z");
    }
}
