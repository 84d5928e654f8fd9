//! Credentials, as a client sends them. One header line may hold several.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::cursor::is_tchar;

/// Splits an `Authorization` line into its credentials.
///
/// It cuts at each comma outside of quotes that is followed by a scheme and a space. Nothing else
/// is checked, because some schemes use characters that RFC 9110 does not allow.
pub fn folded_credentials(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let cut = boundary(line);
        rest = cut.and_then(|at| line.get(at + 1..));
        Some(line[..cut.unwrap_or(line.len())].trim_ascii())
    })
}

/// Returns the credential of a header that has one line without a comma. Such a line holds exactly
/// one credential.
pub fn sole_credential<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).into_iter();
    let line = lines.next().filter(|_| lines.next().is_none())?.as_bytes();
    (!may_be_folded(line)).then(|| line.trim_ascii())
}

/// Returns whether a line has a comma. A line without one holds a single credential.
pub fn may_be_folded(line: &[u8]) -> bool {
    memchr::memchr(b',', line).is_some()
}

/// Returns what follows this scheme and at least one space, or an empty slice for the scheme alone.
/// The case of the scheme does not matter.
#[must_use]
pub fn after_scheme<'a>(credential: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (head, rest) = credential.split_at_checked(scheme.len())?;
    let separated = rest.first().is_none_or(|byte| *byte == b' ');
    (head.eq_ignore_ascii_case(scheme.as_bytes()) && separated).then(|| rest.trim_ascii())
}

/// Removes the credentials that `is_ours` accepts from one header. If a line holds others too, the
/// others stay.
pub fn remove_credentials(
    headers: &mut HeaderMap,
    name: &HeaderName,
    is_ours: impl Fn(&[u8]) -> bool,
) {
    if let Some(credential) = sole_credential(headers, name) {
        if is_ours(credential) {
            headers.remove(name);
        }
        return;
    }
    let (mut kept, mut found) = (Vec::new(), false);
    for line in headers.get_all(name) {
        let (mut own, mut foreign) = (false, false);
        folded_credentials(line.as_bytes()).for_each(|part| {
            if is_ours(part) {
                own = true
            } else {
                foreign = true
            }
        });
        found |= own;
        match (own, foreign) {
            (false, _) => kept.push(line.clone()),
            (true, true) => kept.extend(without(line, &is_ours)),
            (true, false) => {}
        }
    }
    if found {
        headers.remove(name);
        for line in kept {
            headers.append(name, line);
        }
    }
}

/// Removes the credentials that `is_ours` accepts from one header and returns them, each as its own
/// value that is marked as sensitive.
pub fn take_credentials(
    headers: &mut HeaderMap,
    name: &HeaderName,
    is_ours: impl Fn(&[u8]) -> bool,
) -> Vec<HeaderValue> {
    let parts = headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| folded_credentials(line.as_bytes()));
    let taken: Vec<_> = parts
        .filter(|part| is_ours(part))
        .filter_map(sensitive)
        .collect();
    if !taken.is_empty() {
        remove_credentials(headers, name, |part| {
            taken.iter().any(|taken| taken.as_bytes() == part)
        });
    }
    taken
}

fn sensitive(credential: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(credential).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn without(line: &HeaderValue, is_ours: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let foreign: Vec<_> = folded_credentials(line.as_bytes())
        .filter(|part| !is_ours(part))
        .collect();
    let mut kept = HeaderValue::from_bytes(&foreign.join(&b", "[..]))
        .ok()
        .filter(|kept| !kept.is_empty())?;
    kept.set_sensitive(line.is_sensitive());
    Some(kept)
}

fn boundary(line: &[u8]) -> Option<usize> {
    may_be_folded(line).then_some(())?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted && starts_with_scheme(line[at + 1..].trim_ascii_start()) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

fn starts_with_scheme(text: &[u8]) -> bool {
    let end = text
        .iter()
        .position(|byte| !is_tchar(*byte))
        .unwrap_or(text.len());
    let after = text[end..].trim_ascii_start();
    end > 0
        && text.get(end) == Some(&b' ')
        && after
            .first()
            .is_some_and(|byte| !matches!(byte, b'=' | b','))
}
