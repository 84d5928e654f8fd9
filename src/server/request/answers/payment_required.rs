//! The 402: what to pay in each dialect, what that buys, and why a credential was refused.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{problem::answer, sold};
use crate::{
    clock::Timestamp,
    codec::json,
    dialect::{
        HeaderLine,
        problem::{PAYMENT_REQUIRED, problem_type},
    },
    payment::{Amount, DialectName, Refusal, RefusalKind, Terms},
    server::request::budget::{self, Written},
};

/// What a 402 offers.
#[derive(Debug)]
pub(in crate::server) struct Offer<'a> {
    /// Every challenge in full, for the body.
    pub(in crate::server) challenges: &'a [Written<'a>],
    /// What stands in the headers, if that is less.
    pub(in crate::server) kept: Option<Vec<Written<'a>>>,
    /// The dialects that bind the body, if the request is a form in parts.
    pub(in crate::server) form_bound_in: &'a [DialectName],
    pub(in crate::server) amount: Amount,
    pub(in crate::server) terms: &'a Terms,
    /// When the client has free requests again that it has used up.
    pub(in crate::server) free_again_at: Option<Timestamp>,
}

/// Answers 402 with fresh challenges, and with the reason if a credential was refused.
///
/// If the request is a form in parts, the dialects that bind its body are named too: a client that
/// builds the form again must not pay in one of them.
///
/// The body is written without a serialiser: only the description needs escapes.
/// The page `docs/answers.md` lists its members.
pub(in crate::server) fn payment_required(
    offer: Offer<'_>,
    (refused, form): (Option<&Refusal>, &str),
    refusal_line: Option<HeaderLine>,
) -> Response<Bytes> {
    let Offer {
        challenges,
        kept,
        form_bound_in,
        amount,
        terms,
        free_again_at,
    } = offer;
    let kind = refused.map_or(PAYMENT_REQUIRED, |refused| problem_type(refused.kind()));
    let (title, [detail, form, rest]) = told(refused.map(Refusal::kind), form);
    let mut body = String::with_capacity(1024 + budget::sum(challenges));
    body.extend([
        "{\"type\":\"",
        kind,
        "\",\"title\":\"",
        title,
        "\",\"status\":402,\"detail\":\"",
        detail,
        form,
        rest,
    ]);
    let mut before = "; a payment in ";
    for dialect in form_bound_in {
        body.extend([before, dialect.as_str()]);
        before = " or ";
    }
    if !form_bound_in.is_empty() {
        body.push_str(SAME_BYTES);
    }
    if free_again_at.is_some() {
        body.push_str("; the free requests of today are used up");
    }
    body.push('"');
    if let Some(refusal) = refused {
        body.extend([
            ",\"dialect\":\"",
            refusal.dialect().as_str(),
            "\",\"reason\":\"",
            refusal.code(),
            "\",\"kind\":\"",
            refusal.kind().as_str(),
            "\"",
        ]);
    }
    sold::write(&mut body, amount, terms);
    if let Some(at) = free_again_at {
        body.extend([",\"free_again_at\":\"", &at.to_iso_8601(), "\""]);
    }
    body.push_str(",\"accepts\":[");
    let (mut digits, network, mut before) = (itoa::Buffer::new(), terms.network.as_str(), "");
    let amount = digits.format(amount.as_msat());
    for dialect in challenges.iter().map(|one| one.dialect.name().as_str()) {
        body.extend([
            before,
            "{\"dialect\":\"",
            dialect,
            "\",\"amount_msat\":",
            amount,
            ",\"network\":\"",
            network,
            "\"}",
        ]);
        before = ",";
    }
    body.push_str("],\"challenges\":[");
    push_challenges(&mut body, challenges);
    body.push_str("]}");
    let mut response = answer(StatusCode::PAYMENT_REQUIRED, body);
    let sent = kept.as_deref().unwrap_or(challenges);
    let mut lines: Vec<_> = sent.iter().flat_map(|one| &one.lines).collect();
    lines.sort_by_key(|line| line.rank);
    let headers = response.headers_mut();
    for line in lines {
        headers.append(&line.name, line.value.clone());
    }
    headers.extend(refusal_line);
    response
}

/// For a form in parts. Clients make another boundary for each try unless they keep the bytes.
const SAME_BYTES: &str = " is valid for exactly the body with which its invoice was asked for: send the same bytes again, with the same boundary";

