/// What was tried with the credential of a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// SHA-256 of the headers of the request that it was bought for.
    pub(super) headers: [u8; 32],
    /// Whether it was presented, and no answer said that the request was not served.
    pub(super) is_presented: bool,
    /// Whether the server refused it, and may have served the request before.
    pub(super) is_in_doubt: bool,
    /// The headers of other requests for which the server did not accept it, the latest last.
    pub(super) refused_for: Vec<[u8; 32]>,
}

impl Tried {
    pub(super) const fn for_headers(headers: [u8; 32]) -> Self {
        Self {
            headers,
            is_presented: false,
            is_in_doubt: false,
            refused_for: Vec::new(),
        }
    }

    /// Returns whether the server refused it for so many requests with other headers that no other
    /// one tries it.
    pub(super) const fn is_refused_for_many(&self) -> bool {
        self.refused_for.len() >= MOST_TRIED
    }

    pub(super) fn note_refused_for(&mut self, headers: [u8; 32]) {
        if self.refused_for.contains(&headers) {
            return;
        }
        if self.refused_for.len() >= MOST {
            self.refused_for.remove(0);
        }
        self.refused_for.push(headers);
    }
}

/// For how many requests with other headers a credential is tried.
const MOST_TRIED: usize = 3;

/// How many requests with other headers are remembered.
const MOST: usize = 8;
