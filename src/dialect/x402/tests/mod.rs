//! Credentials as the server verifies them, its answers, and the client's checks.

mod answers;
mod client;
mod credentials;
mod quotes;

use serde_json::Value;

use super::{
    bench::{AMOUNT, Bench, Call, PREIMAGE},
    wire::encode_header,
    *,
};

fn strict() -> Bench {
    let mut bench = Bench::new();
    bench.terms.foreign_proofs_since = None;
    bench
}

/// A request of the bench with the credential that was paid for.
fn paid(bench: &Bench) -> Call {
    let call = bench.call();
    let challenge = bench.challenge(&call, &bench.invoice(&call));
    let credential = bench.credential(&call, &challenge);
    call.with(&credential)
}

fn code(bench: &Bench, call: &Call) -> &'static str {
    bench.prove(call).map_or_else(
        |refusal| refusal.map_or("not read", |refusal| refusal.code()),
        |_| "proof",
    )
}

/// The same credential with its JSON changed.
fn edited(call: &Call, edit: impl FnOnce(&mut Value)) -> Call {
    let text = decode_header(call.head.headers[SIGNATURE].as_bytes()).unwrap();
    let mut value = serde_json::from_str(&text).unwrap();
    edit(&mut value);
    call.clone()
        .with(&encode_header(value.to_string()).unwrap())
}
