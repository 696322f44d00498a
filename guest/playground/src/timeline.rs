//! Traffic over time, in buckets that grow wider as the time span does.

use std::collections::VecDeque;

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
    /// The number of the first bucket since 1970.
    first: u64,
    /// For each verdict what began then.
    buckets: VecDeque<[Volume; Verdict::COUNT]>,
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
    #[inline]
    pub(crate) fn add(&mut self, start_millis: Option<u64>, verdict: Verdict, volume: Volume) {
        let Some(start_millis) = start_millis else {
            self.undated.add(volume);
            return;
        };
        let index = (start_millis / WIDTHS[self.width]).wrapping_sub(self.first);
        // Not `as`: an index of WebAssembly has 32 bits.
        match usize::try_from(index).ok().and_then(|index| self.buckets.get_mut(index)) {
            Some(bucket) => bucket[verdict as usize].add(volume),
            None => self.bucket(start_millis)[verdict as usize].add(volume),
        }
    }

    /// The bucket of a time outside of all that there are.
    #[cold]
    fn bucket(&mut self, start_millis: u64) -> &mut [Volume; Verdict::COUNT] {
        loop {
            let number = start_millis / WIDTHS[self.width];
            if self.buckets.is_empty() {
                self.first = number;
            }
            let first = self.first.min(number);
            let end = (self.first + self.buckets.len() as u64).max(number + 1);
            if end - first > MOST_BUCKETS && self.width + 1 < WIDTHS.len() {
                self.widen();
                continue;
            }
            while self.first > first {
                self.buckets.push_front(Default::default());
                self.first -= 1;
            }
            self.buckets.resize((end - first) as usize, Default::default());
            return &mut self.buckets[(number - first) as usize];
        }
    }

    fn widen(&mut self) {
        let factor = WIDTHS[self.width + 1] / WIDTHS[self.width];
        let narrow = std::mem::take(&mut self.buckets);
        let first = self.first / factor;
        for (number, volumes) in (self.first..).zip(narrow) {
            let index = (number / factor - first) as usize;
            if index == self.buckets.len() {
                self.buckets.push_back(volumes);
            } else {
                for (volume, more) in self.buckets[index].iter_mut().zip(volumes) {
                    volume.add(more);
                }
            }
        }
        (self.width, self.first) = (self.width + 1, first);
    }

    pub(crate) fn report(&self) -> Report {
        let width_millis = WIDTHS[self.width];
        let buckets = (self.first..).zip(&self.buckets).map(|(number, &[accepted, rejected, unknown])| Bucket {
            start_millis: number * width_millis,
            accepted,
            rejected,
            unknown,
        });
        Report { width_millis, buckets: buckets.collect(), undated: self.undated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_wider_and_lose_nothing() {
        let mut timeline = Timeline::default();
        let one = Volume { flows: 1, bytes: 10 };
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
        assert!(timeline.buckets.len() as u64 <= MOST_BUCKETS);
        assert_eq!(timeline.report().undated.bytes, 10);
        assert_eq!(timeline.width, WIDTHS.len() - 1);
    }
}
