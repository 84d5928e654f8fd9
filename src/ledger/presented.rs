use super::{Entry, EntryState, entry::Record};

impl Record {
    /// Returns whether this payment is no reason not to pay for a request with these headers.
    pub(super) fn is_no_use_for(&self, headers: &[u8; 32]) -> bool {
        let is_own = self.tried.headers == *headers;
        // If the headers differ each time, the server need not be asked each time.
        let is_tried = !is_own && self.tried.is_refused_for_many();
        let is_refused = is_tried || self.tried.refused_for.contains(headers);
        self.state == EntryState::Paid && (self.is_cleared || is_refused)
    }
}

impl Entry {
    /// Returns SHA-256 of the headers with which the request was made.
    #[must_use]
    pub fn headers(&self) -> &[u8; 32] {
        &self.0.tried.headers
    }

    /// Returns whether the credential was presented, and no answer is known that says that the
    /// request was not served.
    #[must_use]
    pub fn is_presented(&self) -> bool {
        self.0.tried.is_presented
    }

    /// Returns whether the server refused the credential after an earlier presentation, whose answer
    /// was lost or said that the server failed. It may have served the request then.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.0.tried.is_in_doubt
    }

    /// Returns whether the paid credential is of no use for a request with these headers: the server
    /// refused it for them, or a person cleared it.
    #[must_use]
    pub fn is_no_use_for(&self, headers: &[u8; 32]) -> bool {
        self.0.is_no_use_for(headers)
    }
}
