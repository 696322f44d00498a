//! Keys of objects: which are wanted, and what time AWS has written into them.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html>

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use clap::Args;
use glob::{MatchOptions, Pattern};

/// Which objects are read.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct KeyFilter {
    /// Read only objects whose key matches this glob, or one of several; `*` also matches `/`
    #[arg(long, value_name = "GLOB")]
    include: Vec<Pattern>,

    /// Pass over objects whose key matches this glob, or one of several
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<Pattern>,
}

impl KeyFilter {
    pub(crate) fn passes(&self, key: &str) -> bool {
        let matches = |pattern: &Pattern| pattern.matches_with(key, MatchOptions::new());
        (self.include.is_empty() || self.include.iter().any(matches)) && !self.exclude.iter().any(matches)
    }
}

impl fmt::Display for KeyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |patterns: &[Pattern]| patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(" ");
        write!(f, "with [{}] without [{}]", list(&self.include), list(&self.exclude))
    }
}

/// The time in a key: the first moment that it can be about, and the first one that it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyTime {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl KeyTime {
    /// Finds the time in the file's name (`…_20240905T1620Z_…`), which is the most exact, or in the
    /// folders: `2024/09/05/`, `2024/09/05/16/`, `year=2024/month=09/day=05/`, `…/hour=16/`.
    /// Further folders before them, as organisations have, do not matter.
    fn of(key: &str) -> Option<KeyTime> {
        let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
        // A file holds a window of five minutes, and is named after its beginning.
        let named = of_name(name).map(|start| KeyTime { start, end: start + TimeDelta::minutes(5) });
        named.or_else(|| of_folders(folders).map(|(time, _)| time))
    }
}

/// The last but one part of `<account>_vpcflowlogs_<region>_<flow log>_<time>_<hash>.log.gz`.
fn of_name(name: &str) -> Option<DateTime<Utc>> {
    let part = name.rsplit('_').nth(1)?;
    NaiveDateTime::parse_from_str(part, "%Y%m%dT%H%MZ").ok().map(|time| time.and_utc())
}

/// The time in the folders, and how many bytes stand before it.
fn of_folders(folders: &str) -> Option<(KeyTime, usize)> {
    let mut parts = Vec::new();
    let mut offset = 0;
    for part in folders.split('/') {
        parts.push((offset, part));
        offset += part.len() + 1;
    }
    // The last date, since a bucket's own prefix may look like one.
    (0..parts.len()).rev().find_map(|index| {
        let part = |ahead: usize| parts.get(index + ahead).map(|(_, part)| *part);
        let year = number(part(0)?, "year=", 4)?;
        let (month, day) = (number(part(1)?, "month=", 2)?, number(part(2)?, "day=", 2)?);
        let date = NaiveDate::from_ymd_opt(year as i32, month, day)?;
        let start = date.and_time(NaiveTime::MIN).and_utc();
        let hour = part(3).and_then(|part| number(part, "hour=", 2)).filter(|hour| *hour < 24);
        let time = match hour {
            Some(hour) => {
                let start = start + TimeDelta::hours(hour.into());
                KeyTime { start, end: start + TimeDelta::hours(1) }
            }
            None => KeyTime { start, end: start + Days::new(1) },
        };
        Some((time, parts[index].0))
    })
}

/// A number of so many digits, with or without its Hive name.
fn number(part: &str, name: &str, digits: usize) -> Option<u32> {
    let text = part.strip_prefix(name).unwrap_or(part);
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// A range of time, from the first moment to before the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeRange {
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
}

