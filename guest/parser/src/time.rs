//! Moments as RFC 3339 text.

use chrono::{DateTime, Datelike};

const SECS_PER_DAY: u64 = 86_400;
const MILLIS_PER_SEC: u64 = 1000;

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
    #[inline]
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
        }
    }
}
