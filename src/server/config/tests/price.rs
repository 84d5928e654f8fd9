use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn seen(method: &str, captures: Pairs<'_>, query: Pairs<'_>) -> PriceRequest {
    let owned = |pairs: Pairs<'_>| {
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    };
    PriceRequest {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        captures: owned(captures),
        query: owned(query),
        headers: Vec::new(),
        body: Bytes::new(),
        reads_body: false,
        misread: Arc::default(),
    }
}

fn hash(
    seen: Option<&PriceRequest>,
    headers: &[(&str, &[&str])],
    body_hash: Option<[u8; 32]>,
) -> [u8; 32] {
    let values = |values: &[&str]| {
        values
            .iter()
            .map(|value| HeaderValue::from_str(value).unwrap())
            .collect::<Vec<_>>()
    };
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, given)| (*name, values(given)))
        .collect();
    bound_hash(
        seen,
        headers.iter().map(|(name, values)| (*name, values.iter())),
        body_hash,
    )
}

#[test]
fn no_two_requests_are_bound_alike() {
    let plain = seen("GET", &[], &[]);
    let hashes = [
        hash(None, &[], None),
        hash(None, &[], Some([0; 32])),
        hash(Some(&plain), &[], None),
        hash(Some(&plain), &[], Some([0; 32])),
        hash(Some(&plain), &[], Some([1; 32])),
        hash(Some(&seen("PUT", &[], &[])), &[], None),
        hash(Some(&seen("GET", &[("a", "b")], &[])), &[], None),
        hash(Some(&seen("GET", &[], &[("a", "b")])), &[], None),
        hash(Some(&seen("GET", &[], &[("ab", "")])), &[], None),
        hash(Some(&seen("GET", &[], &[("", "ab")])), &[], None),
        hash(Some(&seen("GET", &[], &[("c", "b")])), &[], None),
        hash(
            Some(&seen("GET", &[], &[("a", "b"), ("c", "d")])),
            &[],
            None,
        ),
        hash(Some(&seen("GET", &[("a", "b")], &[("c", "d")])), &[], None),
        hash(
            Some(&seen("GET", &[], &[("c", "d"), ("a", "b")])),
            &[],
            None,
        ),
        hash(Some(&plain), &[("a", &["b"])], None),
        hash(Some(&plain), &[("a", &[])], None),
        hash(Some(&plain), &[("a", &["b", "c"])], None),
        hash(Some(&plain), &[("a", &["bc"])], None),
        hash(Some(&plain), &[("a", &["b"]), ("c", &[])], None),
        hash(Some(&plain), &[("c", &["b"]), ("a", &[])], None),
        hash(Some(&plain), &[("a", &[]), ("c", &["b"])], None),
    ];
    for (at, hash) in hashes.iter().enumerate() {
        assert_eq!(hashes.iter().position(|other| other == hash), Some(at));
    }
}

/// What was sold before an update must be served after it.
#[test]
fn what_is_bound_is_hashed_alike_in_every_version() {
    let seen = seen("GET", &[("city", "oslo")], &[("units", "metric")]);
    let hash = hash(
        Some(&seen),
        &[("accept", &["text/html", "*/*"])],
        Some([7; 32]),
    );
    assert_eq!(
        crate::codec::hex::encode(hash),
        "c487a3a10344be1258559d096c039357a89896b871de1737faf58def78653b16"
    );
}
