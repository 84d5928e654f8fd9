use http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// Scheme, token68 and parameters of each challenge, or `None`.
fn read(line: &str) -> Option<Vec<String>> {
    let list = AuthChallenge::parse_list(line.as_bytes())?;
    let show = |challenge: &AuthChallenge<'_>| {
        let params: Vec<_> = challenge
            .params()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "{}:{}:{}",
            challenge.scheme(),
            challenge.token68().unwrap_or_default(),
            params.join(";")
        )
    };
    Some(list.iter().map(show).collect())
}

#[test]
fn schemes_params_and_tokens_are_told_apart() {
    for (line, read_as) in [
        ("", &[][..]),
        (" , ,", &[]),
        ("Basic", &["Basic::"]),
        ("Basic ", &["Basic::"]),
        ("Basic, Negotiate", &["Basic::", "Negotiate::"]),
        (
            "Negotiate YWJj==, Basic realm=\"a\"",
            &["Negotiate:YWJj==:", "Basic::realm=a"],
        ),
        ("Negotiate YWJj=", &["Negotiate:YWJj=:"]),
        ("A b=c", &["A::b=c"]),
        ("A b = \"c\" , d= e,B f=g", &["A::b=c;d=e", "B::f=g"]),
        ("A b=\"x, B y=\\\"z\\\\\", c=d", &["A::b=x, B y=\"z\\;c=d"]),
        ("A b=\"\", c=\"\\é\"", &["A::b=;c=é"]),
        ("A b=c, E=d", &["A::b=c;E=d"]),
    ] {
        assert_eq!(
            read(line),
            Some(read_as.iter().map(ToString::to_string).collect()),
            "{line}"
        );
    }
}

#[test]
fn what_the_grammar_does_not_know_makes_the_line_unreadable() {
    for line in [
        "a=b",
        "A b=c d=e",
        "A b=\"c",
        "A b=\"c\"d",
        "A b=\"c\\",
        "A b=\"\u{1}\"",
        "A b=\"\u{7f}\"",
        "A b=\"\\\n\"",
        "A b=c=d",
        "A YWJj YWJj",
        "A YWJj, b=c",
        "A ==",
        "A b:c",
        "\u{e9} b=c",
        "A\tb=c",
    ] {
        assert_eq!(read(line), None, "{line:?}");
    }
    assert_eq!(AuthChallenge::parse_list(b"A b=\"\xff\""), None);
}

#[test]
fn a_repeated_parameter_hides_its_own_challenge_only() {
    let list = AuthChallenge::parse_list(b"A x=1, X=2, B x=3").unwrap();
    assert_eq!(list[0].param("x"), None);
    assert!(list[0].params().is_empty());
    assert_eq!(list[1].param("X").map(AsRef::as_ref), Some("3"));
}

#[test]
fn lists_are_bounded() {
    assert_eq!(read(&"A,".repeat(32)).map(|list| list.len()), Some(32));
    assert_eq!(read(&"A,".repeat(33)), None);
    let params = |count: usize| {
        (0..count)
            .map(|index| format!("p{index}=1"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert!(read(&format!("A {}", params(32))).is_some());
    assert_eq!(read(&format!("A {}", params(33))), None);
    assert!(read(&format!("A b=\"{}\"", "x".repeat(64 * 1024 - 6))).is_some());
    assert_eq!(
        read(&format!("A b=\"{}\"", "x".repeat(64 * 1024 - 5))),
        None
    );
}

#[test]
fn folded_credentials_are_cut_where_a_scheme_follows() {
    let cut = |line: &'static str| -> Vec<&str> {
        folded_credentials(line.as_bytes())
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect()
    };
    assert_eq!(cut("Bearer a"), ["Bearer a"]);
    assert_eq!(cut("Bearer a, Payment b"), ["Bearer a", "Payment b"]);
    assert_eq!(cut("L402 m1,m2:p"), ["L402 m1,m2:p"]);
    assert_eq!(
        cut("Digest a=\"x, Payment y\", b = c,Payment z"),
        ["Digest a=\"x, Payment y\", b = c", "Payment z"]
    );
    assert_eq!(
        cut("Digest a=\"\\\", Payment y\""),
        ["Digest a=\"\\\", Payment y\""]
    );
    assert_eq!(cut(""), [""]);
    assert_eq!(after_scheme(b"payment  x", "Payment"), Some(&b"x"[..]));
    assert_eq!(after_scheme(b"Payment", "Payment"), Some(&b""[..]));
    assert_eq!(after_scheme(b"Payments x", "Payment"), None);
}

#[test]
fn only_what_can_be_read_again_is_written() {
    assert_eq!(
        write("A", [("b", "\"c\"\\é"), ("d", "")]).unwrap(),
        "A b=\"\\\"c\\\"\\\\é\", d=\"\""
    );
    for (name, value) in [
        ("b", "\n"),
        ("b", "\u{7f}"),
        ("", "x"),
        ("b c", "x"),
        ("é", "x"),
    ] {
        assert_eq!(write("A", [(name, value)]), None, "{name:?} {value:?}");
    }
    assert_eq!(write("A b", []), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        lists in proptest::collection::vec(
            ("[A-Za-z][A-Za-z0-9-]{0,9}", proptest::collection::btree_map("[a-z0-9]{1,8}", "[ -~\té😀]{0,40}", 0..6)),
            1..5,
        )
    ) {
        let written: Vec<_> = lists
            .iter()
            .map(|(scheme, params)| write(scheme, params.iter().map(|(k, v)| (k.as_str(), v.as_str()))).unwrap())
            .collect();
        let line = written.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
        let read = AuthChallenge::parse_list(&line).unwrap();
        prop_assert_eq!(read.len(), lists.len());
        for (challenge, (scheme, params)) in read.iter().zip(&lists) {
            prop_assert_eq!(challenge.scheme(), scheme);
            prop_assert_eq!(challenge.params().len(), params.len());
            for (name, value) in params {
                prop_assert_eq!(challenge.param(name).map(AsRef::as_ref), Some(value.as_str()));
            }
        }
    }

    #[test]
    fn nothing_panics(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = AuthChallenge::parse_list(&line);
        let parts: Vec<_> = folded_credentials(&line).collect();
        prop_assert!(parts.iter().map(|part| part.len()).sum::<usize>() <= line.len());
    }
}
