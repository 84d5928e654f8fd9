//! Whatever happens in whatever order, no limit is exceeded and no sum is lost.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{
    disk::{Disk, restarted},
    *,
};
use crate::ledger::state::{Books, Later, Step};

#[derive(Clone, Copy, Debug)]
enum Happening {
    Begin {
        budget: usize,
        request: u32,
        host: u32,
        msat: u64,
        fee: u64,
        is_held: bool,
    },
    Clock(i64),
    Forget,
    Claim(usize),
    Later(usize, u8),
    Restart,
    /// Revokes a budget below `w/a`.
    Revoke(usize),
    Step(usize, u8, u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0..PATHS.len(), 0u32..12, 0u32..3, 1u64..40, 0u64..6, any::<bool>()).prop_map(
            |(budget, request, host, msat, fee, is_held)| Happening::Begin { budget, request, host, msat, fee, is_held },
        ),
        8 => (any::<prop::sample::Index>(), 0u8..7, 0u64..6).prop_map(|(at, step, fee)| Happening::Step(at.index(1_000), step, fee)),
        4 => (any::<prop::sample::Index>(), 0u8..4).prop_map(|(at, later)| Happening::Later(at.index(1_000), later)),
        2 => (-5_000i64..9_000).prop_map(Happening::Clock),
        2 => any::<prop::sample::Index>().prop_map(|at| Happening::Claim(at.index(1_000))),
        1 => Just(Happening::Restart),
        1 => Just(Happening::Forget),
        1 => (3..PATHS.len()).prop_map(Happening::Revoke),
    ]
}

const PATHS: [&str; 5] = ["w", "w/a", "w/b", "w/a/c", "w/a/d"];
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The limits of each path: in total, per host, per hour and per day, in msat.
const LIMITS: [[u64; 4]; 5] = [
    [400, 130, 120, 200],
    [250, 110, 100, 150],
    [300, 60, 90, 180],
    [120, 50, 60, 90],
    [150, 70, 70, 100],
];

/// What a payment costs by what was reported, without the ledger's help.
#[derive(Clone, Copy, Debug)]
enum Money {
    Free,
    May(u64),
    Left(u64, u64),
}

#[derive(Debug)]
struct Known {
    path: &'static str,
    host: u32,
    most: u64,
    amount: u64,
    money: Money,
    preimage: u32,
}

struct World {
    books: Books,
    disk: Disk,
    clock: u64,
    latest: u64,
    known: HashMap<EntryId, Known>,
    ids: Vec<EntryId>,
}

fn path_at(at: usize) -> BudgetPath {
    BudgetPath::parse(PATHS[at]).unwrap()
}

fn create(books: &mut Books, at: usize, now: Timestamp, disk: &mut Disk) {
    let [total, host, hour, day] = LIMITS[at].map(Amount::from_msat);
    let limits = Budget::total(total)
        .per_host(host)
        .per_hour(hour)
        .per_day(day);
    let path = path_at(at);
    match path.parent() {
        None => books.set_root(&path, limits, now, disk).unwrap(),
        Some(_) => books.create_budget(&path, limits, now, disk).unwrap(),
    }
}

impl World {
    fn new() -> Self {
        let (mut books, mut disk) = (Books::new(1_000_000), Disk::default());
        for at in 0..PATHS.len() {
            create(&mut books, at, START, &mut disk);
        }
        let start = START.as_unix_seconds();
        Self {
            books,
            disk,
            clock: start,
            latest: start,
            known: HashMap::new(),
            ids: Vec::new(),
        }
    }

