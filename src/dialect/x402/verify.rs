//! The checks of `lnbtc`, "Facilitator Validation", in their normative order. They are pure, over
//! the documents of both sides. The caller makes the eighth step, which consumes the payment hash.

use std::time::Duration;

use super::{PaymentPayload, PaymentRequirements, Reason, binding::Binding};
use crate::{
    clock::Timestamp,
    codec::{
        hex, jcs,
        json::{Json, Object},
    },
    payment::{
        Amount, Invoice, InvoiceDescription, Network, PaymentHash, Preimage, SKEW, is_public_key,
    },
};

/// What the documents are checked against: the time, the networks, and the age of the store.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    pub(crate) now: Timestamp,
    pub(crate) skew: Duration,
    pub(crate) networks: &'a [Network],
    pub(crate) store_created_at: Option<Timestamp>,
}

impl<'a> Conditions<'a> {
    /// Creates conditions at this moment, with clocks that may differ by 60 seconds and the two
    /// networks of the specification: mainnet and testnet.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self {
            now,
            skew: SKEW,
            networks: &[Network::Bitcoin, Network::Testnet],
            store_created_at: None,
        }
    }

    /// Sets by how much clocks may differ, in whole seconds.
    #[must_use]
    pub const fn with_skew(self, skew: Duration) -> Self {
        Self { skew, ..self }
    }

    /// Sets the creation time (`ReplayStore::created_at`) of the store that will consume the
    /// payments. A payment that an earlier store may have consumed is then refused. Set it if you
    /// settle payments. Without settling it is not needed.
    #[must_use]
    pub const fn with_store_created_at(self, store_created_at: Timestamp) -> Self {
        Self {
            store_created_at: Some(store_created_at),
            ..self
        }
    }

    /// Sets the accepted networks. Regtest and signet are not in the specification.
    #[must_use]
    pub const fn with_networks(self, networks: &'a [Network]) -> Self {
        Self { networks, ..self }
    }
}

/// A proof that passed all checks. It is not settled until its payment hash is consumed.
#[derive(Clone, Copy, Debug)]
#[must_use = "a proof that is not consumed settles nothing"]
pub struct Verified {
    network: Network,
    payment_hash: PaymentHash,
    amount: Amount,
    ends_at: Timestamp,
}

impl Verified {
    /// Returns the network of the payment.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Returns the payment hash.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    /// Returns the invoice's amount.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// Returns when the invoice expires.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}

/// Checks that `payload` proves the payment that `required` asks for: steps 1 to 7.
///
/// If [`Conditions::with_store_created_at`] was called, it also checks the invoice's age, which is
/// a part of step 8. It consumes nothing.
///
/// # Errors
///
/// The reason of the first step that fails.
pub fn verify(
    payload: &PaymentPayload<'_>,
    required: &PaymentRequirements<'_>,
    conditions: &Conditions<'_>,
) -> Result<Verified, Reason> {
    let core = terms(payload.accepted(), required, conditions.networks)?;
    proof(payload, required, &core, conditions)
}

/// Steps 1 and 2.
pub(crate) fn terms(
    accepted: &PaymentRequirements<'_>,
    required: &PaymentRequirements<'_>,
    networks: &[Network],
) -> Result<Core, Reason> {
    same_core(accepted, required)?;
    Core::read(accepted, networks)
}

/// Steps 3 to 7.
pub(crate) fn proof(
    payload: &PaymentPayload<'_>,
    required: &PaymentRequirements<'_>,
    core: &Core,
    conditions: &Conditions<'_>,
) -> Result<Verified, Reason> {
    let steps = || {
        let accepted = payload.accepted();
        let binding = same_extra(accepted.extra(), required.extra())?;
        invoice_text(required.extra())?;
        let invoice = core.invoice(invoice_text(accepted.extra())?, &binding, conditions)?;
        preimage(payload, invoice.payment_hash())?;
        in_time(invoice.expires_at(), conditions)?;
        remembered(invoice.created_at(), conditions)?;
        Ok(Verified {
            network: core.network,
            payment_hash: invoice.payment_hash(),
            amount: core.amount,
            ends_at: invoice.expires_at(),
        })
    };
    steps().map_err(|reason| core.blame(reason))
}

/// Step 1: the core members on both sides are equal.
pub(super) fn same_core(
    accepted: &PaymentRequirements<'_>,
    required: &PaymentRequirements<'_>,
) -> Result<(), Reason> {
    for (member, reason) in [
        ("scheme", Reason::UnsupportedScheme),
        ("network", Reason::NetworkMismatch),
        ("amount", Reason::AmountMismatch),
        ("asset", Reason::Asset),
        ("payTo", Reason::PayToMismatch),
        ("maxTimeoutSeconds", Reason::MaxTimeoutMismatch),
    ] {
        if accepted.member(member) != required.member(member) {
            return Err(reason);
        }
    }
    Ok(())
}

/// The core members, well formed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Core {
    pub(crate) network: Network,
    pub(crate) amount: Amount,
    pub(crate) max_timeout: u64,
    pub(crate) pay_to: [u8; 33],
}

