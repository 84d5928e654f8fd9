//! Hexadecimal, over `const-hex`.

/// Encodes `bytes` in lower case.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    const_hex::encode(bytes)
}

/// Encodes `bytes` in lower case, in a buffer on the stack.
pub fn encode_array<const N: usize>(bytes: &[u8; N]) -> const_hex::Buffer<N> {
    let mut text = const_hex::Buffer::new();
    text.format(bytes);
    text
}

/// Decodes exactly `N` bytes from `2 * N` digits in upper or lower case.
pub fn decode_any_case<const N: usize>(text: impl AsRef<[u8]>) -> Option<[u8; N]> {
    let text = text.as_ref();
    let mut bytes = [0; N];
    // `decode_to_slice` strips a leading `0x`, so that prefix is refused first.
    (text.len() == 2 * N && !text.starts_with(b"0x")).then_some(())?;
    const_hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Decodes exactly `N` bytes from `2 * N` lower-case digits.
pub fn decode_lower<const N: usize>(text: impl AsRef<[u8]>) -> Option<[u8; N]> {
    let text = text.as_ref();
    (!text.iter().any(u8::is_ascii_uppercase)).then(|| decode_any_case(text))?
}

/// Decodes an even number of digits in upper or lower case.
pub fn decode_vec(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let text = text.as_ref();
    // `decode` strips a leading `0x`, so that prefix is refused first.
    (!text.starts_with(b"0x")).then(|| const_hex::decode(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_alphabet_are_exact() {
        assert_eq!(decode_lower::<2>("00ff"), Some([0, 255]));
        assert_eq!(decode_any_case::<2>("00Ff"), Some([0, 255]));
        for bad in [
            "00fF", "00f", "00fff", "0x0f", "0xff", "+0ff", " 0ff", "00fg", "",
        ] {
            assert_eq!(decode_lower::<2>(bad), None, "{bad}");
        }
        assert_eq!(decode_any_case::<2>("0xff"), None);
        assert_eq!(decode_any_case::<2>("0x00ff"), None);
        assert_eq!(decode_vec("00Ff"), Some(vec![0, 255]));
        for bad in ["0x00", "00f", "0g", "00 "] {
            assert_eq!(decode_vec(bad), None, "{bad}");
        }
    }
}
