//! Public types may be sent to, shared with and shown to any thread.

use std::fmt::Debug;

use tower_x402::{
    body::{RequestBody, ResponseBody},
    client::{
        ApprovalRequest, AutoPay, Decision, FinalUrl, GuardedResolver, Money, NotTaken,
        PaidReceipt, PayError, PayingClientBuilder, PayingRequest, Policy, Quote, QuotedOffer,
        Recovered, RefusedOffer, WalletBuilder, WalletError,
    },
    clock::{SystemClock, TestClock, Timestamp},
    facilitator::Facilitator,
    ledger::{
        ApprovalId, Approvals, BeginError, Begun, BodyDigest, Budget, BudgetState, Entry, Ledger,
        LedgerError, LedgerOptions, NewPayment, OverBudget, Parked, Totals,
    },
    lightning::{
        Cln, ClnBuilder, ConnectError, ConnectErrorKind, Description, Devnet, DevnetNode,
        InvoiceRequest, InvoiceStatus, KeyCustody, Lie, Lnbits, LnbitsBuilder, Lnd, LndBuilder,
        LocalNode, Node, NodeError, NodeErrorKind, Nwc, NwcBuilder, PayLimits, PayerProfile,
        PaymentStatus, Payments, Phoenixd, PhoenixdBuilder, ReceiverProfile, Secret,
    },
    replay::{
        DurableStore, MemoryStore, PostgresOptions, PostgresStore, RedisOptions, RedisStore,
        Revocations, Store, StoreError,
    },
    server::{
        AxumBody, AxumLayer, BadRequest, ClientAddr, ClientUrl, ConfigError, KeptAnswers,
        OwnAnswer, PaywallBuilder, Price, PriceRequest, SecretFileError, Settlements, X402Service,
    },
    *,
};

fn is_free<T: Debug + Send + Sync>() {}

macro_rules! are_free {
    ($($name:ty),* $(,)?) => { $(is_free::<$name>();)* };
}

#[test]
fn public_types_are_debug_send_and_sync() {
    are_free!(
        ApprovalRequest,
        AutoPay<()>,
        AutoPayLayer,
        Decision,
        FinalUrl,
        GuardedResolver,
        Money,
        NotTaken,
        PayError<std::io::Error>,
        PaidReceipt,
        PayingClient,
        PayingClientBuilder,
        PayingRequest,
        Policy,
        Quote,
        QuotedOffer,
        Recovered,
        RefusedOffer,
        Wallet,
        WalletBuilder,
        WalletError,
        ApprovalId,
        Approvals,
        BeginError,
        Begun,
        BodyDigest,
        Budget,
        BudgetState,
        Entry,
        Ledger,
        LedgerError,
        LedgerOptions,
        NewPayment,
        OverBudget,
        Parked,
        Totals,
        Amount,
        ChallengeError,
        Charge,
        ClientConditions,
        ClientRequest<'static>,
        DialectName,
        FreeAllowance,
        Invoice,
        LightningPayment,
        InvoiceDescription,
        InvoiceError,
        MissingReceipt,
        Network,
        Paid,
        Payment,
        PaymentHash,
        PaymentReceipt,
        Paywall,
        Preimage,
        Refusal,
        ResolvedClient,
        RouteTable,
        SecretError,
        SecretFileError,
        Secrets,
        X402Layer,
        X402Service<()>,
        AxumLayer,
        AxumBody<()>,
        RequestBody<()>,
        ResponseBody<()>,
        SystemClock,
        TestClock,
        Timestamp,
        Devnet,
        Cln,
        ClnBuilder,
        ConnectError,
        InvoiceRequest,
        Lnbits,
        LnbitsBuilder,
        Lnd,
        LndBuilder,
        LocalNode,
        Node,
        NodeError,
        Nwc,
        NwcBuilder,
        Phoenixd,
        PhoenixdBuilder,
        Secret,
        PaymentStatus,
        ConnectErrorKind,
        Description,
        DevnetNode,
        InvoiceStatus,
        KeyCustody,
        Lie,
        NodeErrorKind,
        PayLimits,
        PayerProfile,
        Payments,
        ReceiverProfile,
        DurableStore,
        PostgresOptions,
        PostgresStore,
        RedisOptions,
        RedisStore,
        Store,
        MemoryStore,
        Revocations,
        StoreError,
        BadRequest,
        ClientAddr,
        ClientUrl,
        ConfigError,
        KeptAnswers,
        OwnAnswer,
        PaywallBuilder,
        Price,
        PriceRequest,
        Settlements,
        l402::Macaroon,
        l402::Credential,
        l402::Challenge,
        l402::Payable,
        mpp::Challenge<'static>,
        mpp::Payable,
        mpp::Receipt,
        x402::Challenge,
        x402::Payable,
        x402::PaymentPayload<'static>,
        x402::Receipt<'static>,
        Facilitator,
    );
}

#[cfg(feature = "ldk")]
#[test]
fn the_types_of_an_embedded_node_are_debug_send_and_sync() {
    are_free!(lightning::LdkNode, lightning::LdkNodeBuilder);
}

#[test]
fn no_secret_is_shown() {
    let secrets = Secrets::new(*b"an unguessable secret of 32 byte").unwrap();
    let preimage = Preimage::from_bytes([0xab; 32]);
    let shown = format!(
        "{secrets:?} {secrets:#?} {preimage:?} {:?}",
        LocalNode::new()
    );
    assert!(
        !shown.contains("unguessable") && !shown.to_lowercase().contains("abababab"),
        "{shown}"
    );
}
