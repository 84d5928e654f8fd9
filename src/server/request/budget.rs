//! Keeps the challenge headers of a 402 within a budget of bytes: proxies and clients refuse an
//! answer whose headers are too long together.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    dialect::{ChallengeLine, Dialect},
    server::state::notices::LeftOut,
};

/// The challenge of one dialect.
#[derive(Clone, Debug)]
pub(in crate::server) struct Written<'a> {
    pub(in crate::server) dialect: &'a dyn Dialect,
    pub(in crate::server) lines: Vec<ChallengeLine>,
}

/// What a 402 knows of its request.
pub(in crate::server) struct Hints<'a> {
    pub(in crate::server) headers: &'a HeaderMap,
    /// The dialect of a refused credential.
    pub(in crate::server) refused: Option<&'a dyn Dialect>,
}

/// Reduces the challenges, the most preferred first, until they have at most `budget` bytes.
/// Returns the rest, at least one, and what was left out, or `None` if all of them fit.
///
/// `brief` writes a dialect's challenge without what a client can pay without.
pub(in crate::server) fn fit<'a>(
    written: &[Written<'a>],
    budget: usize,
    hints: &Hints<'_>,
    brief: impl Fn(&dyn Dialect) -> Option<Vec<ChallengeLine>>,
) -> Option<(Vec<Written<'a>>, LeftOut)> {
    if sum(written) <= budget {
        return None;
    }
    let mut written = written.to_vec();
    let is_named = |one: &Written<'_>| one.dialect.is_named(hints.headers);
    if written.iter().any(is_named) {
        written.retain(is_named);
    }
    // First the copies of a challenge for older clients, then optional members.
    for has_copies in [true, false] {
        if sum(&written) <= budget {
            return Some((written, LeftOut::Spare));
        }
        for one in &mut written {
            if (one.lines.len() > 1) == has_copies
                && let Some(lines) = brief(one.dialect)
            {
                one.lines = lines;
            }
        }
    }
    if sum(&written) <= budget {
        return Some((written, LeftOut::Spare));
    }
    let shortest = written.iter().min_by_key(|one| size(one)).cloned();
    let refused = hints.refused.map(Dialect::name);
    written.sort_by_key(|one| {
        let is_refused = Some(one.dialect.name()) == refused;
        (!is_refused, one.dialect.is_named_by_clients())
    });
    let (mut left, before) = (budget, written.len());
    written.retain(|one| match left.checked_sub(size(one)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    if written.is_empty() {
        written.extend(shortest);
    }
    let left_out = if written.len() < before {
        LeftOut::Dialects
    } else {
        LeftOut::Spare
    };
    Some((written, left_out))
}

/// Returns how many bytes the lines take in HTTP/1.1.
pub(in crate::server) fn sum(written: &[Written<'_>]) -> usize {
    written.iter().map(size).sum()
}

fn size(one: &Written<'_>) -> usize {
    let lines = one.lines.iter();
    lines.map(|line| line_size(&line.name, &line.value)).sum()
}

/// Returns how many bytes a header takes in HTTP/1.1, with the colon, the space and the line end.
pub(in crate::server) fn line_size(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}
