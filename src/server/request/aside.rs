//! Sets aside credentials of this server on a request that is free here.
//!
//! The handler does not need them, and shared caches must not keep the answer. They are moved into
//! the request's extensions, because a layer of this crate further in may need them.
//!
//! Each layer knows only its own credentials. Those that a layer further out has set aside stay in
//! the extensions past all layers that do not know them. They never come back into the headers,
//! where a handler would see them. A layer brings back those that it issued itself, and decides
//! again.
//!
//! A credential is recognised in the spellings that a priced route accepts. Other texts (a tab after
//! the scheme, `token=` before the token, `%3A` instead of the colon) are not credentials, and pass.

use http::{Extensions, HeaderMap, Request};

use crate::{
    dialect::{Issuer, list::may_hold_credential},
    server::config::paywall::PaywallState,
};

/// The header lines that were taken out of a request, for its extensions. The field is private, so
/// that no handler can read them.
#[derive(Clone)]
pub(in crate::server) struct Aside(HeaderMap);

impl Aside {
    /// Adds them to those that layers further out have set aside.
    pub(in crate::server) fn keep_in(self, extensions: &mut Extensions) {
        match extensions.get_mut::<Self>() {
            Some(Self(lines)) => append(lines, self.0),
            None => drop(extensions.insert(self)),
        }
    }
}

/// Takes the credentials that this server issued out of the headers, unless the operator keeps them
/// there. Returns `None` if there are none. It reads only header names if none of them may hold a
/// credential.
#[inline]
pub(in crate::server) fn set_aside(setup: &PaywallState, headers: &mut HeaderMap) -> Option<Aside> {
    may_hold_credential(headers).then(|| take(setup, headers))?
}

/// Puts back the credentials that a layer further out has set aside, if this server issued them.
#[inline]
pub(in crate::server) fn bring_back<B>(setup: &PaywallState, request: &mut Request<B>) {
    if request.extensions().get::<Aside>().is_some() {
        recognise(setup, request);
    }
}

#[cold]
fn recognise<B>(setup: &PaywallState, request: &mut Request<B>) {
    let Some(Aside(lines)) = request.extensions_mut().get_mut() else {
        return;
    };
    let own = take_own(setup, lines);
    append(request.headers_mut(), own);
}

#[cold]
fn take(setup: &PaywallState, headers: &mut HeaderMap) -> Option<Aside> {
    let mut taken = take_own(setup, headers);
    if taken.is_empty() {
        return None;
    }
    if setup.keep_credentials {
        append(headers, std::mem::take(&mut taken));
    }
    Some(Aside(taken))
}

/// Moves out the credentials that this server issued.
fn take_own(setup: &PaywallState, headers: &mut HeaderMap) -> HeaderMap {
    let keys = setup.keys.current();
    let foreign = setup
        .profile
        .public_key
        .filter(|_| setup.accept_foreign_proofs);
    let issuer = Issuer {
        keys: keys.all(),
        network: setup.profile.network,
        foreign,
    };
    let mut taken = HeaderMap::new();
    for (name, line) in setup
        .dialects
        .iter()
        .flat_map(|dialect| dialect.take_own(headers, &issuer))
    {
        taken.append(name, line);
    }
    taken
}

fn append(headers: &mut HeaderMap, lines: HeaderMap) {
    let mut last = None;
    for (name, line) in lines {
        last = name.or(last);
        if let Some(name) = &last {
            headers.append(name, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_line_of_a_name_comes_back() {
        let line = |text| HeaderValue::from_static(text);
        let mut aside = HeaderMap::new();
        for (name, text) in [
            ("authorization", "one"),
            ("authorization", "two"),
            ("payment-signature", "three"),
        ] {
            aside.append(name, line(text));
        }
        let mut headers = HeaderMap::new();
        headers.append("authorization", line("zero"));
        append(&mut headers, aside);
        let held = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(held("authorization"), ["zero", "one", "two"]);
        assert_eq!(held("payment-signature"), ["three"]);
    }
}
