//! The strict JSON parser agrees with `serde_json` on every text that it accepts, and canonical
//! text stays the same if it is made canonical again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::internals::codec::{jcs, json};

/// The member name that `serde_json` uses for numbers under `arbitrary_precision`. An object with
/// this name in the text must not become a number.
const NUMBER: &str = "$serde_json::private::Number";

fn agree(text: &str) {
    let Ok(value) = json::parse(text) else {
        return;
    };
    let reference: serde_json::Value =
        serde_json::from_str(text).expect("a second reader reads it");
    assert_eq!(
        serde_json::to_value(&value).expect("JSON"),
        reference,
        "{text}"
    );
    if let Some(canonical) = jcs::canonical(&value) {
        let again = json::parse(&canonical).expect("canonical JSON");
        assert_eq!(jcs::canonical(&again), Some(canonical));
    }
}

fuzz_target!(|text: &str| {
    agree(text);
    // The same text as the value of that member, with its name in one of its spellings.
    let (before, letter) = NUMBER.split_at(text.len() % NUMBER.len());
    let escape = letter.chars().next().map_or(String::new(), |letter| {
        format!("\\u{:04x}", u32::from(letter))
    });
    let after = letter.get(1..).unwrap_or_default();
    for name in [NUMBER.to_owned(), [before, &*escape, after].concat()] {
        agree(&format!("{{\"{name}\":{text}}}"));
        agree(&format!("[{{\"{name}\":{text:?}}}]"));
    }
});
