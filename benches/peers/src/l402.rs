use macaroon::{ByteString, Macaroon, MacaroonKey, Verifier};
use tower_x402::internals::l402::Bench;

use crate::{
    measure::{ROUNDS, compare, job},
    report::Row,
};

pub fn rows() -> Vec<Row> {
    let bench = Bench::once();
    assert!(bench.verify() && bench.primitives());
    let primitives = compare(ROUNDS, [job(|| bench.verify()), job(|| bench.primitives())]);

    macaroon::initialize().expect("libsodium");
    let key = MacaroonKey::generate(&bench.root_key().expect("a token of ours"));
    let mut verifier = Verifier::default();
    for caveat in bench.macaroon().caveats() {
        verifier.satisfy_exact(ByteString(caveat.to_vec()));
    }
    let theirs = || {
        Macaroon::deserialize(bench.token())
            .and_then(|macaroon| verifier.verify(&macaroon, &key, Vec::new()))
    };
    theirs().expect("a good token");
    let macaroon = compare(ROUNDS, [job(|| bench.verify()), job(theirs)]);
    vec![
        Row::at_most("L402 verify / its primitives", 1.15, primitives),
        Row::faster("L402 verify / macaroon 0.3", 3.5, macaroon),
    ]
}
