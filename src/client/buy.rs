//! What a 402 offers: which offer is taken, and its payment.

use super::{
    Wallet,
    bought::Bought,
    check::time,
    checked::{Checked, checked, refused, unpayable},
    error::Cause,
    hand::Hand,
    job::Job,
    not_taken::NotTaken,
    outcome::{Outcome, write},
    permission::{is_in_time, permit},
    receipt::{Paid, PaidReceipt},
};
use crate::{
    dialect::offer::Offer,
    ledger::{BeginError, BeginRefusal, Begun, LedgerError, NewPayment},
    lightning::PayLimits,
    payment::Amount,
    trace::{self, PaymentFields, in_payment},
};

/// Takes the first offer that the checks, the policy, the budget and the approver allow, and pays
/// it.
pub(super) async fn buy<E>(
    wallet: &Wallet,
    job: &Job,
    offers: Vec<Box<dyn Offer>>,
) -> Result<Bought, Cause<E>> {
    if let Some(why) = unpayable(wallet, job) {
        let refused = offers
            .iter()
            .map(|offer| refused(&**offer, None, NotTaken::NotAllowed(why)));
        return Err(Cause::NotPaid(why, refused.collect()));
    }
    wallet.recover_once().await.map_err(Cause::Ledger)?;
    let mut not_taken = Vec::new();
    for offer in &offers {
        let checked = match checked(wallet, job, &**offer) {
            Ok(checked) => checked,
            Err(why) => {
                not_taken.push(*why);
                continue;
            }
        };
        let why = match take(wallet, job, checked).await? {
            Taken::Bought(bought) => return Ok(*bought),
            Taken::Not(amount, why) => refused(&**offer, Some(amount), why),
            Taken::NotApproved(amount, why) => {
                not_taken.push(refused(&**offer, Some(amount), why));
                let others = offers.iter().skip(not_taken.len());
                let why = "another offer for the same request was not approved";
                not_taken
                    .extend(others.map(|other| refused(&**other, None, NotTaken::NotAllowed(why))));
                return Err(Cause::NotPaid(
                    "the payment was not approved, or not in time",
                    not_taken,
                ));
            }
        };
        not_taken.push(why);
    }
    let why = match offers.is_empty() {
        true => "the server offers no way to pay that this wallet can read",
        false => "no offer can be taken",
    };
    Err(Cause::NotPaid(why, not_taken))
}

enum Taken {
    Bought(Box<Bought>),
    Not(Amount, NotTaken),
    /// The approver was asked, and is not asked about other offers.
    NotApproved(Amount, NotTaken),
}

/// Reserves what an offer costs, lets the approver decide, and pays.
async fn take<E>(wallet: &Wallet, job: &Job, checked: Checked) -> Result<Taken, Cause<E>> {
    let amount = checked.cost.amount;
    let not = |why| Ok(Taken::Not(amount, why));
    let Some(mut payment) = new_payment(wallet, job, &checked) else {
        return not(NotTaken::NoAmount);
    };
    if wallet.policy().dry_run {
        return match would_begin(wallet, job, payment).map_err(Cause::Ledger)? {
            None => not(NotTaken::DryRun),
            Some(refusal) => not(NotTaken::Ledger(refusal)),
        };
    }
    let invoice = checked.purchase.invoice();
    let known = wallet
        .ledger()
        .of_hash(invoice.network(), invoice.payment_hash());
    let known = known.map_err(Cause::Ledger)?;
    if known.is_none_or(|entry| !wallet.was_asked_for(&entry)) {
        // A payer that knows a payment pays it again by handing out its preimage, for nothing.
        let outcome = wallet.look_up(invoice.payment_hash()).await;
        match outcome.map_err(|error| Cause::PaymentFailed(error.into()))? {
            Outcome::Unknown | Outcome::Failed(_) => {}
            Outcome::InFlight | Outcome::Paid(..) | Outcome::Unproved(_) => {
                return not(NotTaken::PaidElsewhere);
            }
        }
    }
    // Each of what may help against a refusal is tried once.
    let (mut looked, mut resolved, mut recovered) = (false, false, false);
    let begun = loop {
        match begin(wallet, &payment).await? {
            Ok(begun) => break begun,
            Err(BeginRefusal::AlreadyPaid(_) | BeginRefusal::Unresolved(_)) if !looked => {
                // Another call for the same request was given up meanwhile, or it is another request.
                looked = true;
                if let Some(bought) = wallet.earlier(job).await? {
                    return Ok(Taken::Bought(Box::new(bought)));
                }
                payment.others = wallet.others(job).map_err(Cause::Ledger)?;
            }
            Err(
                BeginRefusal::HostInTrouble { entries, .. }
                | BeginRefusal::PayerInTrouble { entries },
            ) if !resolved => {
                resolved = true;
                let asked = wallet.clear_as_asked(&entries).await;
                asked.map_err(Cause::Ledger)?;
                wallet.recover_all(&entries).await.map_err(Cause::Ledger)?;
            }
            Err(BeginRefusal::OverBudget(over)) if !recovered && !over.reserved.is_zero() => {
                // It may be reserved for calls that were given up.
                recovered = true;
                wallet.recover_again().await.map_err(Cause::Ledger)?;
            }
            Err(refusal) => return not(NotTaken::Ledger(refusal)),
        }
    };
    let hand = wallet.hand(begun.id);
    for used_up in &begun.nearly_used_up {
        trace::warn(format_args!("nearly used up: {used_up}"));
        wallet.nearly_used_up(used_up);
    }
    if let Some(why) = permit(wallet, job, (&checked, &payment), begun.remaining, &hand).await? {
        return Ok(Taken::NotApproved(amount, why));
    }
    // What came before may have taken long.
    if !is_in_time(wallet, &checked) {
        let why = NotTaken::TooLate;
        hand.failed(&why.to_string()).await.map_err(Cause::Ledger)?;
        return not(why);
    }
    let bought = pay(wallet, job, &checked, hand).await?;
    Ok(Taken::Bought(Box::new(bought)))
}

