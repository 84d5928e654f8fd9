use std::{collections::HashMap, sync::Arc};

use super::{
    changes::BudgetRecord,
    counted::{Counted, Sum, amount},
    window::Window,
};
use crate::{
    clock::Timestamp,
    ledger::{BeginRefusal, BudgetPath, BudgetState, LimitKind, OverBudget},
    payment::Amount,
};

/// All budgets with their running sums. A sum contains those of all budgets below.
#[derive(Debug, Default)]
pub(super) struct Budgets(HashMap<Arc<str>, Node>);

#[derive(Debug)]
struct Node {
    path: BudgetPath,
    record: BudgetRecord,
    sum: Sum,
    /// Only if there is a limit per host.
    hosts: HashMap<String, Sum>,
    /// In the order of the limits.
    windows: Vec<Window>,
}

/// A payment that is asked for.
pub(super) struct Asked<'a> {
    pub(super) budget: &'a BudgetPath,
    pub(super) host: &'a str,
    pub(super) msat: u128,
}

impl Budgets {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, path: &BudgetPath) -> Option<&BudgetRecord> {
        self.0.get(path.as_str()).map(|node| &node.record)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &BudgetPath> {
        self.0.values().map(|node| &node.path)
    }

    /// Returns whether a budget, or one above it, ended or was revoked before a moment.
    pub(super) fn is_over_before(&self, path: &BudgetPath, moment: Timestamp) -> bool {
        let records = path.and_above().filter_map(|name| self.0.get(name));
        records
            .map(|node| &node.record)
            .any(|record| record.is_over_before(moment))
    }

    /// Forgets a budget.
    pub(super) fn remove(&mut self, path: &BudgetPath) -> Option<BudgetRecord> {
        self.0.remove(path.as_str()).map(|node| node.record)
    }

    /// Sets what a budget with the same limits is, or a new one, of which there is no entry.
    pub(super) fn set_record(&mut self, path: &BudgetPath, record: BudgetRecord) {
        match self.0.get_mut(path.as_str()) {
            Some(node) => node.record = record,
            None => self.set(path, record, std::iter::empty()),
        }
    }

    /// Sets what a budget is. Its sums are those of `counted` again: what each entry counts for.
    pub(super) fn set<'a>(
        &mut self,
        path: &BudgetPath,
        record: BudgetRecord,
        counted: impl Iterator<Item = (&'a BudgetPath, &'a str, Counted)>,
    ) {
        let mut node = Node::new(path.clone(), record);
        for (_, host, counted) in counted.filter(|(own, ..)| path.holds(own)) {
            node.add(host, counted);
        }
        self.0.insert(path.as_str().into(), node);
    }

    /// Counts what a budget paid to a host, which counted `before`, as `after`.
    pub(super) fn count(
        &mut self,
        budget: &BudgetPath,
        host: &str,
        before: Counted,
        after: Counted,
    ) {
        if before == after {
            return;
        }
        for name in budget.and_above() {
            if let Some(node) = self.0.get_mut(name) {
                node.remove(host, before);
                node.add(host, after);
            }
        }
    }

    /// Checks all limits for a payment. Returns those that it nearly uses up.
    pub(super) fn check(
        &self,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<Vec<OverBudget>, BeginRefusal> {
        let mut nearly = Vec::new();
        for name in asked.budget.and_above() {
            let node = self
                .0
                .get(name)
                .ok_or_else(|| BeginRefusal::UnknownBudget(asked.budget.clone()))?;
            node.check_open(now)?;
            for (kind, limit, used) in node.limits(asked.host, now) {
                let figures = OverBudget {
                    budget: node.path.clone(),
                    kind,
                    limit,
                    spent: amount(used.spent),
                    reserved: amount(used.reserved),
                    asked: amount(asked.msat),
                };
                let (limit, before) = (u128::from(limit.as_msat()), used.spent + used.reserved);
                let after = before + asked.msat;
                if after > limit {
                    return Err(BeginRefusal::OverBudget(figures));
                }
                if before * 5 < limit * 4 && after * 5 >= limit * 4 {
                    nearly.push(figures);
                }
            }
        }
        Ok(nearly)
    }

    /// Checks that a budget, and each above it, may still pay.
    pub(super) fn check_open(
        &self,
        budget: &BudgetPath,
        now: Timestamp,
    ) -> Result<(), BeginRefusal> {
        let mut nodes = budget.and_above().filter_map(|name| self.0.get(name));
        nodes.try_for_each(|node| node.check_open(now))
    }

    /// Returns a budget as it is now, or `None` if there is none.
    pub(super) fn state(&self, path: &BudgetPath, now: Timestamp) -> Option<BudgetState> {
        let own = self.0.get(path.as_str())?;
        let mut state = BudgetState {
            path: path.clone(),
            limits: own.record.limits.clone(),
            spent: amount(own.sum.spent),
            reserved: amount(own.sum.reserved),
            remaining: None,
            expires_at: None,
            is_revoked: false,
        };
        for node in path.and_above().map(|name| self.0.get(name)) {
            let node = node?;
            state.is_revoked |= node.record.revoked_at.is_some();
            let end = node.record.ends_at();
            state.expires_at = state.expires_at.into_iter().chain(end).min();
            for (kind, limit, used) in node.limits("", now) {
                if kind != LimitKind::PerHost {
                    let used = used.spent + used.reserved;
                    let left = amount(u128::from(limit.as_msat()).saturating_sub(used));
                    state.remaining = state.remaining.into_iter().chain([left]).min();
                }
            }
        }
        Some(state)
    }
}

