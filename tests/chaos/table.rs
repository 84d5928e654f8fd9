use std::{collections::BTreeMap, fmt, sync::atomic::Ordering, time::Duration};

use crate::{audit::Sums, book::Kind, world::World};

/// The result of a run, which is printed.
pub(crate) struct Table {
    run: String,
    done: String,
    again: u64,
    /// Requests that a process did not answer in time, though it was not killed.
    pub(crate) unanswered: usize,
    sums: BTreeMap<Kind, Sums>,
}

const HEADS: [&str; 10] = [
    "",
    "payments",
    "uses bought",
    "served",
    "of these at the end",
    "of these unanswered",
    "granted when its process died",
    "not given back when its process died",
    "served beyond",
    "lost",
];

impl Table {
    pub(crate) fn new(world: &World, took: Duration, sums: BTreeMap<Kind, Sums>) -> Self {
        let options = &world.options;
        Self {
            run: format!(
                "seed {}, store {:?}, {} processes, {} clients, {} s of havoc",
                options.seed,
                options.store,
                options.processes,
                options.clients,
                took.as_secs()
            ),
            done: world.history.in_words(),
            again: world.book.refused_again.load(Ordering::Relaxed),
            unanswered: world.history.unanswered(),
            sums,
        }
    }

    pub(crate) fn all(&self) -> Sums {
        let mut all = Sums::default();
        for sums in self.sums.values() {
            all.payments += sums.payments;
            all.bought += sums.bought;
            all.served += sums.served;
            all.at_end += sums.at_end;
            all.unanswered += sums.unanswered;
            all.died_granted += sums.died_granted;
            all.died_releasing += sums.died_releasing;
            all.beyond += sums.beyond;
            all.lost += sums.lost;
        }
        all
    }
}

fn cells(sums: &Sums) -> [u64; 9] {
    [
        sums.payments,
        sums.bought,
        sums.served,
        sums.at_end,
        sums.unanswered,
        sums.died_granted,
        sums.died_releasing,
        sums.beyond,
        sums.lost,
    ]
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.run, self.done)?;
        let (mut head, mut rule) = (String::new(), String::new());
        for name in HEADS {
            head += &format!("| {name} ");
            rule += "|---";
        }
        writeln!(f, "{head}|\n{rule}|")?;
        let rows = self.sums.iter().map(|(kind, sums)| (kind.name(), *sums));
        for (name, sums) in rows.chain([("all", self.all())]) {
            write!(f, "| {name} ")?;
            for cell in cells(&sums) {
                write!(f, "| {cell} ")?;
            }
            writeln!(f, "|")?;
        }
        write!(
            f,
            "used-up credentials refused: {}; requests without an answer in time: {}",
            self.again, self.unanswered
        )
    }
}
