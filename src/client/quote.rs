use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::{
    NotTaken, PayError, Wallet,
    buy::{new_payment, would_begin},
    checked::{Checked, checked, unpayable},
    error::Cause,
    final_url::is_from_elsewhere,
    job::Job,
    offers::offers,
};
use crate::{
    boxed::BoxError,
    clock::Timestamp,
    ledger::LedgerError,
    payment::{Amount, DialectName},
};

/// What a server asks for a request: see [`Wallet::quote`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Quote {
    /// The status of the answer. Only a 402 offers something.
    pub status: StatusCode,
    /// Every offer, the preferred one first.
    pub offers: Vec<QuotedOffer>,
}

/// One offer of a [`Quote`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuotedOffer {
    /// The dialect of the offer.
    pub dialect: DialectName,
    /// The price, if the offer could be read.
    pub amount: Option<Amount>,
    /// The highest routing fee that the wallet would allow on top of it.
    pub max_fee: Amount,
    /// What the server says that it sells, without control and direction characters.
    pub description: Option<String>,
    /// When the offer ends, if it could be read.
    pub expires_at: Option<Timestamp>,
    /// Why it would not be paid. `None` if it would.
    pub refusal: Option<NotTaken>,
}

impl Quote {
    /// Returns the offer that would be paid, if the policy is not a dry run.
    #[must_use]
    pub fn payable(&self) -> Option<&QuotedOffer> {
        self.offers.iter().find(|offer| offer.refusal.is_none())
    }
}

impl Wallet {
    /// Asks a server what a request costs, and pays nothing. Every offer is decoded and checked, also
    /// against the policy, every limit of the budgets and the trouble that the ledger knows of.
    /// Neither the payer nor the approver is asked.
    ///
    /// The request is sent as it is, without a credential. If the server asks for no payment, it may
    /// have served it.
    ///
    /// # Errors
    ///
    /// A [`PayError`] if the URL leads to an address that requests may not go to, or if the inner
    /// client fails.
    pub async fn quote<S, B, R>(
        &self,
        mut client: S,
        request: Request<B>,
    ) -> Result<Quote, PayError<S::Error>>
    where
        S: Service<Request<B>, Response = Response<R>>,
        B: Body<Data = Bytes> + From<Bytes>,
        B::Error: Into<BoxError>,
        R: Body,
    {
        let inner = |error| PayError::new(Cause::Inner(error));
        let job = Job::of(request, self.policy());
        let (mut job, body) = job.map_err(|why| PayError::new(Cause::Address(why)))?;
        let unkept = job.keep(body, self.policy()).await;
        let unkept = unkept.map_err(PayError::new)?;
        std::future::poll_fn(|cx| client.poll_ready(cx))
            .await
            .map_err(inner)?;
        let answer = job
            .send(&mut client, unkept, self.announcements())
            .await
            .map_err(inner)?;
        job.is_elsewhere = is_from_elsewhere(answer.extensions(), &job.place);
        let (head, body) = answer.into_parts();
        let mut quote = Quote {
            status: head.status,
            offers: Vec::new(),
        };
        if head.status != StatusCode::PAYMENT_REQUIRED {
            return Ok(quote);
        }
        for offer in offers(&head.headers, body, self.dialects()).await {
            let quoted = match checked(self, &job, &*offer) {
                Ok(checked) => {
                    let refusal = self.refusal(&job, &checked);
                    let refusal = refusal.map_err(|error| PayError::new(Cause::Ledger(error)))?;
                    QuotedOffer {
                        dialect: offer.dialect(),
                        amount: Some(checked.cost.amount),
                        max_fee: checked.cost.max_fee,
                        description: checked.description,
                        expires_at: Some(checked.purchase.expires_at()),
                        refusal,
                    }
                }
                Err(refused) => QuotedOffer {
                    dialect: offer.dialect(),
                    amount: refused.amount,
                    max_fee: self.policy().max_fee,
                    description: refused.description,
                    expires_at: None,
                    refusal: Some(refused.why),
                },
            };
            quote.offers.push(quoted);
        }
        Ok(quote)
    }

    /// Returns why an offer that passed its checks would not be paid.
    fn refusal(&self, job: &Job, checked: &Checked) -> Result<Option<NotTaken>, LedgerError> {
        if let Some(why) = unpayable(self, job) {
            return Ok(Some(NotTaken::NotAllowed(why)));
        }
        match new_payment(self, job, checked) {
            None => Ok(Some(NotTaken::NoAmount)),
            Some(payment) => Ok(would_begin(self, job, payment)?.map(NotTaken::Ledger)),
        }
    }
}
