use std::fmt;

use http::Method;

use crate::{
    boxed::BoxFuture,
    ledger::{BodyDigest, BudgetPath},
    payment::{Amount, DialectName},
};

/// Decides about payments before they are made: a person, or a rule.
///
/// # Contract
///
/// The amount and the fee are reserved in the budget while it decides. If the request is dropped,
/// so is the decision, and nothing is paid. The answer is for this payment alone.
pub trait Approver: fmt::Debug + Send + Sync + 'static {
    /// Decides about one payment.
    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Decision>;
}

/// The answer of an [`Approver`]. The variants are in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Pay it.
    Approve,
    /// Pay it once a person approved it, through [`Ledger::approvals`](crate::ledger::Ledger::approvals).
    /// Until then the request fails with the id to approve. The same request made again is then
    /// paid, for at most what was approved.
    Park,
    /// Do not pay it, nor what else the server offers for this request.
    Refuse,
}

/// A payment about which an [`Approver`] decides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// The method of the request.
    pub method: Method,
    /// The URL of the request, with its query.
    pub url: String,
    /// Length and hash of its body. `None` if it has none.
    pub body: Option<BodyDigest>,
    /// The price.
    pub amount: Amount,
    /// The highest routing fee on top of it.
    pub max_fee: Amount,
    /// What the server says that it sells, without control and direction characters.
    pub description: Option<String>,
    /// The dialect of the challenge.
    pub dialect: DialectName,
    /// The budget that pays.
    pub budget: BudgetPath,
    /// What the budget, and those above it, have left after this payment, if they are limited.
    pub remaining: Option<Amount>,
}

/// Creates an approver from a function.
///
/// ```
/// use tower_x402::{Amount, client::{Decision, approve_fn}};
///
/// let approver = approve_fn(|request| {
///     let is_small = request.amount <= Amount::from_sat(10);
///     async move { if is_small { Decision::Approve } else { Decision::Park } }
/// });
/// ```
pub fn approve_fn<F, A>(decide: F) -> impl Approver
where
    F: Fn(&ApprovalRequest) -> A + Send + Sync + 'static,
    A: Future<Output = Decision> + Send + 'static,
{
    ApproveFn(decide)
}

struct ApproveFn<F>(F);

impl<F> fmt::Debug for ApproveFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApproveFn(..)")
    }
}

impl<F, A> Approver for ApproveFn<F>
where
    F: Fn(&ApprovalRequest) -> A + Send + Sync + 'static,
    A: Future<Output = Decision> + Send + 'static,
{
    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Decision> {
        Box::pin((self.0)(request))
    }
}
