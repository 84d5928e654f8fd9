use http::{HeaderMap, HeaderName};

/// The request header in which L402 clients name the schemes of `WWW-Authenticate` that they speak.
const ACCEPT_AUTHENTICATE: HeaderName = HeaderName::from_static("accept-authenticate");

/// Returns whether `Accept-Authenticate` names this scheme, in any case. `L402, LSAT;q=0.5` names
/// two. A weight of zero does not name it.
pub(super) fn names(headers: &HeaderMap, scheme: &str) -> bool {
    let lines = headers.get_all(ACCEPT_AUTHENTICATE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|element| {
            let mut parts = element
                .split(';')
                .map(|part| part.trim_matches([' ', '\t']));
            parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(scheme))
                && !parts.any(is_zero)
        })
}

/// Returns whether a parameter is a weight of zero (RFC 9110, "Quality Values").
fn is_zero(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.eq_ignore_ascii_case("q")
            && value.starts_with('0')
            && value.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_named_in_any_case_unless_its_weight_is_zero() {
        let names = |lines: &[&'static str], scheme| {
            let headers = lines
                .iter()
                .map(|line| (ACCEPT_AUTHENTICATE, line.parse().unwrap()))
                .collect();
            names(&headers, scheme)
        };
        for (lines, l402, lsat) in [
            (&["L402"][..], true, false),
            (&["l402 , LSAT;q=0.5"], true, true),
            (&["Bearer", "LSAT"], false, true),
            (&["L402;q=0, LSAT; Q=0.000"], false, false),
            (&["L402;q=0.001"], true, false),
            (&["L4022", ""], false, false),
            (&[], false, false),
        ] {
            assert_eq!(names(lines, "L402"), l402, "{lines:?}");
            assert_eq!(names(lines, "LSAT"), lsat, "{lines:?}");
        }
    }
}
