//! Jobs measured in turns, in batches too short for the machine's mood to change within a round.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Rounds of what takes nanoseconds.
pub const ROUNDS: usize = 801;

const BATCH: Duration = Duration::from_micros(100);

pub type Job<'a> = Box<dyn FnMut(u32) + 'a>;

pub fn job<'a, T>(mut work: impl FnMut() -> T + 'a) -> Job<'a> {
    Box::new(move |times| (0..times).for_each(|_| drop(black_box(work()))))
}

/// What each job took for one call, in nanoseconds, in each round. Who goes first changes from
/// round to round.
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

/// How fast a few hundred bytes move depends on where the stack happens to lie: each row is
/// measured at so many places.
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

/// Medians of the first job, of the second, and of the ratio of the first to the second in each
/// round.
pub fn compare(rounds: usize, jobs: [Job<'_>; 2]) -> (f64, f64, f64) {
    let rounds = in_turns(rounds, jobs);
    (
        median_of(&rounds, |t| t[0]),
        median_of(&rounds, |t| t[1]),
        median_of(&rounds, |t| t[0] / t[1]),
    )
}
