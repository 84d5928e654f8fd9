//! Which parts of a request's headers are credentials of this dialect.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{identifier::Identifier, macaroon::Macaroon, scheme::Scheme};
use crate::{
    codec::{
        auth_param::{
            after_scheme, folded_credentials, remove_credentials, sole_credential, take_credentials,
        },
        fields::{has_any, take_lines},
        hex,
    },
    dialect::HeaderLine,
};

/// The most credentials that one request may hold.
pub(super) const MAX_PER_REQUEST: usize = 4;

/// One credential, not yet read.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// The text after the scheme.
    Authorization(&'a [u8]),
    /// The value of a gRPC metadata header that is a macaroon of this protocol.
    Metadata(&'a [u8]),
    /// Stands for all credentials if there are too many.
    TooMany,
}

/// Returns the credentials of a request: those in `Authorization`, and if there are none, those in
/// gRPC metadata. Other services (LND is one) put macaroons of their own into those headers. Those
/// are not credentials.
pub(super) fn presented(headers: &HeaderMap) -> Found<'_> {
    let mut found = Found {
        first: None,
        more: Vec::new(),
        given: 0,
        is_alone: false,
    };
    match sole_credential(headers, &AUTHORIZATION) {
        Some(credential) => {
            found.first = ours(credential).map(Part::Authorization);
            found.is_alone = found.first.is_some();
        }
        None => {
            let lines = headers
                .get_all(AUTHORIZATION)
                .into_iter()
                .flat_map(|line| folded_credentials(line.as_bytes()));
            lines
                .filter_map(ours)
                .for_each(|part| found.push(Part::Authorization(part)));
        }
    }
    if found.first.is_none() && has_any(headers, &METADATA) {
        let lines = METADATA.iter().flat_map(|name| headers.get_all(name));
        lines
            .filter_map(metadata)
            .for_each(|part| found.push(Part::Metadata(part)));
    }
    found
}

/// What [`presented`] found: usually one.
pub(super) struct Found<'a> {
    first: Option<Part<'a>>,
    more: Vec<Part<'a>>,
    given: usize,
    /// It is all that `Authorization` holds.
    pub(super) is_alone: bool,
}

impl<'a> Found<'a> {
    pub(super) const fn is_one(&self) -> bool {
        self.first.is_some() && self.more.is_empty()
    }

    fn push(&mut self, part: Part<'a>) {
        match self.first {
            None => self.first = Some(part),
            Some(Part::TooMany) => {}
            Some(_) if self.more.len() + 1 < MAX_PER_REQUEST => self.more.push(part),
            Some(_) => (self.first, self.more) = (Some(Part::TooMany), Vec::new()),
        }
    }
}

impl<'a> Iterator for Found<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let part = if self.given == 0 {
            self.first
        } else {
            self.more.get(self.given - 1).copied()
        };
        self.given += 1;
        part
    }
}

/// Removes this dialect's credentials. From a folded line only their parts are removed. Lines
/// without any stay as they are.
pub(super) fn strip(headers: &mut HeaderMap) {
    if has_any(headers, &[AUTHORIZATION]) {
        remove_credentials(headers, &AUTHORIZATION, |credential| {
            ours(credential).is_some()
        });
    }
    if !has_any(headers, &METADATA) {
        return;
    }
    for name in &METADATA {
        take_lines(headers, name, |line| metadata(line).is_some());
    }
}