/// Writes the first line of every challenge. The others are copies of it for older clients.
fn push_challenges(body: &mut String, challenges: &[Written<'_>]) {
    let mut before = "";
    for one in challenges {
        let Some((line, value)) = one
            .lines
            .first()
            .and_then(|line| Some((line, line.value.to_str().ok()?)))
        else {
            continue;
        };
        body.extend([
            before,
            "{\"dialect\":\"",
            one.dialect.name().as_str(),
            "\",\"header\":\"",
            line.name.as_str(),
            "\",\"value\":",
        ]);
        json::push_text(body, value);
        body.push('}');
        before = ",";
    }
}

/// The title of a 402, and its detail in three pieces.
const fn told(refused: Option<RefusalKind>, form: &str) -> (&'static str, [&str; 3]) {
    let (title, detail) = match refused {
        None => (
            "Payment required",
            "pay the invoice and send the credential with the same request",
        ),
        Some(RefusalKind::Malformed) => {
            return (
                "The credential cannot be read",
                [
                    "the credential cannot be read; if its invoice was paid, send it again in the right form (`",
                    form,
                    "`), or pay the fresh invoice",
                ],
            );
        }
        Some(RefusalKind::Expired) => (
            "The credential has expired",
            "the credential has expired; pay the fresh invoice and send its credential",
        ),
        Some(RefusalKind::Unpaid) => (
            "The payment is not proven",
            "the credential does not prove that its invoice was paid; pay the fresh invoice and send its credential",
        ),
        Some(RefusalKind::Spent) => (
            "The payment is used up",
            "what this payment bought is used up; pay the fresh invoice and send its credential",
        ),
        Some(RefusalKind::Unremembered) => (
            "The invoice is older than this server's records",
            "the invoice is older than this server's store of spent payments, which cannot tell whether it was used; pay the fresh invoice and send its credential",
        ),
        Some(RefusalKind::WrongRequest) => (
            "Bought for another request",
            "the credential was bought for another request; for this one pay the fresh invoice",
        ),
        Some(RefusalKind::Forged) => (
            "The credential is not accepted",
            "this server did not issue this credential, or it was changed; pay the fresh invoice and send its credential",
        ),
        Some(RefusalKind::Revoked) => (
            "The payment was withdrawn",
            "the operator withdrew what this payment bought; pay the fresh invoice and send its credential",
        ),
    };
    (title, [detail, "", ""])
}

#[cfg(all(test, feature = "l402", feature = "mpp", feature = "x402"))]
mod tests {
    use http::{HeaderValue, header::WWW_AUTHENTICATE};

    use super::*;
    use crate::{
        dialect::{ChallengeLine, Options, Rank, list::DIALECTS},
        payment::{Access, DialectName, Network},
    };

    const SOLD: &str = r#""price":{"msat":1500},"buys":{"uses":1,"summary":"one request"}"#;
    const FORM: &str = "Authorization: <credential>";

    fn body(dialects: &[DialectName], refused: Option<&Refusal>) -> String {
        let mut terms = Terms::plain(Access::Once);
        terms.network = Network::Signet;
        let listed = |name: &DialectName| DIALECTS.iter().find(|listed| listed.name == *name);
        let made: Vec<_> = dialects
            .iter()
            .map(|name| (listed(name).unwrap().make)(&Options::default()).unwrap())
            .collect();
        let line = |rank, value| ChallengeLine {
            rank,
            name: WWW_AUTHENTICATE,
            value: HeaderValue::from_static(value),
        };
        let written: Vec<_> = made
            .iter()
            .map(|dialect| Written {
                dialect: &**dialect,
                lines: vec![line(Rank::L402, "A b=\"c\""), line(Rank::Lsat, "copy")],
            })
            .collect();
        let offer = Offer {
            challenges: &written,
            kept: Some(Vec::new()),
            form_bound_in: &[],
            amount: Amount::from_msat(1_500),
            terms: &terms,
            free_again_at: None,
        };
        let answer = payment_required(offer, (refused, FORM), None);
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        String::from_utf8(answer.into_body().to_vec()).unwrap()
    }

    #[test]
    fn no_form_of_a_credential_needs_an_escape() {
        for listed in DIALECTS {
            let dialect = (listed.make)(&Options::default()).unwrap();
            let form = dialect.credential_form();
            assert_eq!(serde_json::to_string(form).unwrap(), format!("\"{form}\""));
        }
    }

    #[test]
    fn the_body_of_a_402_is_exact() {
        let accepts = |dialect: &str| {
            format!(r#"{{"dialect":"{dialect}","amount_msat":1500,"network":"signet"}}"#)
        };
        let challenge = |dialect: &str| {
            format!(r#"{{"dialect":"{dialect}","header":"www-authenticate","value":"A b=\"c\""}}"#)
        };
        let expected = format!(
            r#"{{"type":"https://paymentauth.org/problems/payment-required","title":"Payment required","status":402,"detail":"pay the invoice and send the credential with the same request",{SOLD},"accepts":[{},{}],"challenges":[{},{}]}}"#,
            accepts("l402"),
            accepts("x402"),
            challenge("l402"),
            challenge("x402")
        );
        assert_eq!(
            body(&[DialectName::L402, DialectName::X402], None),
            expected
        );
        let dialects = [DialectName::L402, DialectName::Mpp, DialectName::X402];
        for (kind, dialect) in RefusalKind::ALL
            .into_iter()
            .flat_map(|kind| dialects.map(|dialect| (kind, dialect)))
        {
            let refusal = Refusal::new(dialect, kind, "some-code");
            let (title, detail) = told(Some(kind), FORM);
            let [uri, title, detail] = [problem_type(kind), title, &detail.concat()]
                .map(|text| serde_json::to_string(text).unwrap());
            let expected = format!(
                r#"{{"type":{uri},"title":{title},"status":402,"detail":{detail},"dialect":"{dialect}","reason":"some-code","kind":"{kind}",{SOLD},"accepts":[{}],"challenges":[{}]}}"#,
                accepts("mpp"),
                challenge("mpp")
            );
            assert_eq!(body(&[DialectName::Mpp], Some(&refusal)), expected);
        }
    }

    #[test]
    fn a_form_is_told_where_its_body_is_bound() {
        let bound_in = [DialectName::Mpp, DialectName::X402];
        let terms = Terms::plain(Access::Once);
        let offer = Offer {
            challenges: &[],
            kept: Some(Vec::new()),
            form_bound_in: &bound_in,
            free_again_at: None,
            amount: Amount::from_msat(1_500),
            terms: &terms,
        };
        let answer = payment_required(offer, (None, ""), None);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let detail = body["detail"].as_str().unwrap();
        let told = format!("; a payment in mpp or x402{SAME_BYTES}");
        assert!(detail.ends_with(&told), "{detail}");
    }
}
