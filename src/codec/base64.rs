//! Base64 (RFC 4648), over `base64-simd`. Non-zero trailing bits are refused in every form.

use base64_simd::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Encodes in the standard alphabet, with padding.
pub fn encode_standard(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode_to_string(bytes.as_ref())
}

/// Encodes in the URL-safe alphabet, without padding.
pub fn encode_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

/// Decodes the standard alphabet with correct padding. Returns `None` for any other text.
pub fn decode_standard(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    STANDARD.decode_to_vec(text.as_ref()).ok()
}

/// Decodes the URL-safe alphabet, with correct padding or without padding.
pub fn decode_url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let text = text.as_ref();
    let form = if text.ends_with(b"=") {
        URL_SAFE
    } else {
        URL_SAFE_NO_PAD
    };
    form.decode_to_vec(text).ok()
}

/// Decodes exactly `N` bytes in the URL-safe alphabet, without padding.
pub fn decode_url_array<const N: usize>(text: impl AsRef<[u8]>) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // The decoder panics if its buffer is too short.
    (text.as_ref().len() == (4 * N).div_ceil(3)).then_some(())?;
    let decoded = URL_SAFE_NO_PAD
        .decode(text.as_ref(), base64_simd::Out::from_slice(&mut bytes))
        .ok()?;
    (decoded.len() == N).then_some(bytes)
}

/// Decodes either alphabet (not mixed), with correct padding or without padding. Released clients
/// use all four spellings.
pub fn decode_any(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let text = text.as_ref();
    let forms = if text.ends_with(b"=") {
        [STANDARD, URL_SAFE]
    } else {
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD]
    };
    forms.iter().find_map(|form| form.decode_to_vec(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_spellings_and_nothing_else() {
        for good in ["-_8=", "-_8", "+/8=", "+/8"] {
            assert_eq!(
                decode_any(good).as_deref(),
                Some(&[0xfb, 0xff][..]),
                "{good}"
            );
        }
        for bad in [
            "-/8", "+/8==", "+/9", "+/8=\n", " +/8", "+/8= ", "=", "a", "+=/8",
        ] {
            assert_eq!(decode_any(bad), None, "{bad:?}");
        }
        assert_eq!(decode_standard("-_8="), None);
        assert_eq!(decode_standard("+/8"), None);
        assert_eq!(decode_url("+/8"), None);
        assert_eq!(decode_url("-_9"), None);
        assert_eq!(decode_url_array::<2>("-_8"), Some([0xfb, 0xff]));
        for bad in ["-_8=", "-_9", "-_8A", "-_", "+/8", ""] {
            assert_eq!(decode_url_array::<2>(bad), None, "{bad}");
        }
    }
}
