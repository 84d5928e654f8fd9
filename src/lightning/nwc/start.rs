//! What is found out about a wallet when it is connected.

use std::{sync::Arc, time::Duration};

use nostr::Event;
use sha2::{Digest as _, Sha256};

use super::{
    address::Address,
    cipher::{Cipher, Encryption},
    fault::{Fault, NAME, bad},
    link::Link,
    relay::{Relay, about, place},
    wallet::{ANSWER, Wallet},
    wire::{Info, Made, MakeInvoice, Nothing},
};
use crate::{
    boxed::BoxError,
    codec::hex,
    lightning::{
        ConnectError, ConnectErrorKind, NodeError, NodeErrorKind, exact, settled::Listeners,
    },
    payment::{Amount, Invoice, InvoiceDescription, Network, Preimage},
    trace,
};

/// The amount of the trial invoice, which has a fraction of a satoshi.
const FRACTION: Amount = Amount::from_msat(21_001);

/// The amount of the trial invoice if the wallet changes or refuses the other one.
const WHOLE: Amount = Amount::from_msat(21_000);

/// The error codes of refusals that have nothing to do with the amount.
const NOT_THE_AMOUNT: [&str; 6] = [
    "NOT_IMPLEMENTED",
    "QUOTA_EXCEEDED",
    "RATE_LIMITED",
    "RESTRICTED",
    "UNAUTHORIZED",
    "UNSUPPORTED_ENCRYPTION",
];

/// The description and the expiry of the trial invoice.
const DESCRIPTION: &str = "tower-x402 checks what this wallet can do: do not pay this invoice";
const EXPIRY: Duration = Duration::from_secs(60);

/// A wallet, and what was found out about it.
pub(super) struct Started {
    pub(super) wallet: Wallet,
    pub(super) settled: Arc<Listeners>,
    pub(super) network: Network,
    pub(super) public_key: Option<[u8; 33]>,
    pub(super) whole_sats_only: bool,
    pub(super) methods: Vec<String>,
    pub(super) notifies: bool,
}

/// Connects a wallet, asks what it can do, and tries it out with an invoice that nobody pays.
pub(super) async fn start(
    address: Address,
    expected: Option<Network>,
) -> Result<Started, ConnectError> {
    let (relays, about) = relays(&address).await?;
    let encryption = match &about {
        Some(about) if about.has("encryption", "nip44_v2") => Encryption::Nip44,
        _ => Encryption::Nip04,
    };
    let cipher = Arc::new(Cipher {
        keys: address.keys,
        wallet: address.wallet,
        encryption,
    });
    let settled = Arc::new(Listeners::default());
    let link = Link::start(Arc::clone(&cipher), relays, Arc::clone(&settled));
    let wallet = Wallet { link, cipher };
    let info = info(&wallet, about.as_ref()).await?;
    let notifies = match &info.notifications {
        Some(kinds) => kinds.iter().any(|kind| kind == RECEIVED),
        None => about.is_some_and(|about| about.has("notifications", RECEIVED)),
    };
    let mut started = Started {
        wallet,
        settled,
        network: network(info.network.as_deref(), expected)?,
        public_key: None,
        whole_sats_only: false,
        methods: info.methods,
        notifies,
    };
    if started.receives() {
        started.try_out().await?;
    }
    match expected {
        Some(expected) if expected != started.network => Err(ConnectError::new(
            ConnectErrorKind::Node,
            format!(
                "the wallet behind Nostr Wallet Connect is on {}, and .network(..) says {expected}: use a wallet of that network",
                started.network
            ),
        )),
        _ => Ok(started),
    }
}

const RECEIVED: &str = "payment_received";

impl Started {
    pub(super) fn receives(&self) -> bool {
        self.can("make_invoice") && self.can("lookup_invoice")
    }

    pub(super) fn can(&self, method: &str) -> bool {
        self.methods.iter().any(|known| known == method)
    }

    /// Returns whether money can leave through this connection. Methods that pay in a way that is
    /// not known here count too, and so does one that makes connections.
    pub(super) fn can_spend(&self) -> bool {
        self.methods.iter().any(|method| {
            method.starts_with("pay_")
                || method.starts_with("multi_pay_")
                || method.contains("keysend")
                || method == "create_connection"
        })
    }

