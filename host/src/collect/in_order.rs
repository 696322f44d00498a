//! Work that ends in any order, of a source that wants to be told in order.

use std::collections::VecDeque;

/// The positions of what is in hand: of a shard, a partition, a log stream.
#[derive(Debug)]
pub(crate) struct InOrder<P> {
    /// The number of the first one.
    first: u64,
    /// With whether it has ended.
    positions: VecDeque<(P, bool)>,
}

impl<P> Default for InOrder<P> {
    fn default() -> InOrder<P> {
        InOrder { first: 0, positions: VecDeque::new() }
    }
}

impl<P> InOrder<P> {
    /// Begins what comes behind all others; gives its number.
    pub(crate) fn begin(&mut self, position: P) -> u64 {
        self.positions.push_back((position, false));
        self.first + self.positions.len() as u64 - 1
    }

    /// Ends one; gives the last position before which nothing is in hand any more, if that has moved on.
    pub(crate) fn end(&mut self, number: u64) -> Option<P> {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some((_, has_ended)) = index.and_then(|index| self.positions.get_mut(index)) {
            *has_ended = true;
        }
        let mut last = None;
        while let Some((position, _)) = self.positions.pop_front_if(|(_, has_ended)| *has_ended) {
            self.first += 1;
            last = Some(position);
        }
        last
    }

    /// Whether nothing is in hand.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_early_waits_for_what_began_before_it() {
        let mut order = InOrder::default();
        let numbers = ["a", "b", "c", "d"].map(|position| order.begin(position));
        assert_eq!(order.end(numbers[2]), None);
        assert_eq!(order.end(numbers[0]), Some("a"));
        assert_eq!(order.end(numbers[1]), Some("c"));
        assert_eq!(order.end(numbers[1]), None, "twice is once");
        let last = order.begin("e");
        assert_eq!(order.end(last), None);
        assert_eq!(order.end(numbers[3]), Some("e"));
        assert!(order.is_empty());
    }
}