/// Moves out those of this dialect's credentials that `is_own` accepts, in whichever header they
/// are.
pub(super) fn take(headers: &mut HeaderMap, is_own: impl Fn(Part<'_>) -> bool) -> Vec<HeaderLine> {
    let own =
        |credential: &[u8]| ours(credential).is_some_and(|text| is_own(Part::Authorization(text)));
    let mut taken: Vec<_> = take_credentials(headers, &AUTHORIZATION, own)
        .into_iter()
        .map(|line| (AUTHORIZATION, line))
        .collect();
    for name in &METADATA {
        let lines = take_lines(headers, name, |line| {
            metadata(line).is_some_and(|text| is_own(Part::Metadata(text)))
        });
        taken.extend(lines.into_iter().map(|line| (name.clone(), line)));
    }
    taken
}

/// Returns the text after the scheme, if the scheme is one of ours.
fn ours(credential: &[u8]) -> Option<&[u8]> {
    Scheme::ALL
        .iter()
        .find_map(|scheme| after_scheme(credential, scheme.as_str()))
}

/// Returns the value, if it is a macaroon in hex with an L402 identifier.
fn metadata(line: &HeaderValue) -> Option<&[u8]> {
    let text = line.as_bytes().trim_ascii();
    let sized = (text.len() <= 2 * Macaroon::MAX_BYTES).then_some(text)?;
    let macaroon = Macaroon::parse(hex::decode_vec(sized)?).ok()?;
    Identifier::split(macaroon.identifier()).map(|_| text)
}

static METADATA: [HeaderName; 2] = [
    HeaderName::from_static("macaroon"),
    HeaderName::from_static("grpc-metadata-macaroon"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        strip(&mut headers);
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    #[track_caller]
    fn leaves(lines: &[&str], left: &[&str]) {
        let lines: Vec<_> = lines.iter().map(|line| ("authorization", *line)).collect();
        let left: Vec<_> = left
            .iter()
            .map(|line| ("authorization".to_owned(), (*line).to_owned()))
            .collect();
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
        leaves(
            &["Bearer abc, L402 m:p, Payment id=\"1\", x=\"2\""],
            &["Bearer abc, Payment id=\"1\", x=\"2\""],
        );
        leaves(&["LSAT m:p,L402 m:p"], &[]);
        leaves(&["L402 m:p, Bearer abc"], &["Bearer abc"]);
        leaves(&["Digest u=\"a, L402 m:p\""], &["Digest u=\"a, L402 m:p\""]);
        leaves(
            &["Digest u=\"a\\\", L402 m:p\", L402 m:p"],
            &["Digest u=\"a\\\", L402 m:p\""],
        );
    }

    fn macaroon_of(identifier: &[u8]) -> String {
        hex::encode(
            Macaroon::mint([1; 32], identifier, ["a=b"])
                .unwrap()
                .to_bytes(),
        )
    }

    #[test]
    fn our_metadata_goes_and_other_headers_stay() {
        let ours = macaroon_of(&[0; 66]);
        let left = stripped(&[
            ("macaroon", &ours),
            ("grpc-metadata-macaroon", &ours),
            ("cookie", "L402 m:p"),
        ]);
        assert_eq!(left, [("cookie".to_owned(), "L402 m:p".to_owned())]);
    }

    #[test]
    fn macaroons_of_other_services_are_no_credentials_and_stay() {
        let (ours, lnd) = (
            macaroon_of(&[0; 66]),
            macaroon_of(b"\x03\x0a\x10of a node's own services"),
        );
        let longer = macaroon_of(&[0; 67]);
        let version_1 = macaroon_of(&[&[0, 1][..], &[0; 64]].concat());
        let huge = "00".repeat(Macaroon::MAX_BYTES + 1);
        for foreign in [
            "",
            "0201036c6e64",
            "AgED",
            "00",
            &lnd,
            &longer,
            &version_1,
            &huge,
        ] {
            for name in &METADATA {
                let mut headers =
                    HeaderMap::from_iter([(name.clone(), HeaderValue::from_str(foreign).unwrap())]);
                assert_eq!(presented(&headers).count(), 0, "{foreign}");
                headers.append(name, HeaderValue::from_str(&ours).unwrap());
                assert_eq!(presented(&headers).count(), 1, "{foreign}");
                let left = stripped(&[
                    (name.as_str(), foreign),
                    (name.as_str(), &ours),
                    (name.as_str(), foreign),
                ]);
                assert_eq!(left, vec![(name.to_string(), foreign.to_owned()); 2]);
            }
        }
    }

    #[test]
    fn five_credentials_are_too_many() {
        let mut headers = HeaderMap::new();
        for _ in 0..4 {
            headers.append(AUTHORIZATION, HeaderValue::from_static("L402 m:p"));
        }
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert_eq!(presented(&headers).count(), 4);
        headers.append(
            AUTHORIZATION,
            HeaderValue::from_static("Bearer abc, LSAT m:p"),
        );
        headers.append(AUTHORIZATION, HeaderValue::from_static("L402 m:p"));
        assert!(matches!(
            presented(&headers).collect::<Vec<_>>()[..],
            [Part::TooMany]
        ));
    }
}
