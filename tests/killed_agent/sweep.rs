//! Agents that are killed, come back, and are compared with what the wallet says.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

use crate::{
    AGENT,
    agent::{Dialect, Outcome, Report, TASK, TASKS, Task},
    between::{Between, Held},
    shop::{Shop, program},
};

/// No process takes so long.
const BOUND: Duration = Duration::from_secs(60);

const PRICE_MSAT: u64 = 10_000;
const MAX_FEE_MSAT: u64 = 1_000;

/// A paid API behind a proxy.
pub(crate) struct Street {
    origin: String,
    between: Between,
    keeps_answers: bool,
}

impl Street {
    /// Opens one whose API keeps its answers, or does not.
    pub(crate) async fn open(keeps_answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        // To build it takes as long as it takes.
        program();
        let shop = timeout(BOUND, Shop::open(&origin, keeps_answers));
        let between = Between::serve(listener, shop.await.unwrap());
        Self {
            origin,
            between,
            keeps_answers,
        }
    }

    /// The home of an agent with a ledger of its own.
    pub(crate) fn house(&self, dialect: Dialect, name: String) -> House<'_> {
        *self.between.passed() = Default::default();
        let folder = tempfile::tempdir().unwrap();
        let task = Task {
            origin: self.origin.clone(),
            folder: folder.path().to_owned(),
            dialect,
            budgets: 0,
            resolves_after: None,
        };
        House {
            between: &self.between,
            keeps_answers: self.keeps_answers,
            name,
            task,
            _folder: folder,
        }
    }
}

pub(crate) struct House<'a> {
    between: &'a Between,
    keeps_answers: bool,
    /// For failed assertions.
    name: String,
    task: Task,
    _folder: TempDir,
}

