//! Sums over the flows that go by, for the charts.

use std::collections::HashMap;
use std::hash::Hash;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use vpcflow_parser::{Direction, Flow, protocol_name};

use crate::timeline::{self, Timeline};

/// How much went by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Volume {
    // In the order in which the largest is looked for: a format without bytes still has flows.
    pub(crate) bytes: u64,
    pub(crate) flows: u64,
}

impl Volume {
    fn of(flow: &Flow<'_>) -> Volume {
        Volume { flows: 1, bytes: flow.bytes().unwrap_or(0) }
    }

    pub(crate) fn add(&mut self, other: Volume) {
        // A record may claim to be 2⁶³ bytes.
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.flows += other.flows;
    }
}

/// What became of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Accepted,
    Rejected,
    /// The record does not say.
    Unknown,
}

impl Verdict {
    pub(crate) const COUNT: usize = 3;
    const ALL: [Verdict; Verdict::COUNT] = [Verdict::Accepted, Verdict::Rejected, Verdict::Unknown];

    pub(crate) fn of(flow: &Flow<'_>) -> Verdict {
        match flow.verdict() {
            Some(vpcflow_parser::Verdict::Accepted) => Verdict::Accepted,
            Some(vpcflow_parser::Verdict::Rejected) => Verdict::Rejected,
            None => Verdict::Unknown,
        }
    }
}

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Ingress,
    Egress,
    /// The record does not say.
    Unknown,
}

impl Way {
    const ALL: [Way; 3] = [Way::Ingress, Way::Egress, Way::Unknown];

    pub(crate) fn of(flow: &Flow<'_>) -> Way {
        match flow.direction() {
            Some(Direction::Ingress) => Way::Ingress,
            Some(Direction::Egress) => Way::Egress,
            None => Way::Unknown,
        }
    }
}

/// Sums by address, as records spell it. No more than `MOST_ADDRESSES` are kept of each kind: of more, those with
/// little traffic are forgotten.
#[derive(Debug, Default)]
struct Addresses {
    short: HashMap<Words, Volume, FxBuildHasher>,
    long: HashMap<Box<[u8]>, Volume, FxBuildHasher>,
    /// No address has more missing than this.
    missing: Volume,
}

/// Their sums take some megabytes.
const MOST_ADDRESSES: usize = 1 << 16;

impl Addresses {
    #[inline]
    fn add(&mut self, address: &[u8], volume: Volume) {
        let words = Words::new(address);
        let sum = match &words {
            Some(words) => self.short.get_mut(words),
            None => self.long.get_mut(address),
        };
        match (sum, words) {
            (Some(sum), _) => sum.add(volume),
            (None, Some(words)) => insert(&mut self.short, words, volume, &mut self.missing),
            (None, None) => insert(&mut self.long, address.into(), volume, &mut self.missing),
        }
    }

    fn ranking(&self) -> Ranking {
        let short = self.short.iter().map(|(words, sum)| (Address::Short(words), sum));
        let long = self.long.iter().map(|(address, sum)| (Address::Long(address), sum));
        Ranking { missing: self.missing, ..Ranking::of(short.chain(long), Address::text, |_| None) }
    }
}

/// An address that has a sum; its text is made only for those that are shown.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Address<'a> {
    Short(&'a Words),
    Long(&'a [u8]),
}

impl Address<'_> {
    fn text(&self) -> String {
        match self {
            Address::Short(words) => words.text(),
            Address::Long(text) => String::from_utf8_lossy(text).into_owned(),
        }
    }
}

/// A text of 4 to 15 bytes, as every IPv4 address is, with zeros behind it. Quicker to make and to find than a
/// text: WebAssembly calls a function to copy, to compare or to hash a few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Words(u64, u64);

