use std::{fmt, ops::Range, sync::LazyLock};

use crate::dialect::MacKey;

/// A macaroon in the binary format of version 2, with first-party caveats only.
///
/// ```text
/// 02 [01 location] 02 identifier 00 { [01 location] 02 caveat 00 }* 00 06 signature
/// ```
///
/// Each field is a tag, an unsigned LEB128 length and bytes. A location is not authenticated. It is
/// read and never written, and the location of a caveat must be empty. Bytes after the signature, a
/// third-party caveat, more than 64 caveats and more than 8 KiB are refused.
///
/// ```
/// use tower_x402::l402::Macaroon;
///
/// let macaroon = Macaroon::mint(b"root key", b"identifier", ["method=GET"])?;
/// let narrower = macaroon.attenuate("valid_until=1900000000")?;
/// assert!(narrower.is_signed_with(b"root key"));
/// assert!(!narrower.is_signed_with(b"another"));
/// assert_eq!(Macaroon::parse(narrower.to_bytes())?.caveats().count(), 2);
/// # Ok::<_, tower_x402::l402::MacaroonError>(())
/// ```
#[derive(Clone)]
pub struct Macaroon {
    bytes: Vec<u8>,
    location: Range<usize>,
    identifier: Range<usize>,
    /// The index of the first byte of the first caveat.
    caveats: usize,
    count: usize,
}

impl Macaroon {
    /// The most bytes of one macaroon.
    pub const MAX_BYTES: usize = 8 * 1024;
    /// The most caveats of one macaroon.
    pub const MAX_CAVEATS: usize = 64;

    /// Reads a macaroon.
    ///
    /// # Errors
    ///
    /// Why the bytes are refused: see [`MacaroonError`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, MacaroonError> {
        let bytes = bytes.into();
        if bytes.len() > Self::MAX_BYTES {
            return Err(MacaroonError::TooLong);
        }
        if bytes.first() != Some(&VERSION) {
            return Err(MacaroonError::Malformed);
        }
        let mut fields = PacketFields {
            bytes: &bytes,
            at: 1,
        };
        let location = fields.location()?;
        let identifier = fields.tagged(IDENTIFIER)?;
        fields.tagged(END)?;
        let (caveats, mut count) = (fields.at, 0);
        while fields.caveat()?.is_some() {
            count += 1;
            if count > Self::MAX_CAVEATS {
                return Err(MacaroonError::TooManyCaveats);
            }
        }
        let signature = fields.tagged(SIGNATURE)?;
        if signature.len() != 32 || fields.at != bytes.len() {
            return Err(MacaroonError::Malformed);
        }
        Ok(Self {
            location,
            identifier,
            caveats,
            count,
            bytes,
        })
    }

    /// Creates a macaroon without a location. The root key may have any length: it goes through the
    /// key derivation that all macaroon libraries use.
    ///
    /// # Errors
    ///
    /// [`MacaroonError::TooLong`], [`MacaroonError::TooManyCaveats`].
    pub fn mint<C: AsRef<[u8]>>(
        root_key: impl AsRef<[u8]>,
        identifier: impl AsRef<[u8]>,
        caveats: impl IntoIterator<Item = C>,
    ) -> Result<Self, MacaroonError> {
        let identifier = identifier.as_ref();
        let mut signature = GENERATOR.derive(root_key.as_ref()).mac(identifier);
        let mut bytes = begin(&[], identifier);
        for caveat in caveats {
            signature = MacKey::mac_once(&signature, caveat.as_ref());
            write_caveat(&mut bytes, caveat.as_ref());
        }
        write_signature(&mut bytes, &signature);
        Self::parse(bytes)
    }

    /// Returns the same macaroon with one more caveat. A holder of a macaroon can narrow it, and
    /// nobody can widen it.
    ///
    /// # Errors
    ///
    /// [`MacaroonError::TooLong`], [`MacaroonError::TooManyCaveats`].
    pub fn attenuate(&self, caveat: impl AsRef<[u8]>) -> Result<Self, MacaroonError> {
        let caveat = caveat.as_ref();
        let signature = MacKey::mac_once(self.signature(), caveat);
        Self::parse(encode(
            self.location(),
            self.identifier(),
            self.caveats().chain([caveat]),
            &signature,
        ))
    }

    /// Returns the identifier.
    #[must_use]
    pub fn identifier(&self) -> &[u8] {
        &self.bytes[self.identifier.clone()]
    }

    /// Returns the location, which is not authenticated.
    #[must_use]
    pub fn location(&self) -> &[u8] {
        &self.bytes[self.location.clone()]
    }

    /// Returns the caveats, in their order.
    pub fn caveats(&self) -> impl Iterator<Item = &[u8]> {
        let mut fields = PacketFields {
            bytes: &self.bytes,
            at: self.caveats,
        };
        (0..self.count).map_while(move |_| {
            fields
                .caveat()
                .ok()
                .flatten()
                .map(|caveat| &self.bytes[caveat])
        })
    }

    /// Returns the bytes, as an encoder writes them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(
            self.location(),
            self.identifier(),
            self.caveats(),
            self.signature(),
        )
    }

    /// Returns the bytes as they were minted or read.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether the macaroon was signed with this root key: whether the chain of MACs over
    /// identifier and caveats ends in the signature. Compares in constant time.
    #[must_use]
    pub fn is_signed_with(&self, root_key: impl AsRef<[u8]>) -> bool {
        let expected = chain(root_key.as_ref(), self.identifier(), self.caveats());
        constant_time_eq::constant_time_eq_32(&expected, self.signature())
    }

    fn signature(&self) -> &[u8; 32] {
        self.bytes
            .last_chunk()
            .unwrap_or_else(|| unreachable!("what was parsed ends in a signature"))
    }
}