impl Node {
    fn new(path: BudgetPath, record: BudgetRecord) -> Self {
        let windows = record
            .limits
            .windows
            .iter()
            .map(|(length, _)| Window::new(*length));
        Self {
            path,
            sum: Sum::default(),
            hosts: HashMap::new(),
            windows: windows.collect(),
            record,
        }
    }

    fn check_open(&self, now: Timestamp) -> Result<(), BeginRefusal> {
        if self.record.revoked_at.is_some() {
            return Err(BeginRefusal::BudgetRevoked(self.path.clone()));
        }
        if self.record.ends_at().is_some_and(|end| end <= now) {
            return Err(BeginRefusal::BudgetExpired(self.path.clone()));
        }
        Ok(())
    }

    fn add(&mut self, host: &str, counted: Counted) {
        self.sum.add(counted);
        if let Counted::Spent(msat, at) = counted {
            self.windows
                .iter_mut()
                .for_each(|window| window.add(at, msat));
        }
        if self.record.limits.per_host.is_some() && counted != Counted::Nothing {
            match self.hosts.get_mut(host) {
                Some(sum) => sum.add(counted),
                None => self.hosts.entry(host.to_owned()).or_default().add(counted),
            }
        }
    }

    fn remove(&mut self, host: &str, counted: Counted) {
        self.sum.remove(counted);
        if let Counted::Spent(msat, at) = counted {
            self.windows
                .iter_mut()
                .for_each(|window| window.remove(at, msat));
        }
        if let Some(sum) = self.hosts.get_mut(host) {
            sum.remove(counted);
            if *sum == Sum::default() {
                self.hosts.remove(host);
            }
        }
    }

    /// Returns each limit, with what is used of it.
    fn limits(&self, host: &str, now: Timestamp) -> impl Iterator<Item = (LimitKind, Amount, Sum)> {
        let limits = &self.record.limits;
        let total = limits
            .total
            .map(|limit| (LimitKind::Total, limit, self.sum));
        let of_host = self.hosts.get(host).copied().unwrap_or_default();
        let per_host = limits
            .per_host
            .map(|limit| (LimitKind::PerHost, limit, of_host));
        let windows = limits.windows.iter().zip(&self.windows);
        let windows = windows.map(move |((length, limit), window)| {
            let used = Sum {
                spent: window.spent(now),
                // Whatever is not known yet counts in every window.
                reserved: self.sum.reserved,
            };
            (LimitKind::Window(*length), *limit, used)
        });
        total.into_iter().chain(per_host).chain(windows)
    }
}