    fn now(&mut self) -> Timestamp {
        self.latest = self.latest.max(self.clock);
        let now = self.books.time(Timestamp::from_unix_seconds(self.clock));
        assert_eq!(now.as_unix_seconds(), self.latest, "time never goes back");
        now
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Begin {
                budget,
                request: key,
                host,
                msat,
                fee,
                is_held,
            } => {
                let number = self.ids.len() as u32;
                let id = EntryId::from_bytes(u128::from(number).to_le_bytes());
                let new = NewPayment {
                    amount: Amount::from_msat(msat),
                    max_fee: Amount::from_msat(fee),
                    host: format!("{host}.example"),
                    request_key: request(key),
                    is_held,
                    invoice_expires_at: Timestamp::default(),
                    redeem_until: Timestamp::default(),
                    ..payment(&BudgetPath::parse(PATHS[budget]).unwrap(), number)
                };
                if self.books.begin(new, id, now, &mut self.disk).is_ok() {
                    let (path, most) = (PATHS[budget], msat + fee);
                    let money = Money::May(most);
                    self.known.insert(
                        id,
                        Known {
                            path,
                            host,
                            most,
                            amount: msat,
                            money,
                            preimage: number,
                        },
                    );
                }
                self.ids.push(id);
            }
            Happening::Clock(by) => self.clock = self.clock.saturating_add_signed(by),
            Happening::Claim(at) => drop(self.pick(at).map(|id| self.books.claim(id))),
            Happening::Later(at, later) => {
                let Some(id) = self.pick(at) else { return };
                let later = match later {
                    0 => Later::Abandoned,
                    1 => Later::Released,
                    2 => Later::Answered(503),
                    _ => Later::Redeemed {
                        status: 200,
                        is_reusable: false,
                    },
                };
                let before = self.books.entry(id).map(|entry| entry.state());
                let changed = self.books.later(id, later, now, &mut self.disk);
                if changed && matches!(later, Later::Abandoned | Later::Released) {
                    assert!(matches!(
                        before,
                        Some(EntryState::Reserved | EntryState::Sent)
                    ));
                    self.known.get_mut(&id).unwrap().money = Money::Free;
                }
            }
            Happening::Restart => self.restart(),
            Happening::Revoke(at) => self
                .books
                .revoke(&path_at(at), now, &mut self.disk)
                .unwrap(),
            Happening::Forget => self.forget(now),
            Happening::Step(at, step, fee) => {
                let Some(id) = self.pick(at) else { return };
                let Some(known) = self.known.get_mut(&id) else {
                    return;
                };
                let Some(before) = self.books.entry(id).map(|entry| entry.state()) else {
                    return;
                };
                let fee = fee.min(known.most - known.amount);
                let money = match step {
                    0 => Money::Free,
                    1 => Money::Left(known.amount + fee, self.latest),
                    2 => Money::Left(known.most, self.latest),
                    _ => known.money,
                };
                let step = match step {
                    0 => Step::Failed(String::new()),
                    1 => Step::Paid(preimage(known.preimage), Amount::from_msat(fee), fee == 0),
                    2 => Step::Unproved(String::new()),
                    3 => Step::Refused(String::new()),
                    4 => Step::Send,
                    5 => Step::Cleared,
                    _ => Step::InFlight,
                };
                let done = self.books.step(id, step, now, &mut self.disk);
                let after = self.books.entry(id).map(|entry| entry.state());
                if done.is_ok() && after != Some(before) {
                    known.money = match (known.money, money) {
                        // What was unproved is proved: it counts no later than before.
                        (Money::Left(_, at), Money::Left(msat, _)) => Money::Left(msat, at),
                        (_, money) => money,
                    };
                }
            }
        }
    }

    /// Forgets what is over. A budget that is gone is created again, and begins with nothing.
    fn forget(&mut self, now: Timestamp) {
        self.books.forget_before(now, now, 1_000, &mut self.disk);
        self.books.forget_budgets(now, 1_000, &mut self.disk);
        for (at, path) in PATHS.into_iter().enumerate() {
            if self.books.budget(&path_at(at), now).is_none() {
                let own = self.known.values_mut().filter(|own| own.path == path);
                own.for_each(|own| own.path = "w/a");
                create(&mut self.books, at, now, &mut self.disk);
            }
        }
    }

    fn pick(&self, at: usize) -> Option<EntryId> {
        // Mostly the last ones.
        self.ids.iter().rev().nth(at % 6).copied()
    }

    /// The process is killed, and another one starts.
    fn restart(&mut self) {
        let now = Timestamp::from_unix_seconds(self.clock);
        let states =
            |books: &Books| PATHS.map(|path| books.budget(&BudgetPath::parse(path).unwrap(), now));
        let before = states(&self.books);
        let loaded = self.disk.load();
        let after = states(&loaded);
        for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
            assert_eq!(
                (before.spent, before.reserved),
                (after.spent, after.reserved)
            );
        }
        for (id, known) in &mut self.known {
            let (held, loaded) = (self.books.entry(*id), loaded.entry(*id));
            let held = held.map(|entry| entry.0);
            assert!(held == loaded.map(|entry| entry.0), "an entry or none");
            if held.is_some_and(|entry| entry.state == EntryState::Reserved) {
                known.money = Money::Free;
            }
        }
        // Only times that were written are known to another process.
        self.books = restarted(&mut self.disk, now);
        self.latest = self.books.time(Timestamp::default()).as_unix_seconds();
    }

    /// No limit is exceeded, and the sums are those of what was reported.
    fn check(&mut self) {
        let now = self.now().as_unix_seconds();
        for (path, [total, per_host, hour, day]) in PATHS.into_iter().zip(LIMITS) {
            let below =
                |known: &&Known| known.path == path || known.path.starts_with(&format!("{path}/"));
            let own: Vec<_> = self.known.values().filter(below).collect();
            let sum = |of: &dyn Fn(&Known) -> u64| own.iter().map(|known| of(known)).sum::<u64>();
            let reserved = sum(&|known| match known.money {
                Money::May(msat) => msat,
                _ => 0,
            });
            let since = |from: u64| {
                sum(&|known| match known.money {
                    Money::Left(msat, at) if at >= from => msat,
                    _ => 0,
                })
            };
            let spent = since(0);
            let state = self
                .books
                .budget(&BudgetPath::parse(path).unwrap(), START)
                .unwrap();
            assert_eq!(
                (state.spent.as_msat(), state.reserved.as_msat()),
                (spent, reserved),
                "{path}"
            );
            assert!(
                spent + reserved <= total,
                "{path}: {spent} + {reserved} of {total}"
            );
            assert!(since(now - HOUR + 1) + reserved <= hour, "{path}: an hour");
            assert!(since(now - DAY + 1) + reserved <= day, "{path}: a day");
            for host in 0..3 {
                let of_host = sum(&|known| match known.money {
                    Money::May(msat) | Money::Left(msat, _) if known.host == host => msat,
                    _ => 0,
                });
                assert!(of_host <= per_host, "{path}: host {host}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_interleaving_with_failures_kills_and_clocks_exceeds_a_limit_or_loses_a_sum(
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
    }
}
