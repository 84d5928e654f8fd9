//! Credentials of ours on a request that costs nothing here: the handler has no use for them, and shared caches must not keep
//! what it answers. They are set aside, not thrown away: a layer of this crate further in may ask for them.

use http::{HeaderMap, Request};

use super::paywall::Setup;
use crate::dialect::{self, Issuer};

/// What was taken out of a request, for its extensions. Private, so that no handler can read it.
#[derive(Clone)]
pub(super) struct Aside(HeaderMap);

/// Takes out the credentials that this server issued, unless the operator keeps them; `None` if there are none. Looks at nothing
/// but names if no header may hold one.
#[inline]
pub(super) fn set_aside(setup: &Setup, headers: &mut HeaderMap) -> Option<Aside> {
    dialect::may_hold_credential(headers).then(|| take(setup, headers))?
}

/// Puts back what a layer further out has set aside.
#[inline]
pub(super) fn bring_back<B>(request: &mut Request<B>) {
    if let Some(Aside(taken)) = request.extensions_mut().remove() {
        append(request.headers_mut(), taken);
    }
}

#[cold]
fn take(setup: &Setup, headers: &mut HeaderMap) -> Option<Aside> {
    let keys = setup.keys.current();
    let foreign = setup.profile.public_key.filter(|_| setup.accept_foreign_proofs);
    let issuer = Issuer { keys: keys.all(), network: setup.profile.network, foreign };
    let mut taken = HeaderMap::new();
    for (name, line) in setup.dialects.iter().flat_map(|dialect| dialect.take_own(headers, &issuer)) {
        taken.append(name, line);
    }
    if taken.is_empty() {
        return None;
    }
    if setup.keep_credentials {
        append(headers, std::mem::take(&mut taken));
    }
    Some(Aside(taken))
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
        for (name, text) in [("authorization", "one"), ("authorization", "two"), ("payment-signature", "three")] {
            aside.append(name, line(text));
        }
        let mut request = Request::builder().header("authorization", "zero").body(()).unwrap();
        request.extensions_mut().insert(Aside(aside));
        bring_back(&mut request);
        let held = |name| request.headers().get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(held("authorization"), ["zero", "one", "two"]);
        assert_eq!(held("payment-signature"), ["three"]);
        assert!(request.extensions().get::<Aside>().is_none());
    }
}
