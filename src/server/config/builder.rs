use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock},
    dialect::secrets::Secrets,
    lightning::Receiver,
    payment::DialectName,
    replay::{Records, ReplayStore, Revocations},
    server::{
        address::ForwardedBy,
        limit::UnpaidLimits,
        own_answer::{AnswerHook, OwnAnswer},
    },
};

/// The settings of a [`Paywall`](super::Paywall), before they are checked.
#[derive(Debug)]
#[must_use]
pub struct PaywallBuilder {
    pub(in crate::server) receiver: Arc<dyn Receiver>,
    pub(in crate::server) store: Option<Arc<dyn ReplayStore>>,
    pub(in crate::server) revocations: Option<Revocations>,
    pub(in crate::server) secrets: Option<Result<Secrets, String>>,
    pub(in crate::server) service: Option<String>,
    pub(in crate::server) dialects: Option<Vec<DialectName>>,
    pub(in crate::server) origins: Vec<(String, bool)>,
    pub(in crate::server) authorities: Vec<String>,
    pub(in crate::server) proxies: Vec<String>,
    pub(in crate::server) trusted_hops: Option<usize>,
    pub(in crate::server) forwarded_by: ForwardedBy,
    pub(in crate::server) proxies_send_prefix: bool,
    pub(in crate::server) l402_service: Option<String>,
    pub(in crate::server) clock: Arc<dyn Clock>,
    pub(in crate::server) limits: UnpaidLimits,
    pub(in crate::server) shared_limits: Option<(Arc<dyn Records>, Box<str>)>,
    pub(in crate::server) challenge_header_bytes: usize,
    /// `None` if it was not set.
    pub(in crate::server) body_limit: Option<usize>,
    pub(in crate::server) body_pool: usize,
    pub(in crate::server) time_limit: Duration,
    pub(in crate::server) invoice_expiry: Duration,
    pub(in crate::server) redeem_within: Duration,
    pub(in crate::server) uses_within: Duration,
    pub(in crate::server) max_restores: u32,
    pub(in crate::server) accept_foreign_proofs: bool,
    pub(in crate::server) keep_credentials: bool,
    pub(in crate::server) answer_hook: Option<AnswerHook>,
    pub(in crate::server) allow_test_network: bool,
    pub(in crate::server) allow_volatile_replay_store: bool,
    pub(in crate::server) receive_only: bool,
}

impl PaywallBuilder {
    pub(in crate::server) fn new(receiver: Arc<dyn Receiver>) -> Self {
        Self {
            receiver,
            store: None,
            revocations: None,
            secrets: None,
            service: None,
            dialects: None,
            origins: Vec::new(),
            authorities: Vec::new(),
            proxies: Vec::new(),
            trusted_hops: None,
            forwarded_by: ForwardedBy::default(),
            proxies_send_prefix: false,
            l402_service: None,
            clock: Arc::new(SystemClock::new()),
            limits: UnpaidLimits::default(),
            shared_limits: None,
            // Stock nginx takes 4 KiB: the rest is for headers that are no challenge.
            challenge_header_bytes: 3_584,
            body_limit: None,
            body_pool: 64 << 20,
            time_limit: Duration::from_secs(10),
            invoice_expiry: Duration::from_secs(300),
            redeem_within: Duration::from_secs(24 * 3600),
            uses_within: Duration::from_secs(30 * 24 * 3600),
            max_restores: 2,
            accept_foreign_proofs: false,
            keep_credentials: false,
            answer_hook: None,
            allow_test_network: false,
            allow_volatile_replay_store: false,
            receive_only: false,
        }
    }

