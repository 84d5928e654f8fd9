use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lexopt::{Arg, Parser, ValueExt as _};

use crate::{FORGETFUL_SERVER, SERVER, TWIN_SERVER};

/// The variable with the arguments of a run.
const VARIABLE: &str = "CHAOS";

/// How large a run is, and when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) store: Engine,
    pub(crate) processes: usize,
    pub(crate) clients: usize,
    /// It ends after so many payments.
    pub(crate) payments: u64,
    /// It ends after this time.
    pub(crate) time: Duration,
    /// Whether processes are killed and the store is stopped.
    pub(crate) havoc: bool,
}

/// Which store the processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Redis,
    /// Each process has one of its own, in memory, which passes for the others.
    Twins,
    /// The one process loses payments.
    Forgetful,
}

impl Engine {
    /// Returns the test that is a server on this store.
    pub(crate) const fn server(self) -> &'static str {
        match self {
            Self::Forgetful => FORGETFUL_SERVER,
            Self::Twins => TWIN_SERVER,
            _ => SERVER,
        }
    }
}

impl Options {
    /// A run that is short enough for each run of the tests.
    pub(crate) fn short(store: Engine) -> Self {
        Self {
            seed: random(),
            store,
            processes: 3,
            clients: 32,
            payments: 1_000,
            time: Duration::from_secs(15),
            havoc: true,
        }
    }

    /// Reads the arguments that `scripts/chaos` got, if it started this process.
    pub(crate) fn of_script() -> Option<Self> {
        let words = std::env::var(VARIABLE).ok()?;
        let mut options = Self {
            clients: 64,
            payments: 1_000_000,
            time: Duration::from_secs(120),
            ..Self::short(Engine::Redis)
        };
        let mut words = Parser::from_args(words.split_whitespace().map(str::to_owned));
        while let Some(word) = words.next().unwrap() {
            match word {
                Arg::Long("seed") => options.seed = number(&mut words),
                Arg::Long("processes") => options.processes = number(&mut words) as usize,
                Arg::Long("clients") => options.clients = number(&mut words) as usize,
                Arg::Long("payments") => options.payments = number(&mut words),
                Arg::Long("minutes") => options.time = Duration::from_secs(60 * number(&mut words)),
                Arg::Long("store") => {
                    options.store = match words.value().unwrap().to_str() {
                        Some("redis") => Engine::Redis,
                        Some("postgres") => Engine::Postgres,
                        _ => panic!("--store: expected redis or postgres"),
                    }
                }
                other => panic!("{}", other.unexpected()),
            }
        }
        Some(options)
    }
}

fn number(words: &mut Parser) -> u64 {
    let number = words.value().unwrap().parse().unwrap();
    assert!(number > 0, "expected a number above zero");
    number
}

fn random() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos())
}
