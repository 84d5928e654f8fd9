use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A bounded map that forgets the oldest key when it has more than `most`.
#[derive(Debug)]
pub(in crate::server) struct Recent<K, V> {
    most: usize,
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V: Default> Recent<K, V> {
    pub(in crate::server) fn new(most: usize) -> Self {
        Self {
            most,
            entries: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(in crate::server) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(in crate::server) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Returns the entry of a key. Adds it if there is none.
    pub(in crate::server) fn entry(&mut self, key: K) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.order.push_back(key);
            if self.order.len() > self.most
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
        }
        self.entries.entry(key).or_default()
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
        assert_eq!((recent.entries.len(), recent.order.len()), (2, 2));
    }
}
