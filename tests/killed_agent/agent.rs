//! The process that pays, and is killed.

use std::{io::Write as _, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tower_x402::{
    Amount, DialectName,
    client::{Decision, Money, PaidReceipt, PayingClient, Policy, Wallet, approve_fn},
    clock::{Clock as _, SystemClock, TestClock},
    ledger::{Budget, Ledger},
    lightning,
};

/// The variable that makes a process the agent.
pub(crate) const TASK: &str = "KILLED_AGENT_TASK";

/// How many budgets an agent creates before it buys. The tracer counts the calls of each thread. So
/// the thread that writes has made more than the one that opened the ledger, when it is killed.
pub(crate) const TASKS: usize = 40;

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Dialect {
    L402,
    Mpp,
    X402,
}

impl Dialect {
    pub(crate) const ALL: [Self; 3] = [Self::L402, Self::Mpp, Self::X402];

    const fn name(self) -> DialectName {
        match self {
            Self::L402 => DialectName::L402,
            Self::Mpp => DialectName::Mpp,
            Self::X402 => DialectName::X402,
        }
    }
}

/// What an agent is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Task {
    pub(crate) origin: String,
    pub(crate) folder: PathBuf,
    pub(crate) dialect: Dialect,
    /// How many budgets it creates first.
    pub(crate) budgets: usize,
    /// If set, it does not buy: it resolves what earlier processes left, this much later.
    pub(crate) resolves_after: Option<Duration>,
}

/// What an agent says at its end.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// The states of the ledger's entries at the start.
    pub(crate) found: Vec<String>,
    pub(crate) outcome: Outcome,
    pub(crate) spent_msat: u64,
    pub(crate) reserved_msat: u64,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Outcome {
    Answered {
        status: u16,
        /// Whether an earlier process paid for it.
        is_earlier: Option<bool>,
    },
    Failed {
        kind: String,
        has_left: bool,
        why: String,
    },
    Resolved,
}

impl Task {
    pub(crate) fn of_this_process() -> Option<Self> {
        let task = std::env::var(TASK).ok()?;
        Some(serde_json::from_str(&task).unwrap())
    }

    pub(crate) fn run(&self) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let report = runtime.block_on(self.do_it());
        let line = format!("\n> {}\n", serde_json::to_string(&report).unwrap());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }

    async fn do_it(&self) -> Report {
        let ledger = Ledger::open(self.folder.join("ledger")).unwrap();
        let found = ledger.entries(None).unwrap();
        let found = found.iter().map(|entry| format!("{:?}", entry.state()));
        let found = found.collect();
        let later = self.resolves_after.unwrap_or_default();
        let node = format!("lnd+{}?macaroon_hex=02", self.origin);
        let payer = lightning::connect(&node).await.unwrap().payer().unwrap();
        let asks = format!("{}{}", self.origin, crate::between::APPROVAL);
        let wallet = Wallet::builder(payer)
            .budget(Budget::daily(Amount::from_sat(500)))
            .ledger(ledger)
            .dialects([self.dialect.name()])
            .clock(TestClock::at(
                SystemClock::new().now().saturating_add(later),
            ))
            .policy(
                Policy::new()
                    .max_fee(Amount::from_sat(1))
                    .allow_private_addresses(),
            )
            .approver(approve_fn(move |_| {
                let asks = asks.clone();
                async move {
                    crate::shop::get(&asks).await;
                    Decision::Approve
                }
            }))
            .build()
            .await
            .unwrap();
        for number in 0..self.budgets {
            let name = number.to_string();
            let task = wallet.child(&name, Budget::without_limits());
            task.await.unwrap();
        }
        let outcome = match self.resolves_after {
            None => buy(&wallet, &format!("{}/weather/oslo", self.origin)).await,
            Some(_) => {
                wallet.recover().await.unwrap();
                Outcome::Resolved
            }
        };
        let budget = wallet.budget().unwrap();
        Report {
            found,
            outcome,
            spent_msat: budget.spent.as_msat(),
            reserved_msat: budget.reserved.as_msat(),
        }
    }
}

async fn buy(wallet: &Wallet, url: &str) -> Outcome {
    let client = PayingClient::new(wallet.clone()).unwrap();
    match client.get(url).send().await {
        Ok(answer) => Outcome::Answered {
            status: answer.status().as_u16(),
            is_earlier: answer
                .extensions()
                .get::<PaidReceipt>()
                .map(PaidReceipt::is_earlier),
        },
        Err(error) => Outcome::Failed {
            kind: format!("{:?}", error.kind()),
            has_left: matches!(error.money(), Money::Left(_)),
            why: format!("{error}: {:?}", error.offers()),
        },
    }
}
