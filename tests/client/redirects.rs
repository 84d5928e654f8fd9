//! Redirects that lead to a payment.

use http::{HeaderValue, header::LOCATION};
use tower_x402::client::{PayErrorKind, Policy};

use crate::{
    bank::{Bank, sat},
    hostile::sells,
    stall::{answer, ask, client, get},
};

async fn led(policy: Policy, to: &'static str) -> (PayErrorKindOrPaid, Bank) {
    let bank = Bank::new();
    let wallet = bank
        .builder(&bank.ledger())
        .policy(policy)
        .build()
        .await
        .unwrap();
    let shop = sells(&bank.node, sat(5));
    let (client, _) = client(&wallet, move |request| {
        let is_first = request.uri().path() == "/first";
        let shop = shop.clone();
        async move {
            if !is_first {
                return shop(request).await;
            }
            let mut answer = answer(302);
            let to = HeaderValue::from_static(to);
            answer.headers_mut().insert(LOCATION, to);
            answer
        }
    });
    ask(&client, get("https://a.example/first")).await.unwrap();
    // What a layer outside that follows redirects does.
    let url = if to.starts_with('/') {
        format!("https://a.example{to}")
    } else {
        to.to_owned()
    };
    let paid = ask(&client, get(&url)).await.map(drop);
    (paid.map_err(|error| error.kind()), bank)
}

type PayErrorKindOrPaid = Result<(), PayErrorKind>;

#[tokio::test]
async fn a_redirect_to_another_origin_leads_to_a_payment_only_if_that_is_allowed() {
    for (to, is_same) in [
        ("https://b.example/x", false),
        ("https://a.example:444/x", false),
        ("/x", true),
        ("https://a.example/x", true),
    ] {
        let (paid, bank) = led(Policy::new(), to).await;
        let expected = if is_same {
            Ok(())
        } else {
            Err(PayErrorKind::NotPaid)
        };
        assert_eq!(
            (paid, bank.payments()),
            (expected, usize::from(is_same)),
            "{to}"
        );
        let (paid, bank) = led(Policy::new().pay_after_redirects(), to).await;
        assert_eq!((paid, bank.payments()), (Ok(()), 1), "{to}");
    }
}
