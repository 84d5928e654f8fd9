use super::issue::IDS;
use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderValue, request::Parts};

use super::{Challenge, Mpp, Payable};
use crate::{
    clock::Timestamp,
    dialect::{
        Asked, Captures, Carrier, ChallengeLine, Dialect as _, Presented, RequestView, Route,
        bound::EMPTY_BODY,
        client::{ChallengeError, ClientConditions, ClientRequest},
        keys::OriginKeys,
    },
    payment::{
        Access, Amount, Invoice, InvoiceDescription, InvoiceDraft, Network, Preimage, Proof,
        Refusal, SigningKey, Terms,
    },
};

/// One server, one paid invoice and one request that shows its credential: for benches and tests,
/// no part of the public API.
pub struct Bench {
    pub(super) head: Parts,
    pub(super) origin: &'static str,
    pub(super) target: String,
    pub(super) keys: OriginKeys,
    pub(super) terms: Terms,
    pub(super) amount: Amount,
    pub(super) invoice: Invoice,
    pub(super) preimage: Preimage,
    pub(super) body_hash: Option<[u8; 32]>,
    pub(super) now: Timestamp,
}

const ORIGIN: &str = "https://api.example.com";
const MADE: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

impl Bench {
    /// Creates a bench. `None` if the system has no randomness.
    #[must_use]
    pub fn new() -> Option<Self> {
        let preimage = Preimage::from_bytes([0x2a; 32]);
        let amount = Amount::from_sat(100);
        let draft = InvoiceDraft {
            network: Network::Regtest,
            amount,
            payment_hash: preimage.payment_hash(),
            description: InvoiceDescription::Hash([7; 32]),
            created_at: MADE,
            expiry: Duration::from_secs(300),
        };
        let mut bench = Self {
            head: http::Request::get("/weather?city=oslo")
                .body(())
                .ok()?
                .into_parts()
                .0,
            origin: ORIGIN,
            target: "/weather?city=oslo".to_owned(),
            keys: OriginKeys::of_secret(&[1; 32], &[IDS], Network::Regtest, (ORIGIN, ""), &[9; 16]),
            terms: Terms::plain(Access::Once),
            amount,
            invoice: draft.sign(&SigningKey::random().ok()?).ok()?,
            preimage,
            body_hash: Some(EMPTY_BODY),
            now: MADE,
        };
        bench.present()?;
        Some(bench)
    }

    /// Mints the challenge as the server does.
    #[must_use]
    pub fn challenge(&self) -> Option<HeaderValue> {
        self.line().map(|line| line.value)
    }

    /// Pays the challenge as a client does.
    #[must_use]
    pub fn credential(&self) -> Option<HeaderValue> {
        let challenge = self.challenge()?;
        let challenge = Challenge::parse_line(challenge.as_bytes()).pop()?;
        let payable = self.check(&challenge).ok()?;
        Some(payable.credential(&self.preimage)?.1)
    }

    /// Checks a challenge as the client does that made the request.
    pub(super) fn check(&self, challenge: &Challenge<'_>) -> Result<Payable, ChallengeError> {
        let url = [self.origin, &self.target].concat();
        let request = ClientRequest::Http {
            method: self.head.method.as_str(),
            url: &url,
            headers: &HeaderMap::new(),
            body_hash: self.body_hash.unwrap_or(EMPTY_BODY),
        };
        let conditions = ClientConditions::new(self.terms.network, self.now);
        Payable::check(challenge, &request, &conditions)
    }

    /// Verifies the credential in the request's head as the server does, from the header's text to
    /// a proof.
    #[must_use]
    pub fn verify(&self) -> bool {
        self.proof().is_ok()
    }

    /// Puts a freshly bought credential into the head.
    pub(super) fn present(&mut self) -> Option<()> {
        let credential = self.credential()?;
        self.head
            .headers
            .insert(super::field(&self.terms), credential);
        Some(())
    }

    pub(super) fn line(&self) -> Option<ChallengeLine> {
        let view = self.view();
        let asked = Asked {
            view: &view,
            terms: &self.terms,
            amount: self.amount,
            invoice: &self.invoice,
            committed: None,
            refused: None,
            brief: false,
        };
        Mpp.challenge(&asked).ok()?.pop()
    }

    pub(super) fn view(&self) -> RequestView<'_> {
        RequestView {
            carrier: Carrier::Http(&self.head),
            origin: self.origin,
            target: &self.target,
            client_target: None,
            route: Route {
                prefix: "",
                pattern: "/weather",
            },
            captures: Captures::Known(&[]),
            keys: &self.keys,
            body_hash: self.body_hash,
        }
    }

    /// Returns `Err(None)` if there is no credential, or if a payment cannot fix the request.
    pub(super) fn proof(&self) -> Result<Proof, Option<Refusal>> {
        let view = self.view();
        match Mpp.credential(&view, &self.terms, self.now) {
            Presented::Authentic(claim) => claim
                .verify(&view, &self.terms, None, self.now)
                .map_err(Some),
            Presented::Refused(refusal) => Err(Some(refusal)),
            Presented::Absent | Presented::Wrong(_) => Err(None),
        }
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bench(..)")
    }
}