impl Words {
    #[inline]
    fn new(text: &[u8]) -> Option<Words> {
        let behind = |word: u64, bytes: usize| word.checked_shr(8 * bytes as u32).unwrap_or(0);
        match (text.len(), text.first_chunk(), text.last_chunk(), text.first_chunk(), text.last_chunk()) {
            (length @ 8..=15, Some(first), Some(last), ..) => {
                Some(Words(u64::from_le_bytes(*first), behind(u64::from_le_bytes(*last), 16 - length)))
            }
            (length @ 4..8, .., Some(first), Some(last)) => {
                let last = behind(u32::from_le_bytes(*last).into(), 8 - length);
                Some(Words(u64::from(u32::from_le_bytes(*first)) | (last << 32), 0))
            }
            _ => None,
        }
    }

    fn text(self) -> String {
        let bytes = [self.0, self.1].into_iter().flat_map(u64::to_le_bytes).filter(|&byte| byte != 0).collect();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

#[cold]
fn insert<K: Eq + Hash>(
    sums: &mut HashMap<K, Volume, FxBuildHasher>,
    address: K,
    volume: Volume,
    missing: &mut Volume,
) {
    if sums.len() == MOST_ADDRESSES {
        let mut volumes: Vec<Volume> = sums.values().copied().collect();
        let (_, &mut median, _) = volumes.select_nth_unstable(MOST_ADDRESSES / 2);
        // Many may have just the median: of these, too, some must go.
        let mut room = MOST_ADDRESSES / 4;
        sums.retain(|_, volume| {
            let has_median = *volume == median;
            room = room.saturating_sub(usize::from(has_median));
            *volume > median || (has_median && room > 0)
        });
        missing.add(median);
    }
    sums.insert(address, volume);
}

/// Sums by a small number.
#[derive(Debug)]
struct Numbers<const N: usize>(Box<[Volume; N]>);

impl<const N: usize> Default for Numbers<N> {
    fn default() -> Numbers<N> {
        let sums = vec![Volume::default(); N].into_boxed_slice();
        Numbers(sums.try_into().expect("so many were made"))
    }
}

impl<const N: usize> Numbers<N> {
    fn ranking(&self, name: impl Fn(usize) -> Option<&'static str>) -> Ranking {
        let sums = self.0.iter().enumerate().filter(|(_, sum)| sum.flows > 0);
        Ranking::of(sums, usize::to_string, |number| name(*number))
    }
}

/// The largest sums, as the page gets them.
#[derive(Serialize)]
struct Ranking {
    rows: Vec<Row>,
    /// How many keys there are.
    keys: usize,
    /// No row has more missing than this.
    missing: Volume,
}

#[derive(Serialize)]
struct Row {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(flatten)]
    volume: Volume,
}

/// Rows of a chart and its table.
const MOST_ROWS: usize = 20;

impl Ranking {
    fn of<'s, K: Ord>(
        sums: impl Iterator<Item = (K, &'s Volume)>,
        show: impl Fn(&K) -> String,
        name: impl Fn(&K) -> Option<&'static str>,
    ) -> Ranking {
        let mut rows: Vec<(K, &Volume)> = sums.collect();
        let keys = rows.len();
        // By the keys, too, so that equal sums stand in the same order always.
        let order = |a: &(K, &Volume), b: &(K, &Volume)| b.1.cmp(a.1).then_with(|| a.0.cmp(&b.0));
        if keys > MOST_ROWS {
            rows.select_nth_unstable_by(MOST_ROWS, order);
            rows.truncate(MOST_ROWS);
        }
        rows.sort_unstable_by(order);
        let rows = rows.iter().map(|(key, volume)| Row { key: show(key), name: name(key), volume: **volume });
        Ranking { rows: rows.collect(), keys, missing: Volume::default() }
    }
}

/// All sums.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    total: Volume,
    timeline: Timeline,
    sources: Addresses,
    destinations: Addresses,
    ports: Numbers<{ 1 << 16 }>,
    protocols: Numbers<256>,
    directions: [[Volume; Verdict::COUNT]; Way::ALL.len()],
}

/// As the page gets it.
#[derive(Serialize)]
pub(crate) struct Report {
    total: Volume,
    timeline: timeline::Report,
    sources: Ranking,
    destinations: Ranking,
    ports: Ranking,
    protocols: Ranking,
    directions: Vec<DirectionRow>,
}