impl House<'_> {
    /// Lets an agent buy, and kills it when this message is held. Returns whether it came to its
    /// end before.
    pub(crate) async fn live_until(&mut self, held: Held) -> bool {
        self.between.hold(Some(held));
        let mut agent = self.agent(&self.task, &[]);
        let is_over = tokio::select! {
            said = timeout(BOUND, said(&mut agent)) => {
                self.check_end(&read(said.unwrap().1.as_str())).await;
                true
            }
            () = self.between.is_held() => false,
        };
        // SIGKILL, and it is waited for.
        let _ = agent.kill().await;
        is_over
    }

    /// The same with a tracer that kills it.
    pub(crate) async fn live_traced(&mut self, tracer: &[String]) -> bool {
        self.between.hold(None);
        let task = Task {
            budgets: TASKS,
            ..self.task.clone()
        };
        let mut agent = self.agent(&task, tracer);
        let (status, said) = timeout(BOUND, said(&mut agent)).await.unwrap();
        let is_killed = status.signal() == Some(9);
        assert!(is_killed || status.success(), "{}: {said}", self.name);
        if status.success() {
            self.check_end(&read(&said)).await;
        }
        status.success()
    }

    /// Starts the agent again after it was killed. It makes the same request, and pays once in all.
    /// Returns the states that it found in its ledger.
    pub(crate) async fn come_back(&mut self) -> Vec<String> {
        let name = self.name.clone();
        let paid_before = self.paid().await;
        let served_before = self.between.passed().served.len();
        let mut again = self.live().await;
        let found = std::mem::take(&mut again.found);
        if !paid_before.is_empty() {
            assert!(!found.is_empty(), "{name}: the ledger forgot the payment");
        }
        // What had come to its end is no reason not to buy again.
        let had_ended = found == ["Redeemed"];
        let mut requests = if had_ended { 2 } else { 1 };
        match &again.outcome {
            Outcome::Answered { status, is_earlier } => {
                assert_eq!(*status, 200, "{name}");
                let takes_up = paid_before.len() == 1 && !had_ended;
                // Nobody but the wallet knows, and it may not have heard of it yet.
                let is_doubtful = found == ["Sent"] && !takes_up;
                assert!(
                    !is_doubtful,
                    "{name}: paid anew before the outcome was known"
                );
                assert_eq!(*is_earlier, Some(takes_up), "{name}: {found:?}");
            }
            // The wallet was never asked. Nobody knows that, until the invoice has expired.
            Outcome::Failed { kind, has_left, .. } if kind == "InFlight" => {
                assert!(!has_left && paid_before.is_empty(), "{name}: {again:?}");
                assert_eq!(again.reserved_msat, PRICE_MSAT + MAX_FEE_MSAT, "{name}");
                again = self.resolve().await;
                assert_eq!((again.spent_msat, again.reserved_msat), (0, 0), "{name}");
                again = self.live().await;
                let bought = Outcome::Answered {
                    status: 200,
                    is_earlier: Some(false),
                };
                assert_eq!(again.outcome, bought, "{name}");
            }
            // The answer was on its way when the agent was killed, and this server keeps none.
            Outcome::Failed { kind, has_left, .. } if kind == "RefusedAfterPayment" => {
                assert!(!self.keeps_answers, "{name}: {again:?}");
                assert!(*has_left && served_before == 1, "{name}: {again:?}");
                assert_eq!(paid_before.len(), 1, "{name}");
                // It may have been served, so the host is not to blame, and the next one is paid for.
                again = self.live().await;
                let bought = Outcome::Answered {
                    status: 200,
                    is_earlier: Some(false),
                };
                assert_eq!(again.outcome, bought, "{name}");
                requests = 2;
            }
            outcome => panic!("{name}: {outcome:?}"),
        }
        self.check_sums(&again, requests).await;
        found
    }

    async fn live(&self) -> Report {
        self.run(&self.task).await
    }

    /// Resolves what is left, once its invoice has expired.
    async fn resolve(&self) -> Report {
        let later = Task {
            resolves_after: Some(Duration::from_secs(86_400)),
            ..self.task.clone()
        };
        self.run(&later).await
    }

    async fn run(&self, task: &Task) -> Report {
        self.between.hold(None);
        let mut agent = self.agent(task, &[]);
        let (status, said) = timeout(BOUND, said(&mut agent)).await.unwrap();
        assert!(status.success(), "{}: {said}", self.name);
        read(&said)
    }

    /// Starts an agent behind these words.
    fn agent(&self, task: &Task, before: &[String]) -> Child {
        let this = std::env::current_exe().unwrap();
        let words = before.iter().map(String::as_str);
        let mut words = words.chain([this.to_str().unwrap(), AGENT, "--exact", "--nocapture"]);
        Command::new(words.next().unwrap())
            .args(words)
            .env(TASK, serde_json::to_string(task).unwrap())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// What the wallet paid for, each with its fee.
    async fn paid(&self) -> Vec<u64> {
        let invoices = self.between.passed().invoices.clone();
        let mut paid = Vec::new();
        for invoice in invoices.values() {
            paid.extend(self.between.shop().paid_msat(invoice).await);
        }
        paid
    }

    /// An agent that was not killed.
    async fn check_end(&self, report: &Report) {
        let bought = Outcome::Answered {
            status: 200,
            is_earlier: Some(false),
        };
        assert_eq!(report.outcome, bought, "{}", self.name);
        self.check_sums(report, 1).await;
    }

    /// So many requests were paid for once and served once, and the ledger says what the wallet
    /// says.
    async fn check_sums(&self, report: &Report, requests: usize) {
        let paid = self.paid().await;
        let name = &self.name;
        assert_eq!(paid.len(), requests, "{name}: paid {paid:?} msat");
        assert_eq!(self.between.passed().served.len(), requests, "{name}");
        let sums = (report.spent_msat, report.reserved_msat);
        assert_eq!(sums, (paid.iter().sum(), 0), "{name}: spent and reserved");
    }
}

/// Reads what an agent says until it ends.
async fn said(agent: &mut Child) -> (ExitStatus, String) {
    let mut text = String::new();
    let mut out = agent.stdout.take().unwrap();
    out.read_to_string(&mut text).await.unwrap();
    (agent.wait().await.unwrap(), text)
}

fn read(said: &str) -> Report {
    let line = said.lines().find_map(|line| line.strip_prefix("> "));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no report: {said}"))).unwrap()
}

/// Returns the words of a tracer that kills a process as one of its threads makes its nth call.
pub(crate) fn traced(call: &str, number: usize) -> Vec<String> {
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:signal=KILL:when={number}");
    [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ]
    .map(str::to_owned)
    .into()
}

/// Returns whether processes can be traced here. If not, it says so, and with `X402_REQUIRE_ALL=1`
/// it panics.
pub(crate) fn can_trace() -> bool {
    let words = traced("write", usize::from(u16::MAX));
    let traced = std::process::Command::new(&words[0])
        .args(&words[1..])
        .arg("true")
        .output();
    let is_traced = traced.is_ok_and(|output| output.status.success());
    if !is_traced {
        let why = "`strace` is not there, or may not trace";
        assert!(
            std::env::var("X402_REQUIRE_ALL").as_deref() != Ok("1"),
            "cannot run: {why}"
        );
        eprintln!("skipped: {why}");
    }
    is_traced
}

pub(crate) fn block_on(sweep: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(sweep);
}