/// Hides everything that a bearer would need.
impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Macaroon")
            .field("caveats", &self.count)
            .finish_non_exhaustive()
    }
}

fn chain<'a>(
    root_key: &[u8],
    identifier: &[u8],
    caveats: impl Iterator<Item = &'a [u8]>,
) -> [u8; 32] {
    caveats.fold(
        GENERATOR.derive(root_key).mac(identifier),
        |signature, caveat| MacKey::mac_once(&signature, caveat),
    )
}

/// The key that every macaroon library derives root keys with. HMAC pads it with zeros, so the
/// zeros at its end change nothing.
pub(super) static GENERATOR: LazyLock<MacKey> = LazyLock::new(|| {
    let mut key = [0; 32];
    key[..23].copy_from_slice(b"macaroons-key-generator");
    MacKey::new(&key)
});

fn encode<'a>(
    location: &[u8],
    identifier: &[u8],
    caveats: impl Iterator<Item = &'a [u8]>,
    signature: &[u8; 32],
) -> Vec<u8> {
    let mut bytes = begin(location, identifier);
    caveats.for_each(|caveat| write_caveat(&mut bytes, caveat));
    write_signature(&mut bytes, signature);
    bytes
}

fn begin(location: &[u8], identifier: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    if !location.is_empty() {
        write(&mut bytes, LOCATION, location);
    }
    write(&mut bytes, IDENTIFIER, identifier);
    bytes.push(END);
    bytes
}

fn write_caveat(bytes: &mut Vec<u8>, caveat: &[u8]) {
    write(bytes, IDENTIFIER, caveat);
    bytes.push(END);
}

fn write_signature(bytes: &mut Vec<u8>, signature: &[u8; 32]) {
    bytes.push(END);
    write(bytes, SIGNATURE, signature);
}

fn write(bytes: &mut Vec<u8>, tag: u8, field: &[u8]) {
    bytes.push(tag);
    let mut length = field.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(field);
}

/// A reader of fields. It remembers positions, so that a macaroon can own its bytes.
struct PacketFields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl PacketFields<'_> {
    fn next_tag(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Reads the field that must come next.
    #[inline]
    fn tagged(&mut self, tag: u8) -> Result<Range<usize>, MacaroonError> {
        if self.next_tag() != Some(tag) {
            return Err(MacaroonError::Malformed);
        }
        self.at += 1;
        if tag == END {
            return Ok(self.at..self.at);
        }
        let length = self.length().ok_or(MacaroonError::Malformed)?;
        let field = self.at..self.at + length;
        if field.end > self.bytes.len() {
            return Err(MacaroonError::Malformed);
        }
        self.at = field.end;
        Ok(field)
    }

    /// Reads a length of at most two bytes, in its shortest form: a macaroon has at most 8 KiB.
    #[inline]
    fn length(&mut self) -> Option<usize> {
        let low = usize::from(*self.bytes.get(self.at)?);
        self.at += 1;
        if low < 0x80 {
            return Some(low);
        }
        let high = usize::from(*self.bytes.get(self.at)?);
        self.at += 1;
        (1..0x80)
            .contains(&high)
            .then_some((low & 0x7f) | high << 7)
    }

    #[inline]
    fn location(&mut self) -> Result<Range<usize>, MacaroonError> {
        if self.next_tag() == Some(LOCATION) {
            self.tagged(LOCATION)
        } else {
            Ok(0..0)
        }
    }

    /// Reads the next caveat, or `None` at the end of the sections.
    #[inline]
    fn caveat(&mut self) -> Result<Option<Range<usize>>, MacaroonError> {
        if self.next_tag() == Some(END) {
            self.at += 1;
            return Ok(None);
        }
        let location = self.location()?;
        let caveat = self.tagged(IDENTIFIER)?;
        if self.next_tag() == Some(VERIFICATION) {
            return Err(MacaroonError::ThirdParty);
        }
        self.tagged(END)?;
        if location.is_empty() {
            Ok(Some(caveat))
        } else {
            Err(MacaroonError::Malformed)
        }
    }
}

/// Why bytes are not a macaroon that is accepted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MacaroonError {
    /// They are not the binary format of version 2, as an encoder writes it.
    Malformed,
    /// There is a third-party caveat, which this server cannot discharge.
    ThirdParty,
    /// There are more than [`Macaroon::MAX_BYTES`] bytes.
    TooLong,
    /// There are more than [`Macaroon::MAX_CAVEATS`] caveats.
    TooManyCaveats,
}

impl fmt::Display for MacaroonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "expected a macaroon in the binary format of version 2",
            Self::ThirdParty => "expected a macaroon without third-party caveats",
            Self::TooLong => "expected a macaroon of at most 8 KiB",
            Self::TooManyCaveats => "expected a macaroon of at most 64 caveats",
        })
    }
}

impl std::error::Error for MacaroonError {}

const VERSION: u8 = 2;
const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFICATION: u8 = 4;
const SIGNATURE: u8 = 6;
