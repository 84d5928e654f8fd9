//! Every URL that can be bound names the same place for the `http` crate, and the hashed text is
//! canonical JSON.
#![no_main]

use http::{HeaderMap, Uri};
use libfuzzer_sys::fuzz_target;
use tower_x402::{
    internals::codec::{jcs, json},
    x402::RequestBinding,
};

fn check(url: &str) {
    let Ok(bound) = RequestBinding::http(
        "GET",
        url,
        &[7; 32],
        &["accept", "cookie"],
        &HeaderMap::new(),
    ) else {
        return;
    };
    let value = json::parse(bound.canonical()).expect("JSON");
    assert_eq!(jcs::canonical(&value).as_deref(), Some(bound.canonical()));
    let hashed = value
        .as_object()
        .and_then(|object| object.get("url"))
        .and_then(json::Json::as_str)
        .expect("a text");
    assert!(hashed == url || (hashed.len() == url.len() + 1 && hashed.contains("/")));
    // The `http` crate refuses a URI of more than 65,534 bytes.
    if let Ok(uri) = hashed.parse::<Uri>() {
        let rest = hashed.split_once("://").expect("absolute").1;
        let authority = uri.authority().expect("absolute");
        assert_eq!(
            rest.strip_prefix(authority.as_str()),
            uri.path_and_query().map(|path| path.as_str())
        );
        assert!(!authority.as_str().contains('@'));
        // Binding the hashed URL again changes nothing.
        let again = RequestBinding::http(
            "GET",
            hashed,
            &[7; 32],
            &["accept", "cookie"],
            &HeaderMap::new(),
        );
        assert_eq!(again.as_ref(), Ok(&bound));
    }
}

fuzz_target!(|text: &str| {
    check(text);
    check(&["https://", text].concat());
    check(&["http://a.example/", text].concat());
});