impl Core {
    /// Step 2: the core members are well formed.
    pub(crate) fn read(
        accepted: &PaymentRequirements<'_>,
        networks: &[Network],
    ) -> Result<Self, Reason> {
        let text = |member: &str| accepted.member(member).and_then(Json::as_str);
        (text("scheme") == Some("exact"))
            .then_some(())
            .ok_or(Reason::UnsupportedScheme)?;
        let network = text("network")
            .and_then(Network::from_caip2)
            .filter(|network| networks.contains(network));
        let network = network.ok_or(Reason::UnsupportedNetwork)?;
        (text("asset") == Some("BTC"))
            .then_some(())
            .ok_or(Reason::Asset)?;
        let amount = text("amount").and_then(msat).ok_or(Reason::Amount)?;
        let Some(&Json::Unsigned(max_timeout @ 1..)) = accepted.member("maxTimeoutSeconds") else {
            return Err(Reason::MaxTimeout);
        };
        let pay_to = text("payTo")
            .and_then(hex::decode_lower)
            .filter(|key: &[u8; 33]| matches!(key[0], 2 | 3));
        Ok(Self {
            network,
            amount,
            max_timeout,
            pay_to: pay_to.ok_or(Reason::PayToMalformed)?,
        })
    }

    /// Step 5: the accepted invoice asks for exactly this amount, for exactly this request.
    pub(super) fn invoice(
        &self,
        text: &str,
        binding: &Binding<'_>,
        conditions: &Conditions<'_>,
    ) -> Result<Invoice, Reason> {
        let invoice = Invoice::parse(text).map_err(|_| Reason::InvoiceDecodeFailed)?;
        let amount = invoice.amount().ok_or(Reason::InvoiceDecodeFailed)?;
        let InvoiceDescription::Hash(described) = invoice.description() else {
            return Err(Reason::InvoiceDescription);
        };
        let checks = [
            (*described == binding.hash, Reason::InvoiceRequestMismatch),
            (
                *invoice.payee() == self.pay_to,
                Reason::InvoicePayeeMismatch,
            ),
            (
                invoice.network() == self.network,
                Reason::InvoiceCurrencyMismatch,
            ),
            (amount == self.amount, Reason::InvoiceAmountMismatch),
            (
                invoice.expiry() == Duration::from_secs(self.max_timeout),
                Reason::InvoiceExpiryMismatch,
            ),
            (
                invoice.created_at() <= conditions.now.saturating_add(conditions.skew),
                Reason::InvoiceCreatedInFuture,
            ),
        ];
        checks
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(invoice), |(_, reason)| Err(reason))
    }

    /// Returns the reason to report. A `payTo` that is not a point of the curve belongs to step 2.
    /// It is checked only after a later step failed, because no such key can sign an invoice.
    pub(super) fn blame(&self, reason: Reason) -> Reason {
        if is_public_key(&self.pay_to) {
            reason
        } else {
            Reason::PayToMalformed
        }
    }
}

