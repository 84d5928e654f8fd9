use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock},
    dialect::secrets::Secrets,
    lightning::Receiver,
    payment::DialectName,
    replay::{ReplayStore, Revocations},
    server::{
        address::ForwardedBy,
        limit::UnpaidLimits,
        own_answer::{AnswerHook, OwnAnswer},
    },
};

/// Sets up a [`Paywall`](super::Paywall).
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
    pub(in crate::server) forwarded_by: ForwardedBy,
    pub(in crate::server) l402_service: Option<String>,
    pub(in crate::server) clock: Arc<dyn Clock>,
    pub(in crate::server) limits: UnpaidLimits,
    /// Where it was set.
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
            forwarded_by: ForwardedBy::default(),
            l402_service: None,
            clock: Arc::new(SystemClock::new()),
            limits: UnpaidLimits::default(),
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
        }
    }

    /// The public origin of the service, as `https://api.example.com`: what clients call, and what
    /// credentials are bound to. Required; called again it adds a further one. Plain `http` is for
    /// loopback addresses and `localhost` only. Requests that name a loopback address as their host
    /// are taken as made to the first origin, which is what their credentials are bound to.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push((origin.into(), false));
        self
    }

    /// A public origin that may be plain `http`. Whoever can read the traffic can spend what others
    /// paid for.
    pub fn insecure_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push((origin.into(), true));
        self
    }

    /// A further authority, as `internal:8080`, that requests may name. What is bound is still the
    /// first configured origin.
    pub fn accept_authority(mut self, authority: impl Into<String>) -> Self {
        self.authorities.push(authority.into());
        self
    }

    /// Believes `X-Forwarded-For` and `X-Forwarded-Host` of peers in this network, as `10.0.0.0/8`
    /// or `::1`.
    pub fn trusted_proxy(mut self, network: impl Into<String>) -> Self {
        self.proxies.push(network.into());
        self
    }

    /// Trusted proxies tell their clients in `Forwarded` (RFC 7239) instead of `X-Forwarded-For`.
    pub fn proxies_send_forwarded(mut self) -> Self {
        self.forwarded_by = ForwardedBy::Forwarded;
        self
    }

    /// The one secret that everything is derived from: at least 32 random bytes, the same on every
    /// replica and after every restart. Required, unless [`secrets`](Self::secrets) or
    /// [`master_secret_file`](Self::master_secret_file) is called. If an origin is not a loopback
    /// address, text (hex and base64 too) and bytes that repeat themselves are refused.
    pub fn master_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secrets = Some(Secrets::new(secret).map_err(|error| error.to_string()));
        self
    }

    /// Reads the master secret from a file with [`Secrets::from_file`]: 32 to 4,096 random bytes,
    /// made once with `(umask 077; head -c 32 /dev/urandom > master-secret)`.
    /// [`build`](Self::build) tells if it could not be read.
    pub fn master_secret_file(mut self, path: impl AsRef<Path>) -> Self {
        self.secrets = Some(Secrets::from_file(path).map_err(|error| error.to_string()));
        self
    }

    /// A ring of master secrets, which can change while the server runs. It replaces
    /// [`master_secret`](Self::master_secret) and [`master_secret_file`](Self::master_secret_file):
    /// the last call counts.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = Some(Ok(secrets));
        self
    }

    /// Labels this service, as `weather`, among those that have its origin, master secret and
    /// store: 1 to 64 printable ASCII characters, the same on every replica and after every
    /// restart. Without it there is no label, and the origin alone tells services apart.
    ///
    /// A credential is bound to the origin and to what the client asks for, not to the server that
    /// answers. So two services need different labels if a client uses the same URL for both: two
    /// names of [`accept_authority`](Self::accept_authority), or a gateway that strips `/cheap` and
    /// `/dear` from the path. Otherwise a cheap payment at one opens the other. With different
    /// labels neither opens the other, in any dialect. A new label makes all that was sold before
    /// worthless.
    ///
    /// It separates nothing under [`accept_foreign_proofs`](Self::accept_foreign_proofs), which
    /// takes x402 proofs that nobody here labelled, at this service's current price.
    /// [`l402_service`](Self::l402_service) is only the name that clients write into caveats.
    pub fn service(mut self, label: impl Into<String>) -> Self {
        self.service = Some(label.into());
        self
    }

    /// Where spent payments are remembered. Required. On mainnet
    /// ([`Network::Bitcoin`](crate::Network::Bitcoin)) it must be durable.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Refuses what these revoke. Keep a clone: to revoke, and to refresh from time to time where
    /// several processes share the records.
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Takes a store that forgets what was spent when the process ends, on mainnet too.
    /// [`accept_foreign_proofs`](Self::accept_foreign_proofs) needs a durable store nevertheless.
    pub fn allow_volatile_replay_store(mut self) -> Self {
        self.allow_volatile_replay_store = true;
        self
    }

    /// Takes test money: required for a node of your own that is on signet, testnet or regtest.
    pub fn allow_test_network(mut self) -> Self {
        self.allow_test_network = true;
        self
    }

    /// The dialects to speak; by default all that are compiled in.
    pub fn dialects(mut self, names: impl IntoIterator<Item = DialectName>) -> Self {
        self.dialects = Some(names.into_iter().collect());
        self
    }

    /// The name of this service in L402 caveats of aperture's kind (`services`,
    /// `<name>_valid_until`); by default the host of the origin. Holders narrow their tokens with
    /// it; it goes into no key and keeps no two services apart, as [`service`](Self::service) does.
    pub fn l402_service(mut self, name: impl Into<String>) -> Self {
        self.l402_service = Some(name.into());
        self
    }

    /// The clock; by default the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many unpaid invoices one client may hold (default 64): each 402 is one, those to refused
    /// credentials too. Beyond it 429. An IPv6 network of 56 bits may hold four times as many
    /// (256), one of 48 bits sixteen times as many (1,024), and neither more than half of
    /// [`max_unpaid`](Self::max_unpaid).
    pub fn max_unpaid_per_client(mut self, invoices: usize) -> Self {
        self.limits.per_client = invoices;
        self
    }

    /// How many unpaid invoices all clients together may hold (default 10,000). Clients that have
    /// not paid in the last 24 hours get at most nine tenths of these, and of the share of their
    /// network.
    pub fn max_unpaid(mut self, invoices: usize) -> Self {
        self.limits.total = invoices;
        self
    }

    /// Sets how many bytes of a body are read, if it is read at all. A longer body is 413. The
    /// default is 2 MiB, or a sixteenth of [`body_pool`](Self::body_pool) if that is less. It may
    /// be at most half of the pool: otherwise clients could pay for a request whose body can never
    /// be held. Beyond a sixteenth the shares of the pool protect less; at half of it one body
    /// fills all that is there for the paid, and each waits for the other. A body that nothing is
    /// bound to is not read here (L402 at a fixed price): this limit does not protect the handlers
    /// of such routes, which need a limit of their own.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Sets how many bytes all bodies that are held in memory may take together (default 64 MiB).
    /// Beyond it a request is 503. Half is for requests with a genuine credential, half for
    /// requests whose body a price function must read. Of each half one payment may take an eighth,
    /// one client a quarter, one IPv6 network of 56 bits three eighths and one of 48 bits a half,
    /// or one body of [`body_limit`](Self::body_limit) if that is more: keep that limit at most a
    /// sixteenth of the pool. Clients without a known address have no share of their own.
    pub fn body_pool(mut self, bytes: usize) -> Self {
        self.body_pool = bytes;
        self
    }

    /// How long the node, the store, a price function and a body may take, each (default 10 s).
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How long an invoice may be paid, in whole seconds (default 300 s).
    pub fn invoice_expiry(mut self, expiry: Duration) -> Self {
        self.invoice_expiry = expiry;
        self
    }

    /// How long after its invoice's end an L402 credential for one request stays valid (default 24
    /// h, at least 60 s): a payment may settle late. The other dialects have no such time: x402
    /// takes a proof until 60 s after the invoice's end, MPP a credential until that end.
    pub fn redeem_within(mut self, time: Duration) -> Self {
        self.redeem_within = time;
        self
    }

    /// How long after its invoice's end an L402 credential for several uses stays valid (default 30
    /// days).
    pub fn uses_within(mut self, time: Duration) -> Self {
        self.uses_within = time;
        self
    }

    /// How often, for one payment, a use that the service failed (5xx, a panic) may be presented
    /// again (default 2). L402 only: x402 and MPP leave it spent. A failure more than ten minutes
    /// after the grant counts for the last five uses of a payment alone.
    pub fn max_restores(mut self, restores: u32) -> Self {
        self.max_restores = restores;
        self
    }

    /// Takes x402 proofs that another server with the same receiver key issued, at the current
    /// price. Whoever can make that node sign can name the price. A proof for another
    /// [`service`](Self::service) at the same URL counts too. How long they are remembered follows
    /// from this paywall's own times ([`redeem_within`](Self::redeem_within)): servers that share a
    /// store must have the same. If a price function sets the price, it runs for such a proof at
    /// most twice at once and once more every 5 s. One client may cause 64 runs at once, and one
    /// more each second, for proofs that fail; an IPv6 network of 56 bits four times as many, one
    /// of 48 bits sixteen times as many. Beyond that the answer is 429.
    ///
    /// All servers of one receiver key must share one durable store, because a second store accepts
    /// what the first one has redeemed. [`allow_volatile_replay_store`](Self::allow_volatile_replay_store) does
    /// not change that. A new store takes only proofs whose invoice was made more than two minutes
    /// after the store ([`ReplayStore::created_at`]); older ones are 402 with a fresh invoice, and
    /// the log says until when. The clock must be right when a store is made. A store that was put
    /// back from a backup takes again what was redeemed since it was copied, and a new master
    /// secret does not change that: leave this off until the invoices from before have expired.
    pub fn accept_foreign_proofs(mut self) -> Self {
        self.accept_foreign_proofs = true;
        self
    }

    /// Leaves credentials in the request that the inner service gets, on priced and on free routes.
    /// A gateway needs this if the server behind it has the same master secrets and asks the price
    /// itself. Answers are private nevertheless. What another layer further out has taken out stays
    /// out, unless this paywall issued it.
    pub fn keep_credentials(mut self) -> Self {
        self.keep_credentials = true;
        self
    }

    /// Changes the layer's own answers with a function: the body, its content type and further
    /// headers, never the status or a header that the layer sets. See [`OwnAnswer`].
    ///
    /// The function runs for each answer that does not come from the inner service: 402, and the
    /// others that [`server`](crate::server) lists. It must not block. If it panics, the answer is
    /// sent unchanged and the log says so. Called again, the last function counts.
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