impl TimeRange {
    /// Whether `key` may hold something of the range. A key without a time may not, if there is a range.
    pub(crate) fn holds(&self, key: &str) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        KeyTime::of(key).is_some_and(|time| !self.is_before(&time) && !self.is_behind(&time))
    }

    /// Where listing may go on if the folders of `key` are outside of the range: within the same year at the
    /// day at which the range begins, else behind the year. What stands beside the years' folders is not
    /// passed over; nor are the other files of a folder because of this one's name.
    pub(crate) fn skip_to(&self, key: &str) -> Option<String> {
        let (time, head) = of_folders(key.rsplit_once('/')?.0)?;
        let (prefix, date) = key.split_at(head);
        let is_hive = date.starts_with("year=");
        let (day, year) = if is_hive { ("year=%Y/month=%m/day=%d/", "year=%Y") } else { ("%Y/%m/%d/", "%Y") };
        let from = self.from.filter(|_| self.is_before(&time));
        let target = match from.filter(|from| from.year() == time.start.year()) {
            Some(from) => format!("{prefix}{}", from.format(day)),
            // `0` is the letter that follows `/`.
            None if from.is_some() || self.is_behind(&time) => format!("{prefix}{}0", time.start.format(year)),
            None => return None,
        };
        (target.as_str() > key).then_some(target)
    }

    fn is_before(&self, time: &KeyTime) -> bool {
        self.from.is_some_and(|from| time.end <= from)
    }

    fn is_behind(&self, time: &KeyTime) -> bool {
        self.to.is_some_and(|to| time.start >= to)
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |time: Option<DateTime<Utc>>| time.map_or_else(|| "ever".into(), |time| time.to_rfc3339());
        write!(f, "from {} to {}", text(self.from), text(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::sign_in::parse_time;

    fn time(text: &str) -> DateTime<Utc> {
        parse_time(text).unwrap()
    }

    const NAME: &str = "123456789012_vpcflowlogs_eu-west-1_fl-1_20240905T1620Z_abcd.log.gz";

    #[test]
    fn the_time_is_found_in_every_layout() {
        let cases = [
            ("AWSLogs/123456789012/vpcflowlogs/eu-west-1/2024/09/05/x.log.gz", "2024-09-05", "2024-09-06"),
            ("AWSLogs/o-1/123456789012/vpcflowlogs/eu-west-1/2024/09/05/x.gz", "2024-09-05", "2024-09-06"),
            ("p/2024/09/05/16/x.log", "2024-09-05T16:00:00Z", "2024-09-05T17:00:00Z"),
            ("p/aws-region=eu-west-1/year=2024/month=09/day=05/x.log.parquet", "2024-09-05", "2024-09-06"),
            ("year=2024/month=09/day=05/hour=16/x", "2024-09-05T16:00:00Z", "2024-09-05T17:00:00Z"),
            ("2001/01/01/2024/09/05/x", "2024-09-05", "2024-09-06"),
        ];
        for (key, start, end) in cases {
            let found = KeyTime::of(key).unwrap();
            assert_eq!((found.start, found.end), (time(start), time(end)), "{key}");
        }
        let named = KeyTime::of(&format!("p/2024/09/05/{NAME}")).unwrap();
        assert_eq!((named.start, named.end), (time("2024-09-05T16:20:00Z"), time("2024-09-05T16:25:00Z")));
        for key in ["", "x", "2024/13/01/x", "24/09/05/x", "a/b/c/d"] {
            assert_eq!(KeyTime::of(key), None, "{key}");
        }
    }

    #[test]
    fn a_range_holds_what_overlaps_it_and_skips_the_rest() {
        let range = TimeRange { from: Some(time("2024-09-05T16:22:00Z")), to: Some(time("2024-09-07")) };
        assert!(range.holds(&format!("p/2024/09/05/{NAME}")));
        assert!(range.holds("p/2024/09/05/x") && range.holds("p/2024/09/06/x"));
        for key in ["p/2024/09/04/x", "p/2024/09/07/x", "p/2024/09/05/15/x", "x"] {
            assert!(!range.holds(key), "{key}");
        }
        assert_eq!(range.skip_to("p/2024/08/01/x").as_deref(), Some("p/2024/09/05/"));
        assert_eq!(range.skip_to("p/year=2024/month=08/day=01/x").as_deref(), Some("p/year=2024/month=09/day=05/"));
        assert_eq!(range.skip_to("p/2023/08/01/x").as_deref(), Some("p/20230"));
        assert_eq!(range.skip_to("p/2024/09/07/x").as_deref(), Some("p/20240"));
        assert_eq!(range.skip_to("p/year=2025/month=01/day=01/x").as_deref(), Some("p/year=20250"));
        // The other flow logs of the day come behind this file.
        let range = TimeRange { from: None, to: Some(time("2024-09-05T16:20:00Z")) };
        assert_eq!(range.skip_to(&format!("p/2024/09/05/{NAME}")), None);
        assert!(!range.holds(&format!("p/2024/09/05/{NAME}")));
        // A file whose name does not fit its folders.
        assert_eq!(range.skip_to(&format!("p/2020/01/01/{NAME}")), None);
        let range = TimeRange { from: Some(time("2024-09-05T16:22:00Z")), to: Some(time("2024-09-07")) };
        // Nothing is skipped from within the day at which the range begins.
        assert_eq!(range.skip_to("p/2024/09/05/15/x"), None);
        assert_eq!(range.skip_to("p/2024/09/05/x"), None);
    }

    #[test]
    fn globs_match_across_folders() {
        let pattern = |text| vec![Pattern::new(text).unwrap()];
        let filter = KeyFilter { include: pattern("AWSLogs/*/vpcflowlogs/*"), exclude: pattern("*.parquet") };
        assert!(filter.passes("AWSLogs/1/vpcflowlogs/r/2024/x.gz"));
        assert!(!filter.passes("AWSLogs/1/vpcflowlogs/r/2024/x.parquet") && !filter.passes("AWSLogs/1/CloudTrail/x"));
    }
}
