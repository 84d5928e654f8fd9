//! A bounded map: beyond its bound it forgets what was added first.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// What is known of the keys that were added last. Without values, a set of such keys.
///
/// If it already holds as many keys as it may, it forgets the oldest for each new one.
#[derive(Debug)]
pub(crate) struct Recent<K, V = ()> {
    most: usize,
    values: HashMap<K, V>,
    /// The keys, the oldest first.
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// Creates a map of at most `most` keys, and of at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Adds a key, and returns whether it is new. The value of a known key stays as it is.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        let is_new = !self.contains(&key);
        if is_new {
            self.add(key);
            self.values.insert(key, value);
        }
        is_new
    }

    /// Returns whether a key is known.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }

    /// Returns the oldest key and its value.
    pub(crate) fn oldest(&self) -> Option<(&K, &V)> {
        self.values.get_key_value(self.order.front()?)
    }

    /// Forgets the oldest key.
    pub(crate) fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.values.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.values.len(), self.order.len());
        self.order.len()
    }

    /// Makes room for a new key.
    fn add(&mut self, key: K) {
        if self.order.len() >= self.most {
            self.forget_oldest();
        }
        self.order.push_back(key);
    }
}

#[cfg(feature = "server")]
impl<K: Copy + Eq + Hash, V: Default> Recent<K, V> {
    /// Returns the value of a key, if the key is known.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// Returns the value of a key to change, if the key is known.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key)
    }

    /// Returns the value of a key to change, and adds the key if it is not known.
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        if !self.contains(&key) {
            self.add(key);
        }
        self.values.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_bound_it_forgets_the_oldest() {
        let mut recent = Recent::new(2);
        for key in [1, 2, 1, 3] {
            *recent.entry(key) += 1;
        }
        assert_eq!(
            (recent.get(&1), recent.get(&2), recent.get(&3)),
            (None, Some(&1), Some(&1))
        );
        assert_eq!(recent.len(), 2);
    }

    #[test]
    fn a_key_that_is_known_keeps_its_value_and_its_place() {
        let mut recent = Recent::new(2);
        let added = [(1, 'a'), (2, 'b'), (1, 'c')].map(|(key, value)| recent.insert(key, value));
        assert_eq!(added, [true, true, false]);
        assert_eq!(recent.oldest(), Some((&1, &'a')));
        recent.forget_oldest();
        assert_eq!((recent.oldest(), recent.len()), (Some((&2, &'b')), 1));
    }

    #[test]
    fn it_holds_one_key_at_least() {
        let mut recent = Recent::new(0);
        assert!(recent.insert(1, ()) && !recent.insert(1, ()) && recent.insert(2, ()));
        assert_eq!((recent.contains(&1), recent.len()), (false, 1));
    }
}