    /// Adds a public origin of the service, such as `https://api.example.com`. At least one is
    /// required: clients call it, and credentials are bound to it. Plain `http` is allowed only for
    /// loopback addresses and `localhost`. The names `localhost`, `127.0.0.1` and `[::1]` of such an
    /// origin stand for each other, at the same port. Any other request whose host is a loopback
    /// address counts as made to the first origin. If a proxy strips a prefix from each path, add
    /// it here: `https://api.example.com/v1`.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push((origin.into(), false));
        self
    }

    /// Adds a public origin that may be plain `http`. Anyone who can read the traffic can spend
    /// what others paid for.
    pub fn insecure_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push((origin.into(), true));
        self
    }

    /// Accepts requests that name this authority, such as `internal:8080`. Their credentials are
    /// still bound to the first configured origin. By default only the origins' own names and
    /// loopback names are accepted.
    pub fn accept_authority(mut self, authority: impl Into<String>) -> Self {
        self.authorities.push(authority.into());
        self
    }

    /// Trusts `X-Forwarded-For` and `X-Forwarded-Host` from peers in this network, such as
    /// `10.0.0.0/8` or `::1`. By default no peer is trusted. [`build`](Self::build) refuses a
    /// network wider than `10.0.0.0/8`, or than 16 bits in IPv6, because it holds clients too. If
    /// your proxies have no fixed addresses, call [`trusted_hops`](Self::trusted_hops).
    pub fn trusted_proxy(mut self, network: impl Into<String>) -> Self {
        self.proxies.push(network.into());
        self
    }

    /// Trusts this many proxies (1 to 32) of any address, for platforms whose proxies have no fixed
    /// addresses. The client is this hop of `X-Forwarded-For`, counted from the right, so each proxy
    /// must append the address of its peer. It replaces [`trusted_proxy`](Self::trusted_proxy).
    ///
    /// Every request must pass these proxies: anyone who reaches the server directly can say that
    /// it is another client. If fewer hops are told, the client is unknown.
    pub fn trusted_hops(mut self, proxies: usize) -> Self {
        self.trusted_hops = Some(proxies);
        self
    }

    /// Reads the client's address from `Forwarded` (RFC 7239) instead of `X-Forwarded-For`, and also
    /// the host that the client named. The layer reads either header only from trusted proxies.
    pub fn proxies_send_forwarded(mut self) -> Self {
        self.forwarded_by = ForwardedBy::Forwarded;
        self
    }

    /// Sets the master secret, from which all keys are derived: at least 32 random bytes, the same
    /// on every replica and after every restart. Required, unless [`secrets`](Self::secrets) or
    /// [`master_secret_file`](Self::master_secret_file) is called. If an origin is not a loopback
    /// address, [`build`](Self::build) refuses text (hex and base64 too) and bytes that repeat.
    pub fn master_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secrets = Some(Secrets::new(secret).map_err(|error| error.to_string()));
        self
    }

    /// Reads the master secret from a file with [`Secrets::from_file`]: 32 to 4,096 random bytes,
    /// made once with `(umask 077; head -c 32 /dev/urandom > master-secret)`, or a list of secrets
    /// in hex. [`build`](Self::build) returns the error if the file cannot be read. To rotate without
    /// a restart, pass the ring to [`secrets`](Self::secrets) and keep a clone for
    /// [`Secrets::reload`].
    pub fn master_secret_file(mut self, path: impl AsRef<Path>) -> Self {
        self.secrets = Some(Secrets::from_file(path).map_err(|error| error.to_string()));
        self
    }

    /// Sets a ring of master secrets, which can be rotated while the server runs. It replaces
    /// [`master_secret`](Self::master_secret) and [`master_secret_file`](Self::master_secret_file):
    /// the last call counts.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = Some(Ok(secrets));
        self
    }

    /// Sets a label, such as `weather`, that separates this service from others with the same
    /// origin, master secret and store. It is 1 to 64 printable ASCII characters, the same on every
    /// replica and after every restart. By default there is no label, and only the origin separates
    /// services.
    ///
    /// A credential is bound to the origin and to what the client requests, not to the server that
    /// answers. Two services need different labels if a client uses the same URL for both. Examples
    /// are two names of [`accept_authority`](Self::accept_authority), and a gateway that strips
    /// `/cheap` and `/dear` from the path. Without labels a cheap payment at one opens the other.
    /// With different labels neither opens the other, in any dialect. Changing the label
    /// invalidates everything that was sold before.
    ///
    /// The label does not separate services under
    /// [`accept_foreign_proofs`](Self::accept_foreign_proofs): foreign x402 proofs carry no label,
    /// and count at this service's current price. [`l402_service`](Self::l402_service) is only the
    /// name that clients write into caveats.
    pub fn service(mut self, label: impl Into<String>) -> Self {
        self.service = Some(label.into());
        self
    }

    /// Sets the store that remembers spent payments. Required. On mainnet
    /// ([`Network::Bitcoin`](crate::Network::Bitcoin)) it must be durable.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Refuses credentials that these revocations name. Keep a clone to revoke with. If several
    /// processes share the records, call [`refresh`](Revocations::refresh) on the clone from time
    /// to time. By default nothing is revoked.
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Allows a store that may forget spent payments when its process or server ends, on mainnet
    /// too. By default [`build`](Self::build) refuses one there.
    /// [`accept_foreign_proofs`](Self::accept_foreign_proofs) still needs a durable store.
    pub fn allow_volatile_replay_store(mut self) -> Self {
        self.allow_volatile_replay_store = true;
        self
    }

    /// Allows a node on signet, testnet or regtest, whose money is worth nothing. By default
    /// [`build`](Self::build) refuses one, unless the node runs in this process.
    pub fn allow_test_network(mut self) -> Self {
        self.allow_test_network = true;
        self
    }

    /// Sets the enabled dialects, the most preferred first. The default is all that are compiled in:
    /// L402, MPP, x402. The order helps to decide what a 402 leaves out if its headers are too long:
    /// see [`challenge_header_bytes`](Self::challenge_header_bytes).
    pub fn dialects(mut self, names: impl IntoIterator<Item = DialectName>) -> Self {
        self.dialects = Some(names.into_iter().collect());
        self
    }

    /// Sets the name of this service in the L402 caveats `services` and `<name>_valid_until`, which
    /// come from aperture, the L402 proxy of Lightning Labs. Holders narrow their tokens with them.
    /// The default is the host of the origin. It does not separate two services: use
    /// [`service`](Self::service) for that.
    pub fn l402_service(mut self, name: impl Into<String>) -> Self {
        self.l402_service = Some(name.into());
        self
    }

    /// Sets the clock. The default is the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how many unpaid invoices one client may hold (default 64). Each 402 counts as one, also
    /// a 402 for a refused credential, until its credential is accepted. Above the limit: 429. An IPv6 network of 56
    /// bits may hold four times as many (256), one of 48 bits sixteen times as many (1,024).
    /// Neither may hold more than half of [`max_unpaid`](Self::max_unpaid).
    ///
    /// A client that paid in the last 24 hours may hold four times as many, while less than half of
    /// [`max_unpaid`](Self::max_unpaid) and of its networks' shares is held. `Retry-After` of the
    /// 429 estimates when a slot is free: after the time that the client lately took to pay (1 s to
    /// 60 s), or when its first invoice expires if it never paid (5 s while that is younger than
    /// 10 s).
    pub fn max_unpaid_per_client(mut self, invoices: usize) -> Self {
        self.limits.per_client = invoices;
        self
    }

    /// Sets how many unpaid invoices all clients together may hold (default 10,000). The last 10 %
    /// of these, and of the share of each IPv6 network, are reserved for clients that have paid in
    /// the last 24 hours.
    pub fn max_unpaid(mut self, invoices: usize) -> Self {
        self.limits.total = invoices;
        self
    }

    /// Sets the longest body that the layer reads, in bytes (at least 1). A longer one is answered
    /// with 413. The default is 2 MiB, or 1/16 of [`body_pool`](Self::body_pool) if that is less. The limit may
    /// be at most half of the pool: otherwise clients could pay for a request whose body can never
    /// be buffered. Above 1/16 the pool's shares protect other clients less. At one half, a single
    /// body fills the memory for paid requests. Meanwhile other paid requests whose body must be
    /// buffered get 503.
    ///
    /// The layer does not read a body that it does not have to bind (L402 at a fixed price). Then
    /// this limit does not protect the handler: give such routes a limit of their own.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Sets how many bytes all buffered bodies may take together (default 64 MiB). Above it the
    /// answer is 503. Half is for requests with a genuine credential, half for requests whose body
    /// a price function reads.
    ///
    /// Of each half, one payment may take 1/8, one client 1/4, one IPv6 network of 56 bits 3/8 and
    /// one of 48 bits 1/2. Each share holds at least one body of [`body_limit`](Self::body_limit):
    /// keep that limit at most 1/16 of the pool. Clients without a known address have no share of
    /// their own.
    pub fn body_pool(mut self, bytes: usize) -> Self {
        self.body_pool = bytes;
        self
    }

    /// Sets how long the node, the store, a price function and a body may each take (default 10 s).
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets how long an invoice can be paid, in whole seconds (default 300 s, at most a year).
    pub fn invoice_expiry(mut self, expiry: Duration) -> Self {
        self.invoice_expiry = expiry;
        self
    }

    /// Sets how long an L402 credential for one request stays valid after its invoice expires
    /// (whole seconds, default 24 h, at least 60 s), because a payment may settle late. The other dialects fix
    /// this time: x402 accepts a proof until 60 s after the invoice expires, MPP a credential until
    /// it expires.
    pub fn redeem_within(mut self, time: Duration) -> Self {
        self.redeem_within = time;
        self
    }

    /// Sets how long an L402 credential for several uses stays valid after its invoice expires
    /// (whole seconds, default 30 days, at least 60 s).
    pub fn uses_within(mut self, time: Duration) -> Self {
        self.uses_within = time;
        self
    }

    /// Sets how many failed uses of one payment are given back (default 2). A use failed if the
    /// service answered 408, 425, 429 or 5xx, or returned an error, or panicked.
    /// [`Charge::failed_if`](super::Charge::failed_if) decides by the answer instead. L402 only: in
    /// x402 and MPP the use stays spent, unless the charge says
    /// [`no_charge_for_failures`](super::Charge::no_charge_for_failures). If the failure comes more
    /// than ten minutes after the use was granted, only the last five uses of a payment are given
    /// back.
    pub fn max_restores(mut self, restores: u32) -> Self {
        self.max_restores = restores;
        self
    }

    /// Accepts x402 proofs that another server with the same receiver key issued, if they are for
    /// the current price. Anyone who can make the node sign an invoice can issue such proofs. So
    /// nobody else may be able to
    /// ([`KeyCustody::Exclusive`](crate::lightning::KeyCustody::Exclusive)). A proof for another
    /// [`service`](Self::service) at the same URL counts too. This paywall's own times
    /// ([`redeem_within`](Self::redeem_within)) decide how long the store remembers such proofs:
    /// servers that share a store must use the same times. By default foreign proofs are refused.
    ///
    /// If a price function sets the price, it runs for each such payment at most twice in a burst,
    /// then once every 5 s. For proofs that fail, one client may cause 64 runs in a burst, then one
    /// each second. An IPv6 network of 56 bits gets four times as many, one of 48 bits sixteen
    /// times as many. Above that the answer is 429.
    ///
    /// All servers of one receiver key must share one durable store, because a second store accepts
    /// what the first one has redeemed.
    /// [`allow_volatile_replay_store`](Self::allow_volatile_replay_store) does not change that. A
    /// new store accepts only proofs whose invoice was made more than two minutes after the store
    /// ([`ReplayStore::created_at`]). Older ones get a 402 with a fresh invoice, and the log says
    /// until when. The clock must be right when a store is created.
    ///
    /// A store restored from a backup accepts again what was redeemed since the backup, and a new
    /// master secret does not change that. After a restore, leave this off until all earlier
    /// invoices have expired.
    pub fn accept_foreign_proofs(mut self) -> Self {
        self.accept_foreign_proofs = true;
        self
    }

    /// Leaves credentials in the request that the inner service gets, on priced and on free routes.
    /// By default the layer removes them. A gateway needs this if the server behind it has the same
    /// master secrets and charges by itself. Shared caches still may not store the answers.
    /// Credentials that an outer layer removed stay removed, unless this paywall issued them.
    pub fn keep_credentials(mut self) -> Self {
        self.keep_credentials = true;
        self
    }

    /// Changes the layer's own answers with a function: the body, its content type and further
    /// headers, never the status or a header that the layer sets. See [`OwnAnswer`].
    ///
    /// The function runs for each answer that does not come from the inner service: 402, and the
    /// others that [`server`](crate::server) lists. It must not block. If it panics, the answer is
    /// sent unchanged and the log says so. If this method is called again, the last function
    /// counts.
    ///
    /// ```
    /// use http::{HeaderName, HeaderValue, StatusCode};
    /// use tower_x402::server::{OwnAnswer, PaywallBuilder};
    ///
    /// fn with_help(builder: PaywallBuilder) -> PaywallBuilder {
    ///     builder.answers(|answer: &mut OwnAnswer| {
    ///         answer.set_header(
    ///             HeaderName::from_static("link"),
    ///             HeaderValue::from_static("<https://example.com/pay>; rel=\"help\""),
    ///         );
    ///         if answer.status() == StatusCode::NOT_FOUND {
    ///             answer.set_body(HeaderValue::from_static("text/plain"), "no such page\n");
    ///         }
    ///     })
    /// }
    /// # let _ = with_help;
    /// ```
    pub fn answers(mut self, change: impl Fn(&mut OwnAnswer) + Send + Sync + 'static) -> Self {
        self.answer_hook = Some(AnswerHook::new(change));
        self
    }
}