    /// Makes an invoice, and learns from it the network, the key that signs invoices, and what the
    /// wallet changes. Logs whether the wallet gives out the preimage of an unpaid invoice.
    async fn try_out(&mut self) -> Result<(), ConnectError> {
        let (invoice, whole_sats_only) = self.trials().await.map_err(|error| {
            ConnectError::new(
                ConnectErrorKind::Node,
                "the wallet behind Nostr Wallet Connect makes no invoice of 21 sat: look into its log",
            )
            .because(error)
        })?;
        self.whole_sats_only = whole_sats_only;
        self.network = invoice.network();
        self.public_key = Some(*invoice.payee());
        let hashed = InvoiceDescription::Hash(Sha256::digest(DESCRIPTION).into());
        if *invoice.description() != hashed || invoice.expiry() != EXPIRY {
            trace::warn(format_args!(
                "the wallet behind Nostr Wallet Connect does not keep to the requested description hash or expiry, so it can sell over L402 and MPP only: .dialects([DialectName::L402, DialectName::Mpp])"
            ));
        }
        let found = self
            .wallet
            .lookup(invoice.payment_hash())
            .await
            .map_err(unusable)?;
        let preimage = found.and_then(|found| Preimage::from_hex(found.preimage.as_deref()?));
        if preimage.is_some_and(|preimage| invoice.payment_hash().is_of(&preimage)) {
            trace::warn(format_args!(
                "the wallet behind Nostr Wallet Connect tells the preimage of an unpaid invoice to every connection of this wallet: the server asks it whether an invoice is settled before it serves, and never trusts a preimage alone"
            ));
        } else {
            trace::info(format_args!(
                "the wallet behind Nostr Wallet Connect does not tell the preimage of an unpaid invoice"
            ));
        }
        Ok(())
    }

    /// Returns the trial invoice, and whether the wallet makes invoices of whole satoshis only. A
    /// passing error must not look like that, because it holds until the wallet is connected again.
    async fn trials(&self) -> Result<(Invoice, bool), NodeError> {
        if let Some(invoice) = self.fraction().await? {
            return Ok((invoice, false));
        }
        let invoice = read(&self.trial(WHOLE).await?)?;
        if invoice.amount() != Some(WHOLE) {
            return Err(bad("expected an invoice of exactly 21 sat"));
        }
        // The first refusal may have had another reason, which has passed.
        Ok(match self.fraction().await? {
            Some(exact) => (exact, false),
            None => (invoice, true),
        })
    }

    /// Returns an invoice of [`FRACTION`], or none if the wallet changes or refuses that amount.
    async fn fraction(&self) -> Result<Option<Invoice>, NodeError> {
        let made = match self.trial(FRACTION).await {
            Err(Fault::Refused { code, .. }) if !NOT_THE_AMOUNT.contains(&code.as_str()) => {
                return Ok(None);
            }
            made => made?,
        };
        let invoice = read(&made)?;
        Ok((invoice.amount() == Some(FRACTION)).then_some(invoice))
    }

    async fn trial(&self, amount: Amount) -> Result<Made, Fault> {
        let params = MakeInvoice {
            amount: amount.as_msat(),
            description: None,
            description_hash: Some(hex::encode(Sha256::digest(DESCRIPTION))),
            expiry: EXPIRY.as_secs(),
        };
        let asked = self.wallet.ask("make_invoice", params, ANSWER, ANSWER);
        asked.await
    }
}

/// Reads a trial invoice, whose amount may be another one. The network and the key of the first
/// invoice are those of the wallet.
fn read(made: &Made) -> Result<Invoice, NodeError> {
    let invoice = Invoice::parse(&made.invoice)
        .map_err(|error| NodeError::new(NodeErrorKind::BadAnswer, NAME, error))?;
    exact::named(NAME, invoice, made.payment_hash.as_deref())
}

/// What a wallet publishes about itself.
struct About(Event);

impl About {
    /// Returns whether a tag lists a word. The words are separated by spaces.
    fn has(&self, tag: &str, word: &str) -> bool {
        let tags = self.0.tags.iter().map(|tag| tag.as_slice());
        tags.filter(|parts| parts.first().is_some_and(|name| name == tag))
            .flat_map(|parts| parts.iter().skip(1))
            .any(|words| words.split(' ').any(|known| known == word))
    }

