//! Measures how long a 402 takes for an invoice that is decoded and checked: in all three dialects,
//! and in each alone.

use criterion::{Criterion, criterion_group, criterion_main};
use tower_x402::internals::{mpp, server, x402};

fn challenge(c: &mut Criterion) {
    let mut group = c.benchmark_group("challenge");
    let bench = server::Bench::new();
    group.bench_function("three dialects, whole answer", |b| {
        b.iter(|| bench.challenge())
    });

    let bench = mpp::Bench::new().expect("randomness");
    group.bench_function("MPP line", |b| b.iter(|| bench.challenge()));

    let bench = x402::Bench::new();
    let call = bench.call();
    let invoice = bench.invoice(&call);
    group.bench_function("x402 line", |b| b.iter(|| bench.challenge(&call, &invoice)));
    group.finish();
}

criterion_group!(benches, challenge);
criterion_main!(benches);
