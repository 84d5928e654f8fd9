//! Credentials of ours on a request that costs nothing here: the handler has no use for them, and
//! shared caches must not keep what it answers. They are set aside, not thrown away: a layer of
//! this crate further in may ask for them.
//!
//! Each layer knows its own credentials only. What a layer further out has set aside stays there,
//! past all layers that do not know it: never in the headers, where a handler would find it. A
//! layer brings back what it issued itself, and decides anew.
//!
//! A credential is found in the spellings that a priced route accepts. A text that no priced route
//! would accept (a tab after the scheme, `token=` before the token, `%3A` in place of the colon) is
//! no credential, and passes.

use http::{Extensions, HeaderMap, Request};

use crate::{
    dialect::{Issuer, list::may_hold_credential},
    server::config::paywall::PaywallState,
};

/// What was taken out of a request, for its extensions. Private, so that no handler can read it.
#[derive(Clone)]
pub(in crate::server) struct Aside(HeaderMap);

impl Aside {
    /// Puts it beside what layers further out have set aside.
    pub(in crate::server) fn keep_in(self, extensions: &mut Extensions) {
        match extensions.get_mut::<Self>() {
            Some(Self(lines)) => append(lines, self.0),
            None => drop(extensions.insert(self)),
        }
    }
}

/// Takes out the credentials that this server issued, unless the operator keeps them; `None` if
/// there are none. Looks at nothing but names if no header may hold one.
#[inline]
pub(in crate::server) fn set_aside(setup: &PaywallState, headers: &mut HeaderMap) -> Option<Aside> {
    may_hold_credential(headers).then(|| take(setup, headers))?
}

/// Puts back what a layer further out has set aside, if this server issued it.
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