/// Step 3: both sides mean the same request, and everything that the server declared came back.
fn same_extra<'a>(
    accepted: &'a Object<'_>,
    required: &'a Object<'_>,
) -> Result<Binding<'a>, Reason> {
    [accepted, required]
        .into_iter()
        .try_for_each(transfer_method)?;
    [accepted, required]
        .into_iter()
        .try_for_each(payment_flow)?;
    let binding = Binding::read(accepted)?;
    let expected = Binding::read(required)?;
    if binding != expected {
        return Err(Reason::RequestMismatch);
    }
    // With more members, the loop over both would cost more than the rest.
    (required.len() <= 64)
        .then_some(())
        .ok_or(Reason::ExtraMismatch)?;
    let echoed = required
        .iter()
        .filter(|(name, _)| !CHECKED.contains(name))
        .all(|(name, value)| {
            let canonical = |value| jcs::canonical(value);
            accepted.get(name).is_some_and(|accepted| {
                accepted == value
                    || canonical(accepted).is_some_and(|a| Some(a) == canonical(value))
            })
        });
    echoed.then_some(binding).ok_or(Reason::ExtraMismatch)
}

/// The members of `extra` that have a check of their own, or that differ in each challenge
/// (`invoice`).
const CHECKED: [&str; 6] = [
    "assetTransferMethod",
    "paymentFlow",
    "requestHash",
    "requestBindingProfile",
    "requestBindingParams",
    "invoice",
];

/// Part of step 3. Without the member, the method is `bolt11`.
pub(super) fn transfer_method(extra: &Object<'_>) -> Result<(), Reason> {
    match extra.get("assetTransferMethod") {
        None => Ok(()),
        Some(method) if method.as_str() == Some("bolt11") => Ok(()),
        Some(_) => Err(Reason::AssetTransferMethod),
    }
}

/// Part of step 3.
pub(super) fn payment_flow(extra: &Object<'_>) -> Result<(), Reason> {
    let flow = extra.get("paymentFlow").and_then(Json::as_str);
    (flow == Some("upfront"))
        .then_some(())
        .ok_or(Reason::PaymentFlow)
}

/// Step 4.
pub(super) fn invoice_text<'a>(extra: &'a Object<'_>) -> Result<&'a str, Reason> {
    extra
        .get("invoice")
        .and_then(Json::as_str)
        .filter(|text| !text.is_empty())
        .ok_or(Reason::InvoiceMissing)
}

/// Step 6.
pub(super) fn preimage(
    payload: &PaymentPayload<'_>,
    payment_hash: PaymentHash,
) -> Result<(), Reason> {
    let text = match payload.preimage() {
        None | Some(Json::Null) => return Err(Reason::PreimageMissing),
        Some(preimage) => preimage.as_str().ok_or(Reason::PreimageMalformed)?,
    };
    let preimage = hex::decode_lower(text)
        .map(Preimage::from_bytes)
        .ok_or_else(|| {
            let is_hex = text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if is_hex {
                Reason::PreimageLength
            } else {
                Reason::PreimageMalformed
            }
        })?;
    payment_hash
        .is_of(&preimage)
        .then_some(())
        .ok_or(Reason::PreimageHashMismatch)
}

/// Step 7. The last moment is accepted.
pub(super) fn in_time(ends_at: Timestamp, conditions: &Conditions<'_>) -> Result<(), Reason> {
    (conditions.now <= ends_at.saturating_add(conditions.skew))
        .then_some(())
        .ok_or(Reason::InvoiceExpired)
}

/// Part of step 8. A store does not know what an earlier store consumed. The server of the earlier
/// store accepted no invoice dated more than the skew after its own clock (step 5). Its clock was
/// at most the skew ahead of this store's. So what it consumed is dated at most twice the skew
/// after this store was made. It does not matter who signed it. All servers of one receiver key must have the same
/// skew.
pub(super) fn remembered(created_at: Timestamp, conditions: &Conditions<'_>) -> Result<(), Reason> {
    let is_younger = |store: Timestamp| created_at > store.saturating_add(2 * conditions.skew);
    conditions
        .store_created_at
        .is_none_or(is_younger)
        .then_some(())
        .ok_or(Reason::InvoiceOlderThanStore)
}

/// Reads `^[1-9][0-9]*$`, in 64 bits.
fn msat(text: &str) -> Option<Amount> {
    (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
    text.parse().ok().map(Amount::from_msat)
}
