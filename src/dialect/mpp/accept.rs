use http::{HeaderMap, HeaderName};

/// The request header in which a client says which payments it can make.
pub const ACCEPT_PAYMENT: HeaderName = HeaderName::from_static("accept-payment");

const MAX_TEXT: usize = 4096;
const MAX_RANGES: usize = 32;

/// The payments that a client can make, for example `lightning/charge, */session;q=0.3`
/// ([`Payment`](super), "Accept-Payment").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptPayment(Vec<Range>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// `None` for `*`.
    method: Option<String>,
    intent: Option<String>,
    thousandths: u16,
}

impl AcceptPayment {
    /// Reads all `Accept-Payment` lines as one list. Returns `None` if there is no such line, or if
    /// the list is malformed.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let (mut ranges, mut length) = (Vec::new(), 0);
        for line in headers.get_all(ACCEPT_PAYMENT) {
            length += line.len();
            let text = (length <= MAX_TEXT).then(|| line.to_str().ok())??;
            for element in text
                .split(',')
                .map(trim)
                .filter(|element| !element.is_empty())
            {
                ranges.push((ranges.len() < MAX_RANGES).then(|| Range::parse(element))??);
            }
        }
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// Returns how much the client prefers this method and intent, in thousandths. This is the
    /// weight of the most specific range that matches. Of several equally specific ranges, the
    /// greatest weight counts. `None` if no range matches.
    #[must_use]
    pub fn weight(&self, method: &str, intent: &str) -> Option<u16> {
        let matching = self.0.iter().filter(|range| range.matches(method, intent));
        matching
            .map(|range| (range.specificity(), range.thousandths))
            .max()
            .map(|(_, thousandths)| thousandths)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(trim);
        let (method, intent) = parts.next()?.split_once('/')?;
        let thousandths = match parts.next() {
            None => 1000,
            Some(weight) => {
                let (name, value) = weight.split_once('=')?;
                name.eq_ignore_ascii_case("q")
                    .then(|| thousandths(value))??
            }
        };
        parts.next().is_none().then_some(())?;
        Some(Self {
            method: part(method)?,
            intent: part(intent)?,
            thousandths,
        })
    }

    fn matches(&self, method: &str, intent: &str) -> bool {
        self.method.as_deref().is_none_or(|own| own == method)
            && self.intent.as_deref().is_none_or(|own| own == intent)
    }

    fn specificity(&self) -> u8 {
        u8::from(self.method.is_some()) + u8::from(self.intent.is_some())
    }
}

fn part(text: &str) -> Option<Option<String>> {
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    match text {
        "*" => Some(None),
        name => (!name.is_empty() && name.bytes().all(is_name)).then(|| Some(name.to_owned())),
    }
}

/// Reads a weight (RFC 9110, "Quality Values"): 0 to 1, with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = all_digits.then(|| format!("{decimals:0<3}").parse().ok())??;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(lines: &[&'static str]) -> Option<u16> {
        let headers = lines
            .iter()
            .map(|line| (ACCEPT_PAYMENT, line.parse().unwrap()))
            .collect();
        AcceptPayment::of(&headers)?.weight("lightning", "charge")
    }

    #[test]
    fn the_most_specific_range_wins_and_then_the_greater_weight() {
        for (line, thousandths) in [
            ("lightning/charge", Some(1000)),
            ("*/*", Some(1000)),
            ("lightning/charge;q=0.1, */*", Some(100)),
            ("*/*, lightning/*;q=0.5, lightning/charge;q=0", Some(0)),
            ("lightning/*;q=0.2, */charge;q=0.3", Some(300)),
            ("lightning/charge;q=0.2, lightning/charge;q=0.9", Some(900)),
            (" ,lightning/charge ; Q=0.25 , ,", Some(250)),
            (
                "lightning/charge;q=1.000, tempo/session;q=0.001",
                Some(1000),
            ),
            ("tempo/charge, lightning/session", None),
            ("Lightning/charge", None),
        ] {
            assert_eq!(weight(&[line]), thousandths, "{line}");
        }
        assert_eq!(
            weight(&["tempo/charge", "lightning/charge;q=0.5"]),
            Some(500)
        );
        assert_eq!(weight(&[]), None);
    }

    #[test]
    fn a_malformed_header_is_ignored_whole() {
        for bad in [
            "lightning",
            "lightning/",
            "/charge",
            "lightning/charge/x",
            "lightning/charge;q=2",
            "lightning/charge;q=1.001",
            "lightning/charge;q=0.1234",
            "lightning/charge;q=",
            "lightning/charge;q=-0",
            "lightning/charge;x=1",
            "lightning/charge;q=1;x=1",
            "lightning/charge, light ning/charge",
            "light*/charge",
            "",
            " , ",
        ] {
            assert_eq!(weight(&[bad]), None, "{bad}");
        }
        let ranges = |count| -> HeaderMap {
            std::iter::repeat_n((ACCEPT_PAYMENT, "*/*".parse().unwrap()), count).collect()
        };
        assert!(AcceptPayment::of(&ranges(32)).is_some());
        assert!(AcceptPayment::of(&ranges(33)).is_none());
    }
}
