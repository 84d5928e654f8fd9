//! Whether a payment that every rule allows is to be made: what the approver says, and what a person
//! says later.

use super::{
    Wallet,
    approval::{ApprovalRequest, Decision},
    checked::Checked,
    error::Cause,
    hand::Hand,
    job::Job,
    not_taken::NotTaken,
};
use crate::{
    ledger::{Approval, NewPayment},
    payment::Amount,
};

/// Asks the approver, if there is one, about a payment that is reserved. Once that is allowed, the
/// payment counts as sent. Returns why it is not made.
pub(super) async fn permit<E>(
    wallet: &Wallet,
    job: &Job,
    (checked, payment): (&Checked, &NewPayment),
    remaining: Option<Amount>,
    hand: &Hand,
) -> Result<Option<NotTaken>, Cause<E>> {
    let Some(approver) = wallet.approver() else {
        return Ok(None);
    };
    let request = ApprovalRequest {
        method: job.place.method.clone(),
        url: job.place.url().to_owned(),
        body: payment.body,
        amount: checked.cost.amount,
        max_fee: checked.cost.max_fee,
        description: checked.description.clone(),
        dialect: checked.purchase.dialect(),
        budget: wallet.budget_path().clone(),
        remaining,
    };
    let refused = match approver.approve(&request).await {
        // A person may have taken long.
        Decision::Approve | Decision::Park if !is_in_time(wallet, checked) => {
            Some(NotTaken::TooLate)
        }
        Decision::Approve => None,
        Decision::Park => match wallet.ledger().approvals().ask(payment) {
            Ok(Approval::Approved) => None,
            Ok(Approval::Parked(id)) => return Err(Cause::Parked(id)),
            Ok(Approval::Refused(_)) => Some(NotTaken::NotAllowed("a person refused it")),
            Err(error) => return Err(Cause::Ledger(error)),
        },
        Decision::Refuse => Some(NotTaken::NotAllowed("the approver refused it")),
    };
    match refused {
        None => hand.send().await.map_err(Cause::Ledger)?,
        Some(ref why) => hand.failed(&why.to_string()).await.map_err(Cause::Ledger)?,
    }
    Ok(refused)
}

/// Returns whether enough of the invoice's life is left to pay it.
pub(super) fn is_in_time(wallet: &Wallet, checked: &Checked) -> bool {
    let left = checked.purchase.expires_at().saturating_since(wallet.now());
    left >= wallet.policy().min_life
}
