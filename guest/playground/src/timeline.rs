//! Traffic over time, in buckets that grow wider as the time span does.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::traffic::{Verdict, Volume};

/// The buckets of a chart at the most.
const MOST_BUCKETS: u64 = 120;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Widths in milliseconds, each a multiple of the one before; with the last, `MOST_BUCKETS` reach beyond the year 9999.
const WIDTHS: [u64; 14] = [
    1000,
    5000,
    15_000,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    3 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    28 * DAY,
    364 * DAY,
    100 * 364 * DAY,
];

#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// Index into `WIDTHS`.
    width: usize,
    /// By number of the bucket since 1970; for each verdict what began then.
    buckets: BTreeMap<u64, [Volume; Verdict::COUNT]>,
    /// What has no time.
    undated: Volume,
}

/// As the page gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    width_millis: u64,
    buckets: Vec<Bucket>,
    undated: Volume,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    start_millis: u64,
    accepted: Volume,
    rejected: Volume,
    unknown: Volume,
}

impl Timeline {
    pub(crate) fn add(&mut self, start_millis: Option<u64>, verdict: Verdict, volume: Volume) {
        let Some(start_millis) = start_millis else {
            self.undated.add(volume);
            return;
        };
        let bucket = self.buckets.entry(start_millis / WIDTHS[self.width]).or_default();
        bucket[verdict as usize].add(volume);
        // Only a new bucket makes the span longer, but to ask always is as cheap.
        while self.span() > MOST_BUCKETS && self.width + 1 < WIDTHS.len() {
            self.widen();
        }
    }

    /// From the first bucket to the last one.
    fn span(&self) -> u64 {
        let ends = self.buckets.first_key_value().zip(self.buckets.last_key_value());
        ends.map_or(0, |((first, _), (last, _))| last - first + 1)
    }

    fn widen(&mut self) {
        let factor = WIDTHS[self.width + 1] / WIDTHS[self.width];
        self.width += 1;
        for (number, narrow) in std::mem::take(&mut self.buckets) {
            let wide = self.buckets.entry(number / factor).or_default();
            for (volume, more) in wide.iter_mut().zip(narrow) {
                volume.add(more);
            }
        }
    }

    pub(crate) fn report(&self) -> Report {
        let width_millis = WIDTHS[self.width];
        let bucket = |(number, [accepted, rejected, unknown]): (&u64, &[Volume; 3])| Bucket {
            start_millis: number * width_millis,
            accepted: *accepted,
            rejected: *rejected,
            unknown: *unknown,
        };
        Report { width_millis, buckets: self.buckets.iter().map(bucket).collect(), undated: self.undated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_wider_and_lose_nothing() {
        let mut timeline = Timeline::default();
        let one = Volume { flows: 1, bytes: 10, packets: 2 };
        timeline.add(None, Verdict::Unknown, one);
        // From seconds apart to millennia.
        let mut at = 1_600_000_000_000;
        let mut step = 500;
        let mut count = 0;
        while at < 253_402_300_799_999 {
            timeline.add(Some(at), if count % 2 == 0 { Verdict::Accepted } else { Verdict::Rejected }, one);
            count += 1;
            at += step;
            step += step / 50;
            let Report { width_millis, buckets, .. } = timeline.report();
            assert!(buckets.len() as u64 <= MOST_BUCKETS);
            assert!(buckets.iter().all(|bucket| bucket.start_millis.is_multiple_of(width_millis)));
            let sum = |volume: fn(&Bucket) -> Volume| buckets.iter().map(|bucket| volume(bucket).flows).sum::<u64>();
            assert_eq!(sum(|bucket| bucket.accepted), u64::midpoint(count, 1));
            assert_eq!(sum(|bucket| bucket.rejected), count / 2);
        }
        timeline.add(Some(0), Verdict::Accepted, one);
        assert!(timeline.span() <= MOST_BUCKETS);
        assert_eq!(timeline.report().undated.bytes, 10);
        assert_eq!(timeline.width, WIDTHS.len() - 1);
    }
}