    fn methods(&self) -> Vec<String> {
        self.0
            .content
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the relays, with the one first that has what the wallet publishes about itself.
async fn relays(address: &Address) -> Result<(Vec<String>, Option<About>), ConnectError> {
    let mut relays = address.relays.clone();
    let (mut reached, mut failed) = (None, None);
    for (at, url) in address.relays.iter().enumerate() {
        match ask_about(url, address).await {
            Ok(Some(about)) => {
                relays.rotate_left(at);
                return Ok((relays, Some(About(*about))));
            }
            Ok(None) => reached = reached.or(Some(at)),
            Err(error) => failed = Some((url, error)),
        }
    }
    match (reached, failed) {
        (None, Some((url, error))) => Err(ConnectError::new(
            ConnectErrorKind::Unreachable,
            format!(
                "the relay {} of Nostr Wallet Connect is not reached: check the network, or make a new connection in the wallet",
                place(url)
            ),
        )
        .because(error)),
        (at, _) => {
            relays.rotate_left(at.unwrap_or_default());
            Ok((relays, None))
        }
    }
}

async fn ask_about(url: &str, address: &Address) -> Result<Option<Box<Event>>, BoxError> {
    let mut relay = Relay::open(url).await?;
    let about = about(&mut relay, &address.wallet).await?;
    Ok(about.filter(|event| event.pubkey == address.wallet && event.verify().is_ok()))
}

/// Asks the wallet what this connection may do. A wallet that does not say may do what it publishes.
async fn info(wallet: &Wallet, about: Option<&About>) -> Result<Info, ConnectError> {
    let refused: Result<Info, Fault> = wallet.ask("get_info", Nothing {}, ANSWER, ANSWER).await;
    match (refused, about) {
        (Ok(info), _) if !info.methods.is_empty() => Ok(info),
        (Ok(info), Some(about)) => Ok(Info {
            methods: about.methods(),
            ..info
        }),
        (Ok(_), None) => Err(unusable(Fault::Unreadable(
            "expected the methods that the connection may use".into(),
        ))),
        (Err(Fault::Refused { code, .. }), Some(about))
            if code == "NOT_IMPLEMENTED" || code == "RESTRICTED" =>
        {
            Ok(Info {
                network: None,
                methods: about.methods(),
                notifications: None,
            })
        }
        (Err(fault), _) => Err(unusable(fault)),
    }
}

fn unusable(fault: Fault) -> ConnectError {
    let (kind, text) = match &fault {
        Fault::Refused { code, .. } if code == "UNAUTHORIZED" => (
            ConnectErrorKind::Permission,
            "the wallet does not know this connection of Nostr Wallet Connect: make a new one in the wallet",
        ),
        Fault::Refused { code, .. } if code == "RESTRICTED" => (
            ConnectErrorKind::Permission,
            "this connection of Nostr Wallet Connect lacks a right: allow it get_info, make_invoice and lookup_invoice",
        ),
        Fault::Unsent(_) | Fault::Lost(_) => (
            ConnectErrorKind::Unreachable,
            "the wallet behind Nostr Wallet Connect does not answer: check that it runs, and that the connection was not deleted",
        ),
        Fault::Refused { .. } | Fault::Unreadable(_) => (
            ConnectErrorKind::Node,
            "the wallet behind Nostr Wallet Connect cannot be used: look into its log",
        ),
    };
    ConnectError::new(kind, text).because(NodeError::from(fault))
}

/// Returns the network with a name. A wallet that names none, or an empty one, is on the expected
/// network, or else on mainnet.
fn network(name: Option<&str>, expected: Option<Network>) -> Result<Network, ConnectError> {
    let name = match name {
        None | Some("") => return Ok(expected.unwrap_or(Network::Bitcoin)),
        Some("mainnet") => return Ok(Network::Bitcoin),
        Some(name) => name,
    };
    let mut all = Network::ALL.into_iter();
    all.find(|network| network.as_str() == name).ok_or_else(|| {
        let name: String = name.chars().take(40).collect();
        ConnectError::new(
            ConnectErrorKind::Node,
            format!(
                "the wallet behind Nostr Wallet Connect is on the network {name:?}, and expected is mainnet, testnet, signet or regtest: use a wallet of one of these"
            ),
        )
    })
}
