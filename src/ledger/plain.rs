/// Returns the text without control and direction characters, cut to `most` characters. Runs of
/// white space become one space.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !is_hidden(*c)).collect();
        if !word.is_empty() {
            if !plain.is_empty() {
                plain.push(' ');
            }
            plain.push_str(&word);
        }
        // Enough for any cut, and bounded however long the text is.
        if plain.len() > 4 * most {
            break;
        }
    }
    match plain.char_indices().nth(most) {
        Some((end, _)) => plain[..end].to_owned(),
        None => plain,
    }
}

/// Whether a character prints nothing or changes how others print: controls, direction marks,
/// zero-width characters, tags, and the fillers that look like spaces.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_nothing_or_turns_the_line_is_left_out() {
        for (text, shown) in [
            ("10 tiles of \u{d8}slo", "10 tiles of \u{d8}slo"),
            ("a\r\n\tb\u{0}c\u{1b}[31m", "a bc[31m"),
            ("\u{202e}gpj.exe\u{2066}\u{200b} \u{feff}", "gpj.exe"),
            ("  a  \u{85} b ", "a b"),
            ("", ""),
        ] {
            assert_eq!(plain(text, 200), shown, "{text:?}");
        }
        assert_eq!(plain(&"\u{e9}".repeat(300), 200), "\u{e9}".repeat(200));
    }
}
