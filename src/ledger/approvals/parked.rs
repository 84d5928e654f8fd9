use std::{fmt, time::Duration};

use sha2::{Digest as _, Sha256};

use crate::{
    clock::Timestamp,
    codec::hex,
    ledger::{
        BodyDigest, BudgetPath, LedgerError, NewPayment, RequestKey, ids::no_id, plain::plain,
    },
    payment::Amount,
};

/// The name of a [`Parked`] payment, printed as 32 hexadecimal digits. It is a hash of the request,
/// the host, the budget and the amount. So whoever approves one approves what was shown, and nothing dearer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApprovalId([u8; 16]);

impl ApprovalId {
    /// Reads an id from 32 hexadecimal digits. Returns `None` for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_any_case(text).map(Self)
    }

    fn of(request: &RequestKey, host: &str, budget: &BudgetPath, max: Amount) -> Self {
        let hash = Sha256::new()
            .chain_update(request.as_bytes())
            .chain_update(max.as_msat().to_le_bytes())
            .chain_update([host, "\n", budget.as_str()].concat())
            .finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Self(first)
    }
}

/// Reads an id as [`ApprovalId::from_hex`] does.
impl std::str::FromStr for ApprovalId {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        Self::from_hex(text).ok_or_else(no_id)
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApprovalId({self})")
    }
}

impl serde::Serialize for ApprovalId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A payment that waits for a person. An approval is for this request alone, for at most this
/// amount, and for one use.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Parked {
    /// The name under which it is approved or refused.
    pub id: ApprovalId,
    /// The most that may be paid: amount and routing fee.
    #[serde(rename = "max_msat", serialize_with = "msat")]
    pub max: Amount,
    /// The method of the request.
    pub method: String,
    /// Scheme, host and port of its URL.
    pub origin: String,
    /// The path of its URL, without the query.
    pub path: String,
    /// The query of its URL, at most 2,048 characters. It may hold secrets.
    pub query: Option<String>,
    /// Length and hash of its body. `None` if it has none.
    pub body: Option<BodyDigest>,
    /// The name that limits per host count under.
    pub host: String,
    /// What the server says that it sells.
    pub description: Option<String>,
    /// The budget that would pay.
    pub budget: BudgetPath,
    /// When it was parked.
    pub created_at: Timestamp,
    /// When it is forgotten, approved or not: 24 hours later.
    pub expires_at: Timestamp,
    #[serde(skip)]
    pub(super) request_key: RequestKey,
}

impl Parked {
    pub(super) fn new(payment: &NewPayment, now: Timestamp) -> Option<Self> {
        let max = payment.amount.checked_add(payment.max_fee)?;
        let path = payment.path.split(['?', '#']).next().unwrap_or_default();
        Some(Self {
            id: ApprovalId::of(&payment.request_key, &payment.host, &payment.budget, max),
            max,
            method: plain(&payment.method, 32),
            origin: plain(&payment.origin, 300),
            path: plain(path, 1_024),
            query: payment.query.as_ref().map(|text| plain(text, 2_048)),
            body: payment.body,
            host: payment.host.clone(),
            description: payment.description.as_ref().map(|text| plain(text, 200)),
            budget: payment.budget.clone(),
            created_at: now,
            expires_at: now.saturating_add(LIFE),
            request_key: payment.request_key,
        })
    }

    /// Returns whether an approval of this one is one of `asked`, which may cost less.
    pub(super) fn covers(&self, asked: &Self) -> bool {
        self.is_like(asked) && asked.max <= self.max
    }

    /// Returns whether both are of the same request, host and budget, at whatever price.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.request_key == other.request_key
            && self.host == other.host
            && self.budget == other.budget
    }

    /// Returns whether it is remembered at this moment. A clock that was set back counts as well.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.created_at.saturating_since(now) < LIFE
    }
}

#[cfg(feature = "ledger-durable")]
mod stored {
    use super::{ApprovalId, Parked};
    use crate::{
        clock::Timestamp,
        codec::hex,
        ledger::{BodyDigest, BudgetPath, RequestKey},
        payment::Amount,
    };

    /// A parked payment as a file holds it.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stored {
        request_key: String,
        max_msat: u64,
        method: String,
        origin: String,
        path: String,
        query: Option<String>,
        /// Length, and SHA-256 in hexadecimal digits.
        body: Option<(u64, String)>,
        host: String,
        description: Option<String>,
        budget: String,
        created_at: u64,
        expires_at: u64,
    }

    impl Parked {
        pub(in crate::ledger::approvals) fn to_json(&self) -> String {
            let stored = Stored {
                request_key: hex::encode(self.request_key.as_bytes()),
                max_msat: self.max.as_msat(),
                method: self.method.clone(),
                origin: self.origin.clone(),
                path: self.path.clone(),
                query: self.query.clone(),
                body: self
                    .body
                    .map(|body| (body.length, hex::encode(body.sha256))),
                host: self.host.clone(),
                description: self.description.clone(),
                budget: self.budget.to_string(),
                created_at: self.created_at.as_unix_seconds(),
                expires_at: self.expires_at.as_unix_seconds(),
            };
            serde_json::to_string(&stored)
                .unwrap_or_else(|_| unreachable!("strings and numbers can always be serialised"))
        }

        /// Reads what [`to_json`](Self::to_json) wrote.
        pub(in crate::ledger::approvals) fn from_json(text: &str) -> Option<Self> {
            let stored: Stored = serde_json::from_str(text).ok()?;
            let request_key = RequestKey::from_bytes(hex::decode_lower(&stored.request_key)?);
            let max = Amount::from_msat(stored.max_msat);
            let budget = BudgetPath::parse(&stored.budget)?;
            Some(Self {
                id: ApprovalId::of(&request_key, &stored.host, &budget, max),
                max,
                method: stored.method,
                origin: stored.origin,
                path: stored.path,
                query: stored.query,
                body: match stored.body {
                    Some((length, digits)) => Some(BodyDigest {
                        length,
                        sha256: hex::decode_lower(&digits)?,
                    }),
                    None => None,
                },
                host: stored.host,
                description: stored.description,
                budget,
                created_at: Timestamp::from_unix_seconds(stored.created_at),
                expires_at: Timestamp::from_unix_seconds(stored.expires_at),
                request_key,
            })
        }
    }
}

fn msat<S: serde::Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(amount.as_msat())
}

/// How long a parked payment is remembered.
const LIFE: Duration = Duration::from_secs(86_400);
