//! Where answers redirected to: a request that follows such a redirect is not paid without being
//! asked for.

use std::collections::{HashSet, VecDeque};

use http::{HeaderMap, StatusCode, header::LOCATION};

use super::place::Place;

/// The most redirects that are remembered.
const MOST: usize = 1_000;

/// The places to which answers redirected, if they are of another origin or if the request was paid
/// already. Each counts for the next request to that place.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    known: HashSet<String>,
    /// The oldest first. A place that was taken out may still stand here.
    order: VecDeque<String>,
}

impl Redirects {
    /// Remembers the URL that an answer redirects to.
    pub(super) fn note(
        &mut self,
        place: &Place,
        (status, headers): (StatusCode, &HeaderMap),
        is_paid: bool,
    ) {
        if !status.is_redirection() {
            return;
        }
        let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let Some(to) = location.and_then(|to| place.redirected(to)) else {
            return;
        };
        let is_same_origin = to
            .strip_prefix(&*place.origin)
            .is_some_and(|path| path.starts_with('/'));
        if (is_same_origin && !is_paid) || !self.known.insert(to.clone()) {
            return;
        }
        self.order.push_back(to);
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Returns whether a redirect led to this place, and forgets it.
    pub(super) fn take(&mut self, place: &Place) -> bool {
        !self.known.is_empty() && self.known.remove(&place.key())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn place(url: &str) -> Place {
        Place::of(&Method::GET, &url.parse().unwrap()).unwrap()
    }

    fn note(redirects: &mut Redirects, status: StatusCode, to: &str, is_paid: bool) {
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        redirects.note(&place("https://a/b"), (status, &headers), is_paid);
    }

    #[test]
    fn a_redirect_counts_once_if_it_leaves_the_origin_or_follows_a_payment() {
        for (status, to, is_paid, then, is_led) in [
            (
                StatusCode::FOUND,
                "https://c/d?e",
                false,
                "https://c/d?f",
                true,
            ),
            (StatusCode::FOUND, "//c/d", false, "https://c/d", true),
            (
                StatusCode::FOUND,
                "https://c/d",
                false,
                "https://c/e",
                false,
            ),
            (
                StatusCode::FOUND,
                "https://ab/d",
                false,
                "https://ab/d",
                true,
            ),
            (StatusCode::FOUND, "/d", false, "https://a/d", false),
            (
                StatusCode::FOUND,
                "https://a/d",
                false,
                "https://a/d",
                false,
            ),
            (StatusCode::SEE_OTHER, "/d", true, "https://a/d", true),
            (StatusCode::OK, "https://c/d", false, "https://c/d", false),
        ] {
            let mut redirects = Redirects::default();
            note(&mut redirects, status, to, is_paid);
            assert_eq!(redirects.take(&place(then)), is_led, "{status} {to}");
            assert!(!redirects.take(&place(then)), "it counts once");
        }
    }

    #[test]
    fn redirects_are_bounded_and_the_oldest_is_forgotten() {
        let mut redirects = Redirects::default();
        for number in 0..=MOST {
            note(
                &mut redirects,
                StatusCode::FOUND,
                &format!("https://c/{number}"),
                false,
            );
        }
        assert_eq!((redirects.known.len(), redirects.order.len()), (MOST, MOST));
        assert!(!redirects.take(&place("https://c/0")));
        assert!(redirects.take(&place(&format!("https://c/{MOST}"))));
    }
}
