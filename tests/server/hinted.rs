//! A node whose invoices are long.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bitcoin::{
    hashes::{Hash as _, sha256},
    secp256k1::{SECP256K1, SecretKey},
};
use lightning_invoice::{
    Currency, InvoiceBuilder, PaymentSecret, RouteHint, RouteHintHop, RoutingFees,
};
use tower_x402::{
    Invoice, Network, PaymentHash, Preimage,
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError, Receiver,
        ReceiverProfile,
    },
};

use crate::shop::NOW;

/// A node behind three channels that nobody knows: its invoices have three route hints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hinted(Arc<Mutex<HashMap<PaymentHash, Preimage>>>);

impl Hinted {
    fn key() -> SecretKey {
        SecretKey::from_slice(&[5; 32]).unwrap()
    }

    pub(crate) fn preimage(&self, invoice: &str) -> Preimage {
        let invoice = Invoice::parse(invoice).unwrap();
        self.0.lock().unwrap()[&invoice.payment_hash()].clone()
    }
}

impl Receiver for Hinted {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Exclusive);
        profile.public_key = Some(Self::key().public_key(SECP256K1).serialize());
        profile.in_process = true;
        profile
    }

    fn create_invoice(&self, asked: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        let mut made = self.0.lock().unwrap();
        let preimage = [u8::try_from(made.len()).unwrap() + 1; 32];
        let hop = |node: u8| {
            RouteHint(vec![RouteHintHop {
                src_node_id: SecretKey::from_slice(&[node; 32])
                    .unwrap()
                    .public_key(SECP256K1),
                short_channel_id: u64::from(node),
                fees: RoutingFees {
                    base_msat: 1,
                    proportional_millionths: 1,
                },
                cltv_expiry_delta: 40,
                htlc_minimum_msat: None,
                htlc_maximum_msat: None,
            }])
        };
        let draft = InvoiceBuilder::new(Currency::Regtest)
            .amount_milli_satoshis(asked.amount.as_msat())
            .payment_hash(sha256::Hash::hash(&preimage))
            .payment_secret(PaymentSecret([3; 32]))
            .duration_since_epoch(Duration::from_secs(NOW))
            .expiry_time(asked.expiry)
            .min_final_cltv_expiry_delta(18)
            .private_route(hop(1))
            .private_route(hop(2))
            .private_route(hop(3));
        let raw = match asked.description {
            Description::Hashed(bytes) => draft
                .description_hash(sha256::Hash::hash(&bytes))
                .build_raw(),
            Description::Text(text) => draft.description(text).build_raw(),
            _ => panic!("an unknown description"),
        };
        let sign =
            |message: &_| Ok::<_, ()>(SECP256K1.sign_ecdsa_recoverable(message, &Self::key()));
        let invoice = Invoice::parse(&raw.unwrap().sign(sign).unwrap().to_string()).unwrap();
        made.insert(invoice.payment_hash(), Preimage::from_bytes(preimage));
        Box::pin(async { Ok(invoice) })
    }

    fn lookup_invoice(&self, _: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async { Ok(InvoiceStatus::Open) })
    }
}
