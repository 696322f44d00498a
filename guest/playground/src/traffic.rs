//! Sums over the flows that go by, for the charts.

use std::borrow::Borrow;
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
    pub(crate) packets: u64,
    pub(crate) flows: u64,
}

impl Volume {
    fn of(flow: &Flow<'_>) -> Volume {
        Volume { flows: 1, bytes: flow.bytes().unwrap_or(0), packets: flow.packets().unwrap_or(0) }
    }

    pub(crate) fn add(&mut self, other: Volume) {
        // A record may claim to be 2⁶³ bytes.
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
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

/// Sums by a key, of which no more than `MOST_KEYS` are kept: of more, those with little traffic are forgotten.
#[derive(Debug)]
struct Sums<K> {
    by_key: HashMap<K, Volume, FxBuildHasher>,
    /// No key has more bytes missing than this.
    missing_bytes: u64,
}

const MOST_KEYS: usize = 1 << 16;
/// Rows of a chart and its table.
const MOST_ROWS: usize = 20;

impl<K> Default for Sums<K> {
    fn default() -> Sums<K> {
        Sums { by_key: HashMap::default(), missing_bytes: 0 }
    }
}

impl<K: Eq + Hash> Sums<K> {
    #[inline]
    fn add<Q: Eq + Hash + ?Sized>(&mut self, key: &Q, own: impl FnOnce(&Q) -> K, volume: Volume)
    where
        K: Borrow<Q>,
    {
        match self.by_key.get_mut(key) {
            Some(sum) => sum.add(volume),
            None => self.add_key(own(key), volume),
        }
    }

    #[cold]
    fn add_key(&mut self, key: K, volume: Volume) {
        if self.by_key.len() == MOST_KEYS {
            let mut bytes: Vec<u64> = self.by_key.values().map(|volume| volume.bytes).collect();
            let (_, &mut median, _) = bytes.select_nth_unstable(MOST_KEYS / 2);
            // Many may have just the median; one must go in any case.
            let mut room = MOST_KEYS / 2;
            self.by_key.retain(|_, volume| {
                let is_kept = volume.bytes > median || (volume.bytes == median && room > 0);
                room = room.saturating_sub(usize::from(is_kept && volume.bytes == median));
                is_kept
            });
            self.missing_bytes = self.missing_bytes.saturating_add(median);
        }
        self.by_key.insert(key, volume);
    }
}

/// The largest sums, as the page gets them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ranking {
    rows: Vec<Row>,
    /// How many keys there are.
    keys: usize,
    /// No row has more bytes missing than this.
    missing_bytes: u64,
}

#[derive(Serialize)]
struct Row {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(flatten)]
    volume: Volume,
}

impl Ranking {
    fn of<K: Ord>(
        sums: &Sums<K>,
        show: impl Fn(&K) -> String,
        name: impl Fn(&K) -> Option<&'static str>,
    ) -> Ranking {
        let mut rows: Vec<(&K, &Volume)> = sums.by_key.iter().collect();
        // The keys, too, so that equal sums stand in the same order always.
        let order = |a: &(&K, &Volume), b: &(&K, &Volume)| b.1.cmp(a.1).then(a.0.cmp(b.0));
        if rows.len() > MOST_ROWS {
            rows.select_nth_unstable_by(MOST_ROWS, order);
            rows.truncate(MOST_ROWS);
        }
        rows.sort_unstable_by(order);
        let rows = rows.into_iter().map(|(key, volume)| Row { key: show(key), name: name(key), volume: *volume });
        Ranking { rows: rows.collect(), keys: sums.by_key.len(), missing_bytes: sums.missing_bytes }
    }
}

/// All sums.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    total: Volume,
    timeline: Timeline,
    sources: Sums<Box<[u8]>>,
    destinations: Sums<Box<[u8]>>,
    ports: Sums<u16>,
    protocols: Sums<u8>,
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
            self.sources.add(address, Into::into, volume);
        }
        if let Some(address) = flow.destination_address() {
            self.destinations.add(address, Into::into, volume);
        }
        if let Some(port) = flow.destination_port() {
            self.ports.add(&port, |port| *port, volume);
        }
        if let Some(protocol) = flow.protocol() {
            self.protocols.add(&protocol, |protocol| *protocol, volume);
        }
        self.directions[Way::of(flow) as usize][verdict as usize].add(volume);
    }

    pub(crate) fn report(&self) -> Report {
        let address = |sums| Ranking::of(sums, |text: &Box<[u8]>| String::from_utf8_lossy(text).into_owned(), |_| None);
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
            sources: address(&self.sources),
            destinations: address(&self.destinations),
            ports: Ranking::of(&self.ports, u16::to_string, |_| None),
            protocols: Ranking::of(&self.protocols, u8::to_string, |&protocol| protocol_name(protocol)),
            directions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sums_survive_any_number_of_keys() {
        let mut sums: Sums<Box<[u8]>> = Sums::default();
        let volume = |bytes| Volume { bytes, packets: 1, flows: 1 };
        for number in 0..4 * MOST_KEYS as u64 {
            sums.add(number.to_string().as_bytes(), Into::into, volume(1));
            sums.add(b"large".as_slice(), Into::into, volume(10));
            if number.is_multiple_of(1000) {
                sums.add(b"small".as_slice(), Into::into, volume(30));
            }
            assert!(sums.by_key.len() <= MOST_KEYS);
        }
        let ranking = Ranking::of(&sums, |key| String::from_utf8_lossy(key).into_owned(), |_| None);
        assert_eq!(ranking.rows.len(), MOST_ROWS);
        assert_eq!((ranking.rows[0].key.as_str(), ranking.rows[0].volume.bytes), ("large", 40 * MOST_KEYS as u64));
        let missing = 30 * 263 - ranking.rows[1].volume.bytes;
        assert!(ranking.rows[1].key == "small" && missing <= ranking.missing_bytes, "{missing}");
        assert!(ranking.missing_bytes > 0);
    }
}
