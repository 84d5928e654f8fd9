//! Where answers redirected to: a request that follows such a redirect is not paid without being
//! asked for.

use std::{collections::VecDeque, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION};
use tokio::time::Instant;

use super::{
    location::{Target, target},
    place::Place,
};

/// The most redirects that are remembered.
const MOST: usize = 1_000;

/// How soon a redirect is followed.
const SOON: Duration = Duration::from_secs(10);

/// The places to which answers redirected, if they are of another origin, or if the request was
/// paid or led there itself. Each counts for one request to that place.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    /// The oldest first.
    marks: VecDeque<Mark>,
    /// Until when every request counts as led there: a mark that was still needed was forgotten.
    blind_until: Option<Instant>,
}

#[derive(Debug)]
struct Mark {
    origin: String,
    key: Vec<u8>,
    /// Whether another origin led there.
    is_foreign: bool,
    noted_at: Instant,
}

impl Redirects {
    /// Remembers the target of a redirect. Rewrites its `Location` as a URL that all clients read in the
    /// same way, or removes it if they would read it as different URLs: then no client follows it.
    pub(super) fn note(
        &mut self,
        place: &Place,
        (status, headers): (StatusCode, &mut HeaderMap),
        (is_paid, is_led_here): (bool, bool),
    ) {
        let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) else {
            return;
        };
        let (to, url) = match target(place, location.as_bytes()) {
            Target::Place(to, url) => (to, url),
            Target::Other => return,
            Target::Unclear => return drop(headers.remove(LOCATION)),
        };
        let is_foreign = is_led_here || to.origin() != place.origin();
        let is_marked = is_foreign || is_paid;
        if is_marked || !is_plain(headers) {
            match HeaderValue::from_str(&url) {
                Ok(url) => drop(headers.insert(LOCATION, url)),
                Err(_) => return drop(headers.remove(LOCATION)),
            }
        }
        if is_marked {
            self.marks.push_back(Mark {
                key: to.key(),
                origin: to.origin().to_owned(),
                is_foreign,
                noted_at: Instant::now(),
            });
        }
        if self.marks.len() > MOST {
            let oldest = self.marks.pop_front();
            self.blind_until = oldest.map(|oldest| oldest.noted_at + SOON);
        }
    }

    /// Returns whether a redirect led to this place, and forgets it.
    ///
    /// A redirect from another origin that nobody followed yet may also be one to this place in a
    /// spelling of the client's. It counts as one for a short time.
    pub(super) fn take(&mut self, place: &Place) -> bool {
        if self.marks.is_empty() && self.blind_until.is_none() {
            return false;
        }
        let (now, key) = (Instant::now(), place.key());
        let is_here = |mark: &Mark| mark.origin == place.origin();
        let exact = |mark: &Mark| is_here(mark) && mark.key == key;
        if let Some(at) = self.marks.iter().position(exact) {
            self.marks.remove(at);
            return true;
        }
        let is_near = |mark: &Mark| mark.is_foreign && is_here(mark) && now < mark.noted_at + SOON;
        self.blind_until = self.blind_until.filter(|end| now < *end);
        self.blind_until.is_some() || self.marks.iter().any(is_near)
    }
}

