use crate::lightning::{
    KeyCustody,
    url::{ConnectError, NodeUrl},
};

/// The parts of a URL that several nodes have.
impl NodeUrl {
    /// Returns the value of the field `custody`, which is `exclusive` by default.
    ///
    /// # Errors
    ///
    /// If it has another value than `exclusive` or `shared`.
    #[cfg(any(feature = "lnd", feature = "phoenixd"))]
    pub(crate) fn key_custody(&self) -> Result<KeyCustody, ConnectError> {
        match self.field("custody") {
            None | Some("exclusive") => Ok(KeyCustody::Exclusive),
            Some("shared") => Ok(KeyCustody::Shared),
            Some(_) => Err(ConnectError::url(format!(
                "the field custody of the {} URL must be exclusive or shared",
                self.scheme()
            ))),
        }
    }

    /// Checks that the URL names no user and no password.
    ///
    /// # Errors
    ///
    /// If it does.
    #[cfg(any(feature = "lnbits", feature = "lnd"))]
    pub(crate) fn no_user(&self) -> Result<(), ConnectError> {
        if self.user().is_empty() && self.password().is_none() {
            return Ok(());
        }
        Err(ConnectError::url(format!(
            "a {} URL has no user and no password before the host: leave them out, and write the credential as a field",
            self.scheme()
        )))
    }
}
