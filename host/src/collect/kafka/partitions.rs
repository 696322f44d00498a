//! The partitions that are ours, and how far each has been flushed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::collect::in_order::InOrder;
use crate::pump::lock;

/// A partition, from its assignment to its revocation: what ends later concerns nobody.
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) number: i32,
    is_ours: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Of each batch in hand, the offset behind it.
    in_hand: InOrder<i64>,
    /// The offset before which everything has been flushed.
    flushed: Option<i64>,
    /// The same, as far as the brokers have confirmed it.
    committed: Option<i64>,
    /// Read to the end once.
    has_ended: bool,
}

impl Partition {
    /// Whether it has not been revoked. One that comes back is another.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours.load(Ordering::Acquire)
    }

    /// Begins a batch from the offset `first` on, which ends before `next`; gives its number.
    pub(super) fn begin(&self, first: i64, next: i64) -> u64 {
        let mut progress = lock(&self.progress);
        // Committed, too: a group without an offset that begins at the latest record would begin behind what is in hand.
        progress.flushed.get_or_insert(first);
        progress.in_hand.begin(next)
    }

    /// All events of a batch are safe.
    pub(super) fn flushed(&self, number: u64) {
        let mut progress = lock(&self.progress);
        let last = progress.in_hand.end(number);
        progress.flushed = last.or(progress.flushed);
    }

    fn uncommitted(&self) -> Option<i64> {
        let progress = lock(&self.progress);
        progress.flushed.filter(|_| progress.flushed != progress.committed)
    }
}

/// Those that are ours.
#[derive(Default)]
pub(super) struct Partitions(Mutex<HashMap<(String, i32), Arc<Partition>>>);

impl Partitions {
    pub(super) fn assign(&self, list: &TopicPartitionList) {
        let mut all = lock(&self.0);
        for element in list.elements() {
            let (topic, number) = (element.topic().to_owned(), element.partition());
            let (is_ours, progress) = (AtomicBool::new(true), Mutex::default());
            let partition = Partition { topic: topic.clone(), number, is_ours, progress };
            all.insert((topic, number), Arc::new(partition));
        }
    }

    pub(super) fn revoke(&self, list: &TopicPartitionList) {
        let mut all = lock(&self.0);
        for element in list.elements() {
            if let Some(partition) = all.remove(&key(element.topic(), element.partition())) {
                partition.is_ours.store(false, Ordering::Release);
            }
        }
    }

    pub(super) fn get(&self, topic: &str, number: i32) -> Option<Arc<Partition>> {
        lock(&self.0).get(&key(topic, number)).cloned()
    }

    /// Whether nothing of these is in hand.
    pub(super) fn are_done(&self, list: &TopicPartitionList) -> bool {
        self.all_of(list, |partition| lock(&partition.progress).in_hand.is_empty())
    }

    /// Whether everything of these that has been flushed is committed.
    pub(super) fn are_committed(&self, list: &TopicPartitionList) -> bool {
        self.all_of(list, |partition| partition.uncommitted().is_none())
    }

    fn all_of(&self, list: &TopicPartitionList, is_so: impl Fn(&Partition) -> bool) -> bool {
        let elements = list.elements();
        let mut found = elements.iter().filter_map(|element| self.get(element.topic(), element.partition()));
        found.all(|partition| is_so(&partition))
    }

    /// A partition of this number has been read to its end.
    pub(super) fn ended(&self, number: i32) {
        let all = lock(&self.0);
        let of_number = all.values().filter(|partition| partition.number == number);
        of_number.for_each(|partition| lock(&partition.progress).has_ended = true);
    }

    /// Whether there are any, and all have been read to their ends.
    pub(super) fn have_ended(&self) -> bool {
        let all = lock(&self.0);
        !all.is_empty() && all.values().all(|partition| lock(&partition.progress).has_ended)
    }

    /// What has been flushed and is not known to be committed.
    pub(super) fn uncommitted(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, number), partition) in lock(&self.0).iter() {
            if let Some(offset) = partition.uncommitted() {
                // Fails only for offsets below zero.
                let _ = list.add_partition_offset(topic, *number, Offset::Offset(offset));
            }
        }
        list
    }

    /// The brokers have confirmed these.
    pub(super) fn committed(&self, list: &TopicPartitionList) {
        for element in list.elements() {
            let partition = self.get(element.topic(), element.partition());
            if let (Some(partition), Offset::Offset(offset)) = (partition, element.offset()) {
                lock(&partition.progress).committed = Some(offset);
            }
        }
    }
}

fn key(topic: &str, number: i32) -> (String, i32) {
    (topic.to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(number: i32, offset: i64) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", number, Offset::Offset(offset)).unwrap();
        list
    }

    #[test]
    fn what_is_committed_is_flushed_in_order_and_ours() {
        let partitions = Partitions::default();
        partitions.assign(&list(0, 0));
        partitions.assign(&list(1, 0));
        let first = partitions.get("t", 0).unwrap();
        let numbers = [10, 20, 30].map(|next| first.begin(next - 10, next));
        assert_eq!(partitions.uncommitted(), list(0, 0), "where it began");
        first.flushed(numbers[1]);
        assert_eq!(partitions.uncommitted(), list(0, 0), "the batch before it is in hand");
        first.flushed(numbers[0]);
        assert_eq!(partitions.uncommitted(), list(0, 20));
        partitions.committed(&list(0, 20));
        assert_eq!(partitions.uncommitted().count(), 0);
        assert!(!partitions.are_done(&list(0, 0)) && partitions.are_done(&list(1, 0)));

        partitions.revoke(&list(0, 0));
        assert!(!first.is_ours());
        first.flushed(numbers[2]);
        assert_eq!(partitions.uncommitted().count(), 0, "it is not ours any more");
        partitions.assign(&list(0, 0));
        assert!(!first.is_ours() && partitions.get("t", 0).unwrap().is_ours());
        first.flushed(numbers[2]);
        assert_eq!(partitions.uncommitted().count(), 0, "what was begun before the revocation does not count");
    }

    #[test]
    fn the_end_is_that_of_all() {
        let partitions = Partitions::default();
        assert!(!partitions.have_ended());
        partitions.assign(&list(0, 0));
        partitions.assign(&list(1, 0));
        partitions.ended(0);
        assert!(!partitions.have_ended());
        partitions.ended(1);
        assert!(partitions.have_ended());
    }
}
