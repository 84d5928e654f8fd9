//! How released clients of L402 and x402 read a 402, each way as a small function: each finds its
//! challenge in ours.

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use tower_x402::{
    Amount, DialectName, Preimage,
    l402::Macaroon,
    server::Charge,
    x402::{self, decode_header},
};

use crate::{
    customer::{ALL, Call, PAYMENT_SIGNATURE},
    shop::{Shop, ask},
};

pub(crate) fn service(shop: &Shop) -> Router {
    let charge = Charge::new(Amount::from_sat(10)).description("weather, Payment included");
    Router::new().route(
        "/weather",
        on_get(async || "sunny")
            .route_layer(shop.paywall_of_every_dialect().charge(charge).unwrap()),
    )
}

pub(crate) fn lines(answer: &Response<Bytes>) -> Vec<String> {
    answer
        .headers()
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .map(|line| line.to_str().unwrap().to_owned())
        .collect()
}

/// What `fetch` shows of lines of one name.
pub(crate) fn joined(lines: &[String]) -> String {
    lines.join(", ")
}

/// The text between `start` and the next quote, where `start` was found.
fn quoted<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_once(start)?
        .1
        .split_once('"')
        .map(|(value, _)| value)
}

type Pair = (String, String);
type Reader = fn(&[String]) -> Option<Pair>;

/// `(LSAT|L402) macaroon="(.*?)", invoice="(.*?)"`, in the first line that has it.
fn regex_in_any_line(lines: &[String]) -> Option<Pair> {
    lines.iter().find_map(|line| {
        let rest = ["LSAT macaroon=\"", "L402 macaroon=\""]
            .iter()
            .find_map(|start| line.split_once(start))?
            .1;
        let (macaroon, rest) = rest.split_once('"')?;
        let (invoice, _) = rest.strip_prefix(", invoice=\"")?.split_once('"')?;
        Some((macaroon.to_owned(), invoice.to_owned()))
    })
}

/// The same in the first line alone, whatever the case of the scheme.
fn regex_in_the_first_line(lines: &[String]) -> Option<Pair> {
    regex_in_any_line(&[lines.first()?.replacen("l402", "L402", 1)])
}

/// The first line, its scheme by prefix, then parameters by name; the invoice must begin with
/// `lnbc` or `lntb`.
fn prefix_of_the_first_line(lines: &[String]) -> Option<Pair> {
    let line = lines.first()?;
    let rest = line
        .strip_prefix("L402 ")
        .or_else(|| line.strip_prefix("LSAT "))?;
    let param = |name: &str| {
        rest.split(", ")
            .find_map(|pair| pair.strip_prefix(&format!("{name}=\""))?.strip_suffix('"'))
    };
    let invoice = param("invoice")
        .filter(|invoice| invoice.starts_with("lnbc") || invoice.starts_with("lntb"))?;
    Some((param("macaroon")?.to_owned(), invoice.to_owned()))
}

/// A dictionary of headers: of lines of one name the last one wins.
fn last_line_as_in_a_dictionary(lines: &[String]) -> Option<Pair> {
    regex_in_any_line(&[lines.last()?.clone()])
}

/// The joined value without its first four characters, cut at commas: the first `macaroon=` and the
/// first `invoice=`.
fn cut_at_commas(lines: &[String]) -> Option<Pair> {
    let value = joined(lines);
    let params = |name: &str| {
        let found = value[4..]
            .split(',')
            .find(|param| param.contains(name))?
            .trim();
        quoted(found, &format!("{name}\"")).map(str::to_owned)
    };
    Some((params("macaroon=")?, params("invoice=")?))
}

/// All lines joined, each parameter by its last occurrence, `token` before `macaroon`.
fn last_of_each_parameter(lines: &[String]) -> Option<Pair> {
    let value = joined(lines);
    let last = |name: &str| {
        quoted(&value[value.rfind(&format!("{name}=\""))?..], "=\"").map(str::to_owned)
    };
    Some((
        last(" token").or_else(|| last("macaroon"))?,
        last("invoice")?,
    ))
}

/// The scheme of the joined value decides what kind of challenge it is.
fn scheme_of_the_joined_value(lines: &[String]) -> Option<Pair> {
    let value = joined(lines);
    let scheme = value.split_whitespace().next()?.to_ascii_lowercase();
    ["l402", "lsat"]
        .contains(&&*scheme)
        .then(|| regex_in_any_line(std::slice::from_ref(&value)))?
}

const L402_READERS: [(&str, Reader); 7] = [
    (
        "aperture, l402-requests: regex in any line",
        regex_in_any_line,
    ),
    ("lnget: regex in the first line", regex_in_the_first_line),
    (
        "L402sdk: prefix of the first line",
        prefix_of_the_first_line,
    ),
    (
        "scripts: last line, as in a dictionary",
        last_line_as_in_a_dictionary,
    ),
    ("lsat-js: cut at commas", cut_at_commas),
    (
        "alby's fetchWithL402: last of each parameter",
        last_of_each_parameter,
    ),
    (
        "alby's fetch402, routeweiler: scheme of the joined value",
        scheme_of_the_joined_value,
    ),
];

