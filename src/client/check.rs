//! What is checked of an offer before anything is asked: pure, and the same for every dialect.

use std::time::Duration;

use super::{not_taken::NotTaken, policy::Policy};
use crate::{
    clock::Timestamp,
    dialect::offer::Purchase,
    payment::{Amount, Invoice, Network},
};

/// What the wallet knows when it checks an offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) policy: &'a Policy,
    pub(super) network: Network,
    /// The public keys of the owner's receivers.
    pub(super) own_receivers: &'a [[u8; 33]],
    pub(super) now: Timestamp,
}

/// The limits within which an offer may be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) amount: Amount,
    pub(super) max_fee: Amount,
    pub(super) time: Duration,
}

/// What remains of an invoice's life after the payer's time limit, so that the credential still
/// arrives in time.
const MARGIN: Duration = Duration::from_secs(10);

/// How long an invoice may last. What its payment reserves may stay reserved as long.
const MOST_LIFE: Duration = Duration::from_secs(31 * 86_400);

/// Checks an offer that its dialect accepted, and returns what it may cost.
pub(super) fn check(purchase: &dyn Purchase, known: &Known<'_>) -> Result<Cost, NotTaken> {
    if !purchase.can_be_sent() {
        return Err(NotTaken::TooLong);
    }
    let ends = purchase.expires_at();
    // A payment may succeed as long as its invoice lasts.
    if purchase.redeem_until() < ends {
        let why = "the credential would end before its invoice does";
        return Err(NotTaken::NotAllowed(why));
    }
    check_invoice(purchase.invoice(), purchase.amount(), ends, known)
}

fn check_invoice(
    invoice: &Invoice,
    amount: Amount,
    ends: Timestamp,
    known: &Known<'_>,
) -> Result<Cost, NotTaken> {
    let policy = known.policy;
    if invoice.network() != known.network {
        let why = "the invoice is for another network than the wallet's";
        return Err(NotTaken::NotAllowed(why));
    }
    if amount.is_zero() || invoice.amount() != Some(amount) {
        return Err(NotTaken::NoAmount);
    }
    if amount > policy.max_payment {
        return Err(NotTaken::MaxPayment {
            amount,
            limit: policy.max_payment,
        });
    }
    if known.own_receivers.contains(invoice.payee()) {
        return Err(NotTaken::OwnReceiver);
    }
    if invoice.final_cltv() > policy.max_final_cltv {
        return Err(NotTaken::FinalCltv {
            blocks: invoice.final_cltv(),
            limit: policy.max_final_cltv,
        });
    }
    if invoice.unknown_required_features() {
        return Err(NotTaken::UnknownFeature);
    }
    if invoice.expires_at().saturating_since(known.now) > MOST_LIFE {
        let why =
            "the invoice lasts for more than 31 days: its payment could stay open for as long";
        return Err(NotTaken::NotAllowed(why));
    }
    let left = ends.min(invoice.expires_at()).saturating_since(known.now);
    if left < policy.min_life || left <= MARGIN {
        return Err(NotTaken::TooLate);
    }
    Ok(Cost {
        amount,
        max_fee: policy.max_fee,
        time: time(policy, left),
    })
}

/// Returns how long a payment may take if its invoice has so much time left.
pub(super) fn time(policy: &Policy, left: Duration) -> Duration {
    policy.payment_time.min(left.saturating_sub(MARGIN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payment::{InvoiceDescription, InvoiceDraft, PaymentHash, SigningKey};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn invoice(network: Network, msat: u64, expiry: u64, key: &SigningKey) -> Invoice {
        let draft = InvoiceDraft {
            network,
            amount: Amount::from_msat(msat),
            payment_hash: PaymentHash::from_bytes([1; 32]),
            description: InvoiceDescription::Hash([2; 32]),
            created_at: NOW,
            expiry: Duration::from_secs(expiry),
        };
        draft.sign(key).unwrap()
    }

    fn known<'a>(policy: &'a Policy, own_receivers: &'a [[u8; 33]], now: u64) -> Known<'a> {
        Known {
            policy,
            network: Network::Regtest,
            own_receivers,
            now: NOW.saturating_add(Duration::from_secs(now)),
        }
    }

    fn checked(invoice: &Invoice, msat: u64, known: &Known<'_>) -> Result<Cost, String> {
        let ends = invoice.expires_at();
        check_invoice(invoice, Amount::from_msat(msat), ends, known).map_err(|why| why.to_string())
    }

    #[test]
    fn an_invoice_with_too_long_a_hold_is_not_paid() {
        // In-process invoices say 18 blocks.
        let (key, policy) = (SigningKey::random().unwrap(), Policy::new());
        let invoice = invoice(Network::Regtest, 1_000, 300, &key);
        for (limit, is_paid) in [(17, false), (18, true), (144, true)] {
            let policy = policy.clone().max_final_cltv(limit);
            assert_eq!(
                checked(&invoice, 1_000, &known(&policy, &[], 0)).is_ok(),
                is_paid
            );
        }
    }

    #[test]
    fn an_invoice_of_the_owners_own_receiver_is_not_paid() {
        let (key, policy) = (SigningKey::random().unwrap(), Policy::new());
        let invoice = invoice(Network::Regtest, 1_000, 300, &key);
        let own = [key.public_key()];
        assert!(checked(&invoice, 1_000, &known(&policy, &own, 0)).is_err());
        assert!(checked(&invoice, 1_000, &known(&policy, &[[2; 33]], 0)).is_ok());
    }

    #[test]
    fn the_payers_time_limit_ends_before_the_invoice() {
        let (key, policy) = (SigningKey::random().unwrap(), Policy::new());
        let invoice = invoice(Network::Regtest, 1_000, 90, &key);
        for (now, time) in [
            (0, Some(60)),
            (30, Some(50)),
            (60, Some(20)),
            (61, None),
            (90, None),
        ] {
            let cost = checked(&invoice, 1_000, &known(&policy, &[], now)).ok();
            assert_eq!(cost.map(|cost| cost.time.as_secs()), time, "after {now} s");
        }
    }

    #[test]
    fn an_invoice_that_lasts_for_more_than_a_month_is_not_paid() {
        let (key, policy) = (SigningKey::random().unwrap(), Policy::new());
        for (days, is_paid) in [(31, true), (32, false), (36_500, false)] {
            let invoice = invoice(Network::Regtest, 1_000, days * 86_400, &key);
            let checked = checked(&invoice, 1_000, &known(&policy, &[], 0));
            assert_eq!(checked.is_ok(), is_paid, "{days} days: {checked:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_accepted_is_within_every_limit(
            network in prop::sample::select(Network::ALL.to_vec()),
            invoiced in 1_u64..3_000,
            said in 0_u64..3_000,
            same: bool,
            expiry in 1_u64..400,
            now in 0_u64..400,
            max in 0_u64..3_000,
        ) {
            let said = if same { invoiced } else { said };
            let policy = Policy::new().max_payment(Amount::from_msat(max)).max_fee(Amount::from_msat(7));
            let key = SigningKey::random().unwrap();
            let invoice = invoice(network, invoiced, expiry, &key);
            let cost = checked(&invoice, said, &known(&policy, &[], now));
            let is_fine = network == Network::Regtest && said == invoiced && said <= max && now + 30 <= expiry;
            prop_assert_eq!(cost.is_ok(), is_fine);
            if let Ok(cost) = cost {
                prop_assert_eq!(cost.amount, Amount::from_msat(invoiced));
                prop_assert_eq!(cost.max_fee, Amount::from_msat(7));
                prop_assert!(now + cost.time.as_secs() < expiry);
            }
        }
    }
}
