//! What the credential of the node may do. A paywall needs the right to make invoices, and none to
//! spend.

use super::{ConfigError, PaywallBuilder};
use crate::{lightning::ReceiverProfile, trace};

impl PaywallBuilder {
    /// Requires a node whose credential cannot spend. [`build`](Self::build) then refuses one that
    /// can, and one that does not tell
    /// ([`ReceiverProfile::can_spend`](crate::lightning::ReceiverProfile::can_spend)). By default a
    /// credential that can spend is only a warning in the log.
    pub fn receive_only(mut self) -> Self {
        self.receive_only = true;
        self
    }

    pub(super) fn rights_fit(&self, profile: &ReceiverProfile) -> Result<(), ConfigError> {
        if let Some(why) = profile.cannot_receive {
            return Err(ConfigError::new(why));
        }
        match profile.can_spend {
            Some(false) => Ok(()),
            Some(true) if self.receive_only => Err(ConfigError::new(
                "the node's credential can spend, and .receive_only() forbids that: use one that can only make and look up invoices (LND: invoices.macaroon; LNbits: the invoice/read key; phoenixd: the limited password)",
            )),
            None if self.receive_only => Err(ConfigError::new(
                "the node does not tell whether its credential can spend, and .receive_only() needs to know: use a credential that it can read (LND: a macaroon as LND \
                 writes it, without changes), or set `can_spend` in the receiver's profile if the adapter is your own",
            )),
            Some(true) => {
                trace::warn(format_args!(
                    "the node's credential can spend, and a server that receives does not need that: use one that can only make \
                     and look up invoices, and require it with .receive_only()"
                ));
                Ok(())
            }
            None => Ok(()),
        }
    }
}