#[tokio::test]
async fn every_habit_of_reading_l402_finds_a_token_that_is_served_once_paid() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = Call::new("GET", "/weather");
    for (habit, read) in L402_READERS {
        let answer = ask(&app, call.request()).await;
        let (macaroon, invoice) =
            read(&lines(&answer)).unwrap_or_else(|| panic!("{habit}: nothing found"));
        // Released clients decode standard base64 with padding only.
        let bytes = tower_x402::internals::codec::base64::decode_standard(&macaroon)
            .unwrap_or_else(|| panic!("{habit}: {macaroon}"));
        let macaroon_read = Macaroon::parse(bytes).unwrap();
        assert_eq!(
            (
                macaroon_read.identifier().len(),
                &macaroon_read.identifier()[..2]
            ),
            (66, &[0, 0][..])
        );
        assert!(
            macaroon_read.caveats().all(|caveat| caveat.contains(&b'=')),
            "{habit}: a caveat that js clients throw on"
        );
        let invoice = tower_x402::Invoice::parse(&invoice).unwrap();
        let preimage = shop.node.settle(invoice.payment_hash()).unwrap();
        let credential = format!("L402 {macaroon}:{}", preimage.expose_hex());
        let served = ask(
            &app,
            call.clone()
                .header(header::AUTHORIZATION, &credential)
                .request(),
        )
        .await;
        assert_eq!(served.status(), StatusCode::OK, "{habit}");
    }
}

#[tokio::test]
async fn the_lines_stand_in_the_one_order_that_all_of_them_read() {
    let shop = Shop::new();
    let schemes = async |call: &Call, charge: Charge| {
        let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
        let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
        let answer = ask(&app, call.request()).await;
        let lines = lines(&answer);
        (
            lines
                .iter()
                .map(|line| line.split(' ').next().unwrap().to_owned())
                .collect::<Vec<_>>(),
            answer,
        )
    };
    let call = Call::new("GET", "/weather");
    let sat = || Charge::new(Amount::from_sat(10));
    let (order, answer) = schemes(&call, sat()).await;
    assert_eq!(order, ["L402", "Payment", "LSAT"]);
    assert_eq!(
        answer.headers().get_all("payment-required").iter().count(),
        1
    );
    let lines = lines(&answer);
    assert_eq!(
        lines[0].strip_prefix("L402"),
        lines[2].strip_prefix("LSAT"),
        "the same macaroon and invoice in each copy"
    );
    let twice = sat().uses(std::num::NonZeroU32::new(2).unwrap());
    assert_eq!(schemes(&call, twice).await.0, ["L402", "LSAT"]);

    for (accepts, is_first) in [
        ("lightning/charge", true),
        ("*/*;q=0.1", true),
        ("tempo/charge, lightning/*;q=0.5", true),
        ("lightning/charge;q=0, */*", false),
        ("tempo/charge", false),
        ("lightning", false),
    ] {
        let expected = if is_first {
            ["Payment", "L402", "LSAT"]
        } else {
            ["L402", "Payment", "LSAT"]
        };
        assert_eq!(
            schemes(&call.clone().header("accept-payment", accepts), sat())
                .await
                .0,
            expected,
            "{accepts}"
        );
    }
}

pub(crate) fn paid(shop: &Shop, answer: &Response<Bytes>) -> Preimage {
    shop.bought(&Call::new("GET", "/weather"), answer).preimage
}

#[tokio::test]
async fn official_x402_clients_read_the_requirement_and_echo_it_with_more_around() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = Call::new("GET", "/weather");
    let answer = ask(&app, call.request()).await;
    let line = answer.headers()["payment-required"].to_str().unwrap();
    assert!(
        line.len() % 4 == 0
            && line
                .trim_end_matches('=')
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    );
    let text = decode_header(line.as_bytes()).unwrap();
    let required: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&required["x402Version"], &required["resource"]["url"]),
        (&2.into(), &"https://api.example.com/weather".into())
    );
    assert_eq!(x402::Challenge::in_json(&text).len(), 1);
    let accepted = &required["accepts"][0];
    assert!(
        accepted["network"].as_str().unwrap().starts_with("lnbtc:")
            && accepted["maxTimeoutSeconds"].is_u64()
    );
    assert_eq!(
        (&accepted["extra"]["paymentFlow"], &accepted["amount"]),
        (&"upfront".into(), &"10000".into())
    );

    // A stock client's payload: what it got, in another order, and an extension of its own.
    let payload = serde_json::json!({
        "payload": {"preimage": paid(&shop, &answer).expose_hex()},
        "accepted": accepted,
        "resource": required["resource"],
        "x402Version": 2,
        "extensions": {"of-the-client": {"info": {"a": 1.5}}},
    });
    let header = tower_x402::internals::codec::base64::encode_standard(payload.to_string());
    let served = ask(
        &app,
        call.with(&(PAYMENT_SIGNATURE, header.parse().unwrap()))
            .request(),
    )
    .await;
    assert_eq!(served.status(), StatusCode::OK, "{:?}", served.body());
    assert_eq!(
        shop.bought(&call, &ask(&app, call.request()).await)
            .dialects(),
        ALL
    );
    assert!(served.headers().contains_key("payment-response") && ALL.contains(&DialectName::X402));
}
