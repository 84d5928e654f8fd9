//! Measures jobs alternately, in batches so short that the machine's speed does not change within a
//! round.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The number of rounds for jobs that take nanoseconds.
pub const ROUNDS: usize = 801;

const BATCH: Duration = Duration::from_micros(100);

pub type Job<'a> = Box<dyn FnMut(u32) + 'a>;

pub fn job<'a, T>(mut work: impl FnMut() -> T + 'a) -> Job<'a> {
    Box::new(move |times| (0..times).for_each(|_| drop(black_box(work()))))
}

/// Returns the nanoseconds for one call of each job, in each round. The order of the jobs
/// alternates from round to round.
pub fn in_turns<const N: usize>(rounds: usize, mut jobs: [Job<'_>; N]) -> Vec<[f64; N]> {
    let mut times = [1_u32; N];
    for (job, times) in jobs.iter_mut().zip(&mut times) {
        while timed(job, *times) < BATCH {
            *times *= 2;
        }
    }
    let mut round = |round: usize| {
        let mut taken = [0.0; N];
        for step in 0..N {
            let index = (round + step) % N;
            taken[index] =
                timed(&mut jobs[index], times[index]).as_nanos() as f64 / f64::from(times[index]);
        }
        taken
    };
    let mut taken = Vec::with_capacity(rounds);
    for depth in 0..DEPTHS {
        let part = depth * rounds / DEPTHS..(depth + 1) * rounds / DEPTHS;
        deeper(depth, &mut || taken.extend(part.clone().map(&mut round)));
    }
    taken
}

/// The number of stack positions at which each row is measured, because the position changes how
/// fast a few hundred bytes are copied.
const DEPTHS: usize = 8;

#[inline(never)]
fn deeper(levels: usize, work: &mut dyn FnMut()) {
    let room = [0_u8; 520];
    black_box(&room);
    if levels == 0 {
        work()
    } else {
        deeper(levels - 1, work)
    }
    black_box(&room);
}

fn timed(job: &mut Job<'_>, times: u32) -> Duration {
    let start = Instant::now();
    job(times);
    start.elapsed()
}

pub fn median_of<const N: usize>(rounds: &[[f64; N]], of: impl Fn(&[f64; N]) -> f64) -> f64 {
    let mut values: Vec<_> = rounds.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns the medians of the first job, of another job, and of their ratio in each round.
pub fn beside<const N: usize>(rounds: &[[f64; N]], other: usize) -> (f64, f64, f64) {
    (
        median_of(rounds, |t| t[0]),
        median_of(rounds, |t| t[other]),
        median_of(rounds, |t| t[0] / t[other]),
    )
}

/// Returns the medians of the first job, of the second job, and of their ratio in each round.
pub fn compare(rounds: usize, jobs: [Job<'_>; 2]) -> (f64, f64, f64) {
    beside(&in_turns(rounds, jobs), 1)
}

/// Returns the calls per second of three jobs in each round, after one round to warm up. The order
/// changes from round to round.
pub fn rates(
    rounds: usize,
    calls: usize,
    mut time_of: impl FnMut(usize) -> Duration,
) -> Vec<[f64; 3]> {
    let mut round = |first: usize| {
        let mut rates = [0.0; 3];
        for turn in 0..3 {
            let who = (first + turn) % 3;
            rates[who] = calls as f64 / time_of(who).as_secs_f64();
        }
        rates
    };
    round(0);
    (0..rounds).map(round).collect()
}
