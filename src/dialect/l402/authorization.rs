//! Which parts of a request's headers are credentials of this dialect.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{credential::Credential, scheme::Scheme};

/// One credential, unread.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// What follows the scheme.
    Authorization(&'a [u8]),
    /// The value of a gRPC metadata header.
    Metadata(&'a [u8]),
    /// More than may be there, in place of them all.
    TooMany,
}

/// The credentials of a request: those in `Authorization`, and where there is none, those in gRPC metadata.
pub(super) fn presented(headers: &HeaderMap) -> impl Iterator<Item = Part<'_>> {
    let mut found = Found { parts: [None; Credential::MAX_PER_REQUEST], count: 0 };
    let lines = headers.get_all(AUTHORIZATION).into_iter();
    lines.flat_map(|line| Folded(Some(line.as_bytes()))).filter_map(ours).for_each(|part| found.push(Part::Authorization(part)));
    if found.count == 0 {
        let lines = METADATA.iter().flat_map(|name| headers.get_all(name));
        lines.for_each(|line| found.push(Part::Metadata(line.as_bytes().trim_ascii())));
    }
    found.parts.into_iter().flatten()
}

struct Found<'a> {
    parts: [Option<Part<'a>>; Credential::MAX_PER_REQUEST],
    count: usize,
}

impl<'a> Found<'a> {
    fn push(&mut self, part: Part<'a>) {
        match self.parts.get_mut(self.count) {
            Some(free) => *free = Some(part),
            None => {
                self.parts = [None; Credential::MAX_PER_REQUEST];
                self.parts[0] = Some(Part::TooMany);
            }
        }
        self.count += 1;
    }
}

/// Takes this dialect's credentials out. Of a folded line only their parts go; lines without any are not touched.
pub(super) fn strip(headers: &mut HeaderMap) {
    let (mut kept, mut has_ours) = (Vec::new(), false);
    for line in headers.get_all(AUTHORIZATION) {
        let (mut own, mut foreign) = (0, 0);
        Folded(Some(line.as_bytes())).for_each(|part| *(if ours(part).is_some() { &mut own } else { &mut foreign }) += 1);
        has_ours |= own > 0;
        match (own, foreign) {
            (0, _) => kept.push(line.clone()),
            (_, 0) => {}
            _ => kept.extend(without_ours(line)),
        }
    }
    if has_ours {
        headers.remove(AUTHORIZATION);
        kept.into_iter().for_each(|line| drop(headers.append(AUTHORIZATION, line)));
    }
    for name in &METADATA {
        headers.remove(name);
    }
}

fn without_ours(line: &HeaderValue) -> Option<HeaderValue> {
    let foreign: Vec<_> = Folded(Some(line.as_bytes())).filter(|part| !part.is_empty() && ours(part).is_none()).collect();
    let mut kept = HeaderValue::from_bytes(&foreign.join(&b", "[..])).ok().filter(|kept| !kept.is_empty())?;
    kept.set_sensitive(line.is_sensitive());
    Some(kept)
}

/// What follows the scheme, where it is one of ours.
fn ours(part: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = part.split_first_chunk::<4>()?;
    Scheme::parse(scheme)?;
    matches!(rest.first(), None | Some(b' ' | b'\t')).then(|| rest.trim_ascii_start())
}

/// The parts of a line into which something folded several. A comma parts only where a scheme and a space follow it, and
/// never inside a quoted string: credentials have commas of their own.
struct Folded<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Folded<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0.take()?;
        if !line.contains(&b',') {
            return Some(line.trim_ascii());
        }
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in line.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b',' if !quoted && begins_with_scheme(&line[at + 1..]) => {
                    self.0 = Some(&line[at + 1..]);
                    return Some(line[..at].trim_ascii());
                }
                _ => {}
            }
        }
        Some(line.trim_ascii())
    }
}

fn begins_with_scheme(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    length > 0 && text.get(length) == Some(&b' ')
}

static METADATA: [HeaderName; 2] = [HeaderName::from_static("macaroon"), HeaderName::from_static("grpc-metadata-macaroon")];

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        strip(&mut headers);
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[track_caller]
    fn leaves(lines: &[&str], left: &[&str]) {
        let lines: Vec<_> = lines.iter().map(|line| ("authorization", *line)).collect();
        let left: Vec<_> = left.iter().map(|line| ("authorization".to_owned(), (*line).to_owned())).collect();
        assert_eq!(stripped(&lines), left);
    }

    #[test]
    fn only_our_credentials_are_taken_out() {
        leaves(&["L402 m:p"], &[]);
        leaves(&["lsat m:p", "Bearer abc", "L402 m:p"], &["Bearer abc"]);
        leaves(&["L402"], &[]);
        leaves(&["Bearer abc, d"], &["Bearer abc, d"]);
        leaves(&["L4021 m:p", "L402=x"], &["L4021 m:p", "L402=x"]);
        leaves(&["L402 m1,m2:p"], &[]);
    }

    #[test]
    fn from_a_folded_line_only_our_part_is_taken() {
        leaves(&["Bearer abc, L402 m:p, Payment id=\"1\", x=\"2\""], &["Bearer abc, Payment id=\"1\", x=\"2\""]);
        leaves(&["LSAT m:p,L402 m:p"], &[]);
        leaves(&["L402 m:p, Bearer abc"], &["Bearer abc"]);
        leaves(&["Digest u=\"a, L402 m:p\""], &["Digest u=\"a, L402 m:p\""]);
        leaves(&["Digest u=\"a\\\", L402 m:p\", L402 m:p"], &["Digest u=\"a\\\", L402 m:p\""]);
    }

    #[test]
    fn metadata_goes_and_other_headers_stay() {
        let left = stripped(&[("macaroon", "00"), ("grpc-metadata-macaroon", "00"), ("cookie", "L402 m:p")]);
        assert_eq!(left, [("cookie".to_owned(), "L402 m:p".to_owned())]);
    }

    #[test]
    fn five_credentials_are_too_many() {
        let mut headers = HeaderMap::new();
        for _ in 0..4 {
            headers.append(AUTHORIZATION, HeaderValue::from_static("L402 m:p"));
        }
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert_eq!(presented(&headers).count(), 4);
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc, LSAT m:p"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("L402 m:p"));
        assert!(matches!(presented(&headers).collect::<Vec<_>>()[..], [Part::TooMany]));
    }
}
