//! The builder of a wallet.

use tower_x402::{
    Network,
    lightning::{ConnectErrorKind, Nwc, Payer, Receiver, Secret, connect},
};

use super::{Set, options::Options, service::Service};
use crate::invoice;

#[tokio::test]
async fn the_url_or_its_secret_may_be_in_a_file() {
    let set = Set::with(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (whole, part) = (folder.path().join("url"), folder.path().join("secret"));
    let url = &set.receiver.url;
    std::fs::write(&whole, format!("{url}\n")).unwrap();
    let wallet = Nwc::builder(Secret::from_file(&whole).unwrap());
    invoice(&wallet.connect().await.unwrap(), 10, 60).await;

    let (before, rest) = url.split_once("secret=").unwrap();
    let (secret, after) = rest.split_once('&').unwrap();
    std::fs::write(&part, format!("{secret}\n")).unwrap();
    let named = format!("{before}secret_file={}&{after}", part.display());
    let wallet = connect(&named).await.unwrap();
    invoice(&wallet.receiver().unwrap(), 10, 60).await;

    let builder = Nwc::builder(Secret::new(url)).network(Network::Signet);
    assert!(!format!("{builder:?} {builder:#?}").contains(&secret[..62]));
}

#[tokio::test]
async fn a_secret_that_is_no_url_of_a_wallet_is_named() {
    let set = Set::with(Options::default()).await;
    let other = set.receiver.url.replace("nostr+walletconnect", "lnd");
    for (secret, part) in [
        (Secret::new(other), "begins with nostr+walletconnect://"),
        (Secret::new([0xff; 32]), "which is text"),
        (Secret::new("hunter2"), "expected a node's URL"),
    ] {
        let error = Nwc::builder(secret).connect().await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Url, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_wallet_of_another_network_than_the_expected_one_is_refused() {
    let set = Set::with(Options::default()).await;
    let pays = |network| {
        let options = Options {
            network,
            methods: "get_info lookup_invoice pay_invoice",
            ..Options::default()
        };
        Service::start(&set.relay, &set.ledger, options)
    };
    let builder = |service: &Service, network| {
        let builder = Nwc::builder(Secret::new(&service.url));
        builder.network(network).connect()
    };
    // A trial invoice shows the network, or the wallet names it.
    let (named, unnamed) = (pays(Some("regtest")), pays(None));
    for service in [&set.receiver, &named] {
        builder(service, Network::Regtest).await.unwrap();
        let error = builder(service, Network::Bitcoin).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Node, "{error}");
        let both = "is on regtest, and .network(..) says bitcoin";
        assert!(error.to_string().contains(both), "{error}");
    }
    for network in [Network::Regtest, Network::Bitcoin] {
        let wallet = builder(&unnamed, network).await.unwrap();
        assert_eq!(Payer::profile(&wallet).network, network);
    }
    let service = Service::start(
        &set.relay,
        &set.ledger,
        Options {
            network: None,
            ..Options::default()
        },
    );
    let error = builder(&service, Network::Signet).await.unwrap_err();
    assert!(error.to_string().contains("is on regtest"), "{error}");
    let wallet = builder(&service, Network::Regtest).await.unwrap();
    assert_eq!(Receiver::profile(&wallet).network, Network::Regtest);
}
