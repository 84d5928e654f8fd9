use tower_layer::Layer;

use super::{AutoPay, Wallet};

/// A layer around an HTTP client that pays for requests which a server answers with 402.
///
/// It goes inside a layer that follows redirects, and not around one. Otherwise the client below
/// would follow a redirect that the wallet does not see, with the credential in its headers. If the
/// client below names the last URL in a [`FinalUrl`](super::FinalUrl), the layer pays nothing at it.
///
/// The client's error becomes a [`PayError`](super::PayError), because only that can tell whether
/// money left.
#[derive(Clone, Debug)]
#[must_use]
pub struct AutoPayLayer {
    wallet: Wallet,
}

impl AutoPayLayer {
    /// Creates a layer that pays from this wallet.
    pub const fn new(wallet: Wallet) -> Self {
        Self { wallet }
    }
}

impl<S> Layer<S> for AutoPayLayer {
    type Service = AutoPay<S>;

    fn layer(&self, inner: S) -> AutoPay<S> {
        AutoPay::new(inner, self.wallet.clone())
    }
}
