//! Texts of servers, before a person reads them.

/// The most characters that are kept of a text.
const MOST: usize = 200;

/// Removes the characters that can change how the rest of a text is shown: control characters, line
/// separators, invisible ones, and those that change the direction of writing. Cuts it to 200
/// characters.
pub(super) fn cleaned(text: &str) -> String {
    let is_shown = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().filter(is_shown).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_server_turns_no_direction_and_moves_no_cursor() {
        for (text, shown) in [
            ("weather in Tromsø", "weather in Tromsø"),
            ("a\u{1b}[31mb\r\nc\u{0}", "a[31mbc"),
            ("pay \u{202e}01\u{2066} sat\u{200f}", "pay 01 sat"),
            ("\u{feff}a\u{200b}b\u{e0041}", "ab"),
        ] {
            assert_eq!(cleaned(text), shown);
        }
        assert_eq!(cleaned(&"é".repeat(1_000)).chars().count(), 200);
    }
}
