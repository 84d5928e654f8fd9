use proptest::prelude::*;
use serde::de::{
    Visitor as _,
    value::{BorrowedStrDeserializer, Error as ValueError, MapDeserializer},
};

use super::{
    reader::{NUMBER, Reader},
    *,
};

proptest! {
    #[test]
    fn a_pushed_text_is_written_as_serde_json_writes_it(text in "([a-z/ ]|\\PC|[\0-\u{1f}\"\\\\\u{7f}]){0,40}") {
        let mut json = String::new();
        push_text(&mut json, &text);
        prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
    }
}

#[test]
fn a_repeated_member_is_refused_at_any_depth() {
    for bad in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[{"b":{"a":1,"c":2,"a":3}}]"#,
        r#"{"a":1} "#.repeat(2).as_str(),
        "",
        "{",
        "[1,]",
        "NaN",
        "\"\\ud800\"",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    let many = |last: u32| {
        format!(
            "{{{},\"{last}\":0}}",
            (0..40)
                .map(|i| format!("\"{i}\":0"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    assert!(parse(&many(40)).is_ok());
    assert!(parse(&many(7)).is_err());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&nested(100)).is_ok());
    assert!(parse(&nested(200)).is_err());
}

#[test]
fn types_are_told_apart() {
    assert_eq!(parse("300").unwrap(), Json::Unsigned(300));
    assert_eq!(parse("300.0").unwrap(), Json::Float(300.0));
    assert_eq!(parse("-3").unwrap(), Json::Signed(-3));
    assert_eq!(parse("\"300\"").unwrap(), Json::text("300"));
    assert_eq!(parse("null").unwrap(), Json::Null);
}

#[test]
fn numbers_are_read_under_arbitrary_precision_too() {
    let number = |digits: &'static str| {
        let member = (BorrowedStrDeserializer::<ValueError>::new(NUMBER), digits);
        let mut value = Json::Null;
        let read = Reader {
            text: "",
            slot: &mut value,
        }
        .visit_map(MapDeserializer::new([member].into_iter()));
        read.ok().map(|()| value)
    };
    assert_eq!(number("300"), Some(Json::Unsigned(300)));
    assert_eq!(number("-3"), Some(Json::Signed(-3)));
    assert_eq!(number("300.0"), Some(Json::Float(300.0)));
    for text in [
        "-0",
        "0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1e3",
        "2.5E-1",
    ] {
        assert_eq!(number(text), parse(text).ok(), "{text}");
    }
    for bad in [
        "+5", "0005", "-", "", " 5", "5 ", ".5", "5.", "1e", "inf", "NaN", "0x1", "1e400", "5,",
        "[5]",
    ] {
        assert_eq!(number(bad), None, "{bad}");
    }
}

#[test]
fn a_member_named_like_serde_jsons_own_is_a_member() {
    for name in [
        NUMBER,
        "\\u0024serde_json::private::Number",
        "$serde_json::private::\\u004eumber",
    ] {
        for value in ["\"5\"", "\"+5\"", "\"0005\"", "\"x\"", "5", "[]"] {
            let text = format!("{{\"{name}\":{value}}}");
            let object = Object([(NUMBER.into(), parse(value).unwrap())].into());
            assert_eq!(
                parse(&text).unwrap(),
                Json::Object(object.clone()),
                "{text}"
            );
            let text = format!("[1,{text},{{\"a\":{text}}},-1.5]");
            let Json::Array(items) = parse(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(
                (&items[0], &items[1], &items[3]),
                (
                    &Json::Unsigned(1),
                    &Json::Object(object),
                    &Json::Float(-1.5)
                )
            );
        }
        assert!(
            parse(&format!("{{\"{name}\":1,\"{NUMBER}\":2}}")).is_err(),
            "twice"
        );
    }
}

proptest::proptest! {
    #[test]
    fn a_text_is_written_as_serde_writes_it(text in "[\\PC\\x00-\\x7f\"\\\\]{0,40}") {
        let mut json = String::new();
        push_text(&mut json, &text);
        proptest::prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
    }
}
