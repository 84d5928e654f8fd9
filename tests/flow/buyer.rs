//! A client of every dialect: it checks a 402, pays its invoice, and makes the credential.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Amount, ChallengeError, ClientConditions, ClientRequest, DialectName, Invoice, Network,
    Preimage,
    clock::{Clock as _, SystemClock},
    l402,
    lightning::{PayLimits, Payer, PaymentStatus},
    mpp, x402,
};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));

/// A challenge that passed all checks of its dialect's client, so its invoice may be paid.
pub(crate) enum Payable {
    L402(l402::Payable),
    Mpp(Box<mpp::Payable>),
    X402(x402::Payable),
}

impl Payable {
    /// Reads the challenges of one dialect in the answer to `POST url`, and returns the first that may
    /// be paid.
    #[track_caller]
    pub(crate) fn of(
        dialect: DialectName,
        network: Network,
        url: &str,
        body: &[u8],
        answer: &HeaderMap,
    ) -> Self {
        let request = ClientRequest::Http {
            method: "POST",
            url,
            headers: &HeaderMap::new(),
            body_hash: Sha256::digest(body).into(),
        };
        let conditions = ClientConditions::new(network, SystemClock::new().now());
        match dialect {
            DialectName::L402 => {
                let all = l402::Challenge::in_headers(answer);
                let checked = |challenge| l402::Payable::check(challenge, &request, &conditions);
                Self::L402(first(all.iter().map(checked)))
            }
            DialectName::Mpp => {
                let all = mpp::Challenge::in_headers(answer);
                let checked = |challenge| mpp::Payable::check(challenge, &request, &conditions);
                Self::Mpp(Box::new(first(all.iter().map(checked))))
            }
            _ => {
                let all = x402::Challenge::in_headers(answer);
                let checked = |challenge| x402::Payable::check(challenge, &request, &conditions);
                Self::X402(first(all.iter().map(checked)))
            }
        }
    }

    pub(crate) fn invoice(&self) -> &Invoice {
        match self {
            Self::L402(payable) => payable.invoice(),
            Self::Mpp(payable) => payable.invoice(),
            Self::X402(payable) => payable.invoice(),
        }
    }

    /// Returns the header that proves the payment.
    #[track_caller]
    pub(crate) fn credential(&self, preimage: &Preimage) -> (HeaderName, HeaderValue) {
        let line = match self {
            Self::L402(payable) => payable.credential(preimage),
            Self::Mpp(payable) => payable.credential(preimage),
            Self::X402(payable) => payable.credential(preimage),
        };
        line.unwrap()
    }

    /// Pays exactly this price, and returns the header that proves it.
    pub(crate) async fn pay(&self, payer: &impl Payer, price: Amount) -> HeaderMap {
        assert_eq!(self.invoice().amount(), Some(price));
        let status = payer.pay(self.invoice(), LIMITS).await.unwrap();
        let PaymentStatus::Paid { preimage, .. } = status else {
            panic!("not paid but {status:?}")
        };
        HeaderMap::from_iter([self.credential(&preimage)])
    }
}

/// Returns the first challenge that passed its checks.
#[track_caller]
fn first<T>(mut checked: impl Iterator<Item = Result<T, ChallengeError>>) -> T {
    let mut refused = Vec::new();
    let payable = checked.find_map(|checked| checked.map_err(|error| refused.push(error)).ok());
    payable.unwrap_or_else(|| panic!("no challenge may be paid: {refused:?}"))
}
