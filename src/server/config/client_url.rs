//! The URL that clients call, if a proxy changes the path.

use super::PaywallBuilder;

impl PaywallBuilder {
    /// Reads from `X-Forwarded-Prefix` which prefix a trusted proxy has stripped from the path, such as
    /// `/v1`. It takes precedence over the path of an [`origin`](Self::origin). Several values are
    /// joined in their order. A value that is no plain path is answered with 400.
    ///
    /// Only [trusted proxies](Self::trusted_proxy) are read. They must set or remove the header: by
    /// default nginx passes on what a client sent. A client that can send it gets a
    /// challenge for another URL, and nothing cheaper: the target that this server sees is bound too.
    pub fn proxies_send_prefix(mut self) -> Self {
        self.proxies_send_prefix = true;
        self
    }
}