#[derive(Serialize)]
struct DirectionRow {
    direction: Way,
    verdict: Verdict,
    #[serde(flatten)]
    volume: Volume,
}

impl Traffic {
    #[inline]
    pub(crate) fn add(&mut self, flow: &Flow<'_>) {
        let volume = Volume::of(flow);
        let verdict = Verdict::of(flow);
        self.total.add(volume);
        self.timeline.add(flow.start_millis(), verdict, volume);
        if let Some(address) = flow.source_address() {
            self.sources.add(address, volume);
        }
        if let Some(address) = flow.destination_address() {
            self.destinations.add(address, volume);
        }
        if let Some(port) = flow.destination_port() {
            self.ports.0[usize::from(port)].add(volume);
        }
        if let Some(protocol) = flow.protocol() {
            self.protocols.0[usize::from(protocol)].add(volume);
        }
        self.directions[Way::of(flow) as usize][verdict as usize].add(volume);
    }

    pub(crate) fn report(&self) -> Report {
        let mut directions = Vec::new();
        for (direction, volumes) in Way::ALL.into_iter().zip(&self.directions) {
            for (verdict, volume) in Verdict::ALL.into_iter().zip(volumes) {
                if volume.flows > 0 {
                    directions.push(DirectionRow { direction, verdict, volume: *volume });
                }
            }
        }
        Report {
            total: self.total,
            timeline: self.timeline.report(),
            sources: self.sources.ranking(),
            destinations: self.destinations.ranking(),
            ports: self.ports.ranking(|_| None),
            protocols: self.protocols.ranking(|number| protocol_name(number as u8)),
            directions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_good_as_texts() {
        for address in ["1.1.1.1", "10.0.0.1", "100.10.10.1", "255.255.255.255", "::1:2", "2001:db8::1234", "::12"] {
            assert_eq!(Words::new(address.as_bytes()).map(Words::text).as_deref(), Some(address));
        }
        assert_eq!(Words::new(b"::1"), None);
        assert_eq!(Words::new(b"2001:db8::12:3456"), None);
    }

    #[test]
    fn the_largest_sums_survive_any_number_of_addresses() {
        let mut addresses = Addresses::default();
        let volume = |bytes| Volume { bytes, flows: 1 };
        for number in 0..4 * MOST_ADDRESSES as u64 {
            addresses.add(number.to_string().as_bytes(), volume(1));
            addresses.add(b"2001:db8::1234:5678:9abc:def0", volume(10));
            if number.is_multiple_of(1000) {
                addresses.add(b"198.51.100.100", volume(30));
            }
            assert!(addresses.short.len() <= MOST_ADDRESSES);
        }
        let ranking = addresses.ranking();
        assert_eq!(ranking.rows.len(), MOST_ROWS);
        let [first, second] = [0, 1].map(|row: usize| (ranking.rows[row].key.as_str(), ranking.rows[row].volume.bytes));
        assert_eq!(first, ("2001:db8::1234:5678:9abc:def0", 40 * MOST_ADDRESSES as u64));
        assert_eq!(second.0, "198.51.100.100");
        let missing = 30 * 263 - second.1;
        assert!(missing <= ranking.missing.bytes && ranking.missing.bytes > 0, "{missing}");
    }

    #[test]
    fn flows_count_where_there_are_no_bytes() {
        let mut addresses = Addresses::default();
        let one = Volume { bytes: 0, flows: 1 };
        for number in 0..2 * MOST_ADDRESSES as u64 {
            addresses.add(number.to_string().as_bytes(), one);
            addresses.add(b"198.51.100.100", one);
        }
        let ranking = addresses.ranking();
        assert_eq!(ranking.rows[0].key, "198.51.100.100");
        assert_eq!(ranking.rows[0].volume.flows, 2 * MOST_ADDRESSES as u64);
        assert!(ranking.missing.flows > 0);
    }
}
