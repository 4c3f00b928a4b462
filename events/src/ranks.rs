//! A set of numbers that counts how many of them are below another.

use serde::{Deserialize, Serialize};

/// Which numbers (from 1) are present, with the count of smaller ones and the
/// smallest in O(log n): a binary indexed tree (Fenwick 1994), four bytes a
/// number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    /// `tree[i - 1]` sums the presence of the numbers in `(i - lowbit(i), i]`.
    tree: Vec<u32>,
    present: Vec<u64>,
    len: u32,
}

fn low_bit(i: usize) -> usize {
    i & i.wrapping_neg()
}

impl Ranks {
    /// How many numbers are present.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no number is present.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `number` is present.
    pub fn contains(&self, number: u32) -> bool {
        let bit = number.wrapping_sub(1) as usize;
        self.present.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Adds `number`; false when it was there, or is 0.
    pub fn insert(&mut self, number: u32) -> bool {
        if number == 0 || self.contains(number) {
            return false;
        }
        self.grow_to(number as usize);
        self.flip(number);
        self.update(number, u32::wrapping_add);
        self.len += 1;
        true
    }

    /// Adds many numbers at once, in any order.
    pub fn extend(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers.into_iter().filter(|number| *number > 0) {
            let word = (number - 1) as usize / 64;
            if self.present.len() <= word {
                self.present.resize(word + 1, 0);
            }
            if !self.contains(number) {
                self.flip(number);
                self.len += 1;
            }
        }
        self.sum_again();
    }

    /// Makes the sums anew, each node adding itself to the one that covers it.
    fn sum_again(&mut self) {
        let last = self.present.iter().rposition(|word| *word != 0);
        let size = last.map_or(0, |word| word * 64 + 64 - self.present[word].leading_zeros() as usize);
        let size = size.max(self.tree.len());
        self.tree.clear();
        self.tree.extend((0..size).map(|bit| (self.present[bit / 64] >> (bit % 64) & 1) as u32));
        for i in 1..=size {
            let above = i + low_bit(i);
            if above <= size {
                self.tree[above - 1] += self.tree[i - 1];
            }
        }
    }

    /// Removes `number`; false when it was not there.
    pub fn remove(&mut self, number: u32) -> bool {
        if !self.contains(number) {
            return false;
        }
        self.flip(number);
        self.update(number, u32::wrapping_sub);
        self.len -= 1;
        true
    }

    /// How many present numbers are smaller than `number`.
    pub fn below(&self, number: u32) -> u32 {
        let mut i = (number.saturating_sub(1) as usize).min(self.tree.len());
        let mut sum = 0;
        while i > 0 {
            sum += self.tree[i - 1];
            i -= low_bit(i);
        }
        sum
    }

    /// The smallest present number that `skip` others precede.
    pub fn nth(&self, skip: u32) -> Option<u32> {
        if skip >= self.len {
            return None;
        }
        let mut left = skip;
        let mut at = 0;
        let mut step = (self.tree.len() + 1).next_power_of_two() / 2;
        while step > 0 {
            let next = at + step;
            if next <= self.tree.len() && self.tree[next - 1] <= left {
                left -= self.tree[next - 1];
                at = next;
            }
            step /= 2;
        }
        u32::try_from(at + 1).ok()
    }

    fn flip(&mut self, number: u32) {
        let bit = (number - 1) as usize;
        self.present[bit / 64] ^= 1 << (bit % 64);
    }

    fn update(&mut self, number: u32, change: fn(u32, u32) -> u32) {
        let mut i = number as usize;
        while i <= self.tree.len() {
            self.tree[i - 1] = change(self.tree[i - 1], 1);
            i += low_bit(i);
        }
    }

    fn grow_to(&mut self, size: usize) {
        while self.tree.len() < size {
            let i = self.tree.len() + 1;
            // A new node covers (i - lowbit(i), i]: it is the sum of the nodes below it.
            let mut sum = 0;
            let mut j = i - 1;
            while j > i - low_bit(i) {
                sum += self.tree[j - 1];
                j -= low_bit(j);
            }
            self.tree.push(sum);
        }
        self.present.resize(size.div_ceil(64).max(self.present.len()), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranks;

    proptest! {
        #[test]
        fn many_numbers_at_once_are_the_same_as_one_after_another(
            before in prop::collection::vec(1u32..300, 0..50),
            many in prop::collection::vec(0u32..400, 0..200),
            after in prop::collection::vec(1u32..500, 0..50),
        ) {
            let (mut one_by_one, mut at_once) = (Ranks::default(), Ranks::default());
            for number in &before {
                one_by_one.insert(*number);
                at_once.insert(*number);
            }
            for number in &many {
                one_by_one.insert(*number);
            }
            at_once.extend(many);
            prop_assert_eq!(&at_once, &one_by_one);
            for number in &after {
                prop_assert_eq!(at_once.insert(*number), one_by_one.insert(*number));
            }
            prop_assert_eq!(at_once, one_by_one);
        }

        #[test]
        fn ranks_agree_with_a_sorted_set(changes in prop::collection::vec((any::<bool>(), 1u32..300), 0..400)) {
            let mut ranks = Ranks::default();
            let mut set = BTreeSet::new();
            for (add, number) in changes {
                if add {
                    prop_assert_eq!(ranks.insert(number), set.insert(number));
                } else {
                    prop_assert_eq!(ranks.remove(number), set.remove(&number));
                }
                prop_assert_eq!(ranks.len() as usize, set.len());
                prop_assert_eq!(ranks.below(number) as usize, set.range(..number).count());
                prop_assert_eq!(ranks.nth(0), set.first().copied());
                prop_assert_eq!(ranks.nth(7), set.iter().nth(7).copied());
            }
        }
    }
}
