//! How much memory bodies may take together.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::lock::lock;

/// A number of bytes that bodies share: each takes some, and gives them back when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    free: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            free: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        self.free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| {
                free.checked_sub(bytes)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::SeqCst);
    }
}

/// A pool for each key, such as a client. It is created for the first body and forgotten after the
/// last one.
#[derive(Debug)]
pub(crate) struct Pools<K> {
    /// The size of each pool, in bytes.
    bytes: usize,
    open: Mutex<Open<K>>,
}

#[derive(Debug)]
struct Open<K> {
    pools: HashMap<K, Pool>,
    sweep_at: usize,
}

impl<K: Eq + Hash> Pools<K> {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            open: Mutex::new(Open {
                pools: HashMap::new(),
                sweep_at: FEW,
            }),
        }
    }

    pub(crate) fn of(&self, key: K) -> Pool {
        let Open { pools, sweep_at } = &mut *lock(&self.open);
        // So the table holds at most twice as many pools as are in use, and the average cost of an
        // addition stays constant.
        if pools.len() >= *sweep_at {
            pools.retain(|_, pool| Arc::strong_count(&pool.free) > 1);
            *sweep_at = (2 * pools.len()).max(FEW);
        }
        pools
            .entry(key)
            .or_insert_with(|| Pool::new(self.bytes))
            .clone()
    }
}

/// The smallest number of pools that is swept.
const FEW: usize = 64;

/// The bytes that one body takes of each of its pools. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Share {
    pools: [Option<Pool>; 5],
    bytes: usize,
}

impl Share {
    pub(crate) const fn of(pools: [Option<Pool>; 5]) -> Self {
        Self { pools, bytes: 0 }
    }

    /// Takes more, until it has `bytes` of each pool. Returns false and takes nothing if one of the
    /// pools has too few left.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let pools = || self.pools.iter().flatten();
        if let Some(empty) = pools().position(|pool| !pool.take(more)) {
            pools().take(empty).for_each(|pool| pool.give_back(more));
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pools
            .iter()
            .flatten()
            .for_each(|pool| pool.give_back(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(pool: &Pool) -> Share {
        Share::of([Some(pool.clone()), None, None, None, None])
    }

    #[test]
    fn the_pool_never_gives_more_than_it_has() {
        let pool = Pool::new(10);
        let (mut a, mut b) = (share(&pool), share(&pool));
        assert!(a.grow_to(6) && !b.grow_to(5) && b.grow_to(4));
        drop(a);
        assert!(b.grow_to(10) && !b.grow_to(11));
        drop(b);
        assert!(share(&pool).grow_to(10));
    }

    #[test]
    fn a_body_takes_of_all_its_pools_or_of_none() {
        let (whole, of_one) = (Pool::new(10), Pools::new(4));
        let share =
            |key: u32| Share::of([Some(whole.clone()), None, None, None, Some(of_one.of(key))]);
        let (mut a, mut b, mut c) = (share(1), share(1), share(2));
        assert!(a.grow_to(3) && !b.grow_to(2) && b.grow_to(1) && c.grow_to(4));
        assert!(share(3).grow_to(2), "a refused body has kept something");
        drop(a);
        assert!(b.grow_to(4) && !b.grow_to(5));
    }

    #[test]
    fn pools_that_no_body_uses_are_forgotten() {
        let pools = Pools::new(4);
        let held = pools.of(0_u32);
        assert!(held.take(3));
        for key in 1..10_000 {
            assert!(pools.of(key).take(1));
        }
        assert!(pools.open.lock().unwrap().pools.len() <= 2 * FEW);
        assert!(
            !pools.of(0).take(2),
            "a pool was forgotten while a body held a share of it"
        );
    }
}
