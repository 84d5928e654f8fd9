//! Measures the time from a header's text to a proof, for a credential of each dialect.

use criterion::{Criterion, criterion_group, criterion_main};
use tower_x402::internals::{l402, mpp, x402};

fn verify(c: &mut Criterion) {
    let mut group = c.benchmark_group("verify");
    for (name, bench) in [
        ("L402 once", l402::Bench::once()),
        ("L402 for a duration", l402::Bench::for_duration()),
    ] {
        assert!(bench.verify());
        group.bench_function(name, |b| b.iter(|| bench.verify()));
    }

    let bench = mpp::Bench::new().expect("randomness");
    assert!(bench.verify());
    group.bench_function("MPP", |b| b.iter(|| bench.verify()));

    let bench = x402::Bench::new();
    let call = bench.call();
    let credential = bench.credential(&call, &bench.challenge(&call, &bench.invoice(&call)));
    let (quoted, foreign) = (
        call.clone().with(&credential),
        call.with(&bench.without_quote(&credential)),
    );
    for (name, call) in [("x402 with a quote", quoted), ("x402 foreign", foreign)] {
        assert!(bench.verify(&call));
        group.bench_function(name, |b| b.iter(|| bench.verify(&call)));
    }
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