/// Reserves what an offer costs, and writes it down.
async fn begin<E>(
    wallet: &Wallet,
    payment: &NewPayment,
) -> Result<Result<Begun, BeginRefusal>, Cause<E>> {
    match wallet.ledger().begin(payment.clone()).await {
        Ok(begun) => Ok(Ok(begun)),
        Err(BeginError::Refused(refusal)) => Ok(Err(refusal)),
        Err(BeginError::Ledger(error)) => Err(Cause::Ledger(error)),
    }
}

/// Returns why the ledger would refuse a payment now. Reserves nothing.
pub(super) fn would_begin(
    wallet: &Wallet,
    job: &Job,
    mut payment: NewPayment,
) -> Result<Option<BeginRefusal>, LedgerError> {
    payment.others = wallet.others(job)?;
    match wallet.ledger().would_begin(&payment) {
        Ok(()) => Ok(None),
        Err(BeginError::Refused(refusal)) => Ok(Some(refusal)),
        Err(BeginError::Ledger(error)) => Err(error),
    }
}

/// Returns the payment as the ledger records it. `None` if the invoice names no amount.
pub(super) fn new_payment(wallet: &Wallet, job: &Job, checked: &Checked) -> Option<NewPayment> {
    let (purchase, place) = (&*checked.purchase, &job.place);
    let mut payment = NewPayment::new(
        wallet.budget_path().clone(),
        job.key(),
        purchase.invoice(),
        checked.cost.max_fee,
        purchase.dialect(),
    )?;
    payment.payer = Some(wallet.payer().profile().id);
    payment.headers = job.headers_digest();
    payment.origin = place.origin().to_owned();
    payment.host = place.registrable().to_owned();
    payment.method = place.method.to_string();
    payment.path = place.path().to_owned();
    payment.query = place.uri.query().map(str::to_owned);
    payment.body = job.body_digest();
    payment.description.clone_from(&checked.description);
    payment.payable = purchase.to_json();
    payment.redeem_until = purchase.redeem_until();
    payment.is_held = wallet.approver().is_some();
    Some(payment)
}

/// Pays, and makes the credential. From the first await on, money may leave.
async fn pay<E>(
    wallet: &Wallet,
    job: &Job,
    checked: &Checked,
    hand: Hand,
) -> Result<Bought, Cause<E>> {
    let (purchase, cost) = (&*checked.purchase, checked.cost);
    let left = purchase.expires_at().saturating_since(wallet.now());
    let limits = PayLimits::new(cost.max_fee, time(wallet.policy(), left));
    let fields = PaymentFields {
        host: &job.place.host,
        msat: cost.amount.as_msat(),
        dialect: purchase.dialect().as_str(),
        payment_hash: purchase.invoice().payment_hash().to_string(),
    };
    let paying = wallet.pay(purchase.invoice(), limits);
    let outcome = in_payment(paying, &fields, Outcome::name).await;
    let written = write(&hand, &outcome).await;
    let receipt = |fee| {
        PaidReceipt::new(Paid {
            entry: hand.id(),
            amount: cost.amount,
            fee,
            dialect: purchase.dialect(),
            payment_hash: purchase.invoice().payment_hash(),
            paid_at: wallet.now(),
            is_earlier: false,
        })
    };
    match outcome {
        Outcome::Paid(preimage, fee) => {
            trace::paid(&fields, fee.as_msat());
            let paid = (Some(fee), wallet.now());
            let unproved = receipt(Some(fee));
            Bought::new(purchase, &preimage, paid, hand, None).ok_or(Cause::Unproved(unproved))
        }
        Outcome::Failed(why) => {
            written.map_err(Cause::Ledger)?;
            Err(Cause::PaymentFailed(why.into()))
        }
        Outcome::InFlight | Outcome::Unknown => Err(Cause::InFlight(receipt(None))),
        Outcome::Unproved(_) => Err(Cause::Unproved(receipt(None))),
    }
}