/// Returns whether there is one `Location`, in the characters of a URI.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(LOCATION).iter();
    let is_plain = |line: &HeaderValue| {
        let is_strange = |byte: &u8| !byte.is_ascii_graphic() || b"\\\"<>^`{|}".contains(byte);
        !line.as_bytes().iter().any(is_strange)
    };
    lines.next().is_some_and(is_plain) && lines.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn place(url: &str) -> Place {
        Place::of(Method::GET, url.parse().unwrap()).unwrap()
    }

    /// Notes what `https://a/b` answers, and returns the `Location` that is passed on.
    fn note(
        redirects: &mut Redirects,
        (status, to): (u16, &str),
        how: (bool, bool),
    ) -> Option<String> {
        let to = HeaderValue::from_bytes(to.as_bytes()).unwrap();
        let mut headers = HeaderMap::from_iter([(LOCATION, to)]);
        let status = StatusCode::from_u16(status).unwrap();
        redirects.note(&place("https://a/b"), (status, &mut headers), how);
        let to = headers.get(LOCATION)?.to_str().unwrap();
        Some(to.to_owned())
    }

    const NEITHER: (bool, bool) = (false, false);
    const PAID: (bool, bool) = (true, false);
    const LED: (bool, bool) = (false, true);

    #[tokio::test(start_paused = true)]
    async fn a_redirect_counts_once_if_it_leaves_the_origin_or_follows_a_payment() {
        for (answer, how, then, is_led) in [
            ((302, "https://c/d?e"), NEITHER, "https://c/d?e", true),
            (
                (302, "https://c/%64/./x"),
                NEITHER,
                "https://C:443/d/x",
                true,
            ),
            ((302, "//c/d"), NEITHER, "https://c/d", true),
            ((302, "https://ab/d"), NEITHER, "https://ab/d", true),
            ((302, "https://c/d"), NEITHER, "https://a/d", false),
            ((302, "/d"), NEITHER, "https://a/d", false),
            ((302, "https://a/d"), NEITHER, "https://a/d", false),
            ((303, "/d"), PAID, "https://a/d", true),
            ((303, "/d"), PAID, "https://a/e", false),
            ((302, "/d"), LED, "https://a/d", true),
            ((200, "https://c/d"), NEITHER, "https://c/d", false),
        ] {
            let mut redirects = Redirects::default();
            note(&mut redirects, answer, how);
            assert_eq!(redirects.take(&place(then)), is_led, "{answer:?} {how:?}");
            assert!(!redirects.take(&place(then)), "it counts once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_redirects_to_one_place_count_as_were_answered() {
        let mut redirects = Redirects::default();
        note(&mut redirects, (302, "https://c/d"), NEITHER);
        note(&mut redirects, (302, "https://c/d"), NEITHER);
        let taken: Vec<_> = (0..3)
            .map(|_| redirects.take(&place("https://c/d")))
            .collect();
        assert_eq!(taken, [true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_spelling_that_nobody_foresaw_counts_for_a_short_time_and_takes_no_mark() {
        let mut redirects = Redirects::default();
        note(&mut redirects, (302, "https://c/d"), NEITHER);
        assert!(redirects.take(&place("https://c/d?key=1")));
        assert!(!redirects.take(&place("https://other/d")));
        tokio::time::advance(SOON).await;
        assert!(!redirects.take(&place("https://c/d?key=1")));
        assert!(redirects.take(&place("https://c/d")));
    }

    #[tokio::test(start_paused = true)]
    async fn redirects_are_bounded_and_nothing_is_paid_while_one_too_many_is_fresh() {
        let mut redirects = Redirects::default();
        for number in 0..=MOST {
            let to = format!("https://c/{number}");
            note(&mut redirects, (302, &to), NEITHER);
        }
        assert_eq!(redirects.marks.len(), MOST);
        assert!(redirects.take(&place("https://c/0")));
        assert!(redirects.take(&place("https://other/")));
        tokio::time::advance(SOON).await;
        assert!(!redirects.take(&place("https://c/0")));
        assert!(!redirects.take(&place("https://other/")));
        assert!(redirects.take(&place(&format!("https://c/{MOST}"))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_location_is_passed_on_as_one_that_everybody_reads_in_the_same_way() {
        for (to, how, passed_on) in [
            ("/d?e#f", NEITHER, Some("/d?e#f")),
            ("/d", PAID, Some("https://a/d")),
            ("../d?e#f", LED, Some("https://a/d?e#f")),
            ("/ø ", NEITHER, Some("https://a/%C3%B8")),
            ("\\\\c\\d", NEITHER, Some("https://c/d")),
            ("//c/d#f", NEITHER, Some("https://c/d#f")),
            ("https:///c/d", NEITHER, None),
            ("https://c@d/", NEITHER, None),
            ("https://ø/", NEITHER, None),
            ("app://x", NEITHER, Some("app://x")),
        ] {
            let mut redirects = Redirects::default();
            let passed = note(&mut redirects, (302, to), how);
            assert_eq!(passed.as_deref(), passed_on, "{to}");
        }
    }
}
