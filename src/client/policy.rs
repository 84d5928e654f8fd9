use std::time::Duration;

use http::Method;

use super::place::Place;
use crate::payment::Amount;

/// What a wallet may pay for, and what it never does.
///
/// The defaults: at most 100 sat for one payment and at most 10 sat of routing fee; any host, but
/// no address inside a network; `https` alone; any method; no payment if a redirect led to another
/// origin; invoices whose payee may hold the money for at most 144 blocks, with at least 30 seconds
/// left; at most 60 seconds for a payment; requests of at most 256 KiB.
///
/// ```
/// use tower_x402::{Amount, client::Policy};
///
/// let policy = Policy::new()
///     .max_payment(Amount::from_sat(50))
///     .allow_hosts(["api.example.com", "*.tools.example"]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Policy {
    pub(super) max_payment: Amount,
    pub(super) max_fee: Amount,
    allowed_hosts: Option<Vec<String>>,
    denied_hosts: Vec<String>,
    methods: Option<Vec<Method>>,
    pub(super) private_addresses: bool,
    pub(super) pays_after_redirects: bool,
    pub(super) dry_run: bool,
    pub(super) announces: bool,
    pub(super) max_body: usize,
    pub(super) max_final_cltv: u64,
    pub(super) min_life: Duration,
    pub(super) payment_time: Duration,
}

impl Policy {
    /// Creates a policy with the defaults.
    pub fn new() -> Self {
        Self {
            max_payment: Amount::from_sat(100),
            max_fee: Amount::from_sat(10),
            allowed_hosts: None,
            denied_hosts: Vec::new(),
            methods: None,
            private_addresses: false,
            pays_after_redirects: false,
            dry_run: false,
            announces: true,
            max_body: 256 * 1024,
            max_final_cltv: 144,
            min_life: Duration::from_secs(30),
            payment_time: Duration::from_secs(60),
        }
    }

    /// Sets the most that one payment may cost, without its routing fee.
    pub const fn max_payment(mut self, amount: Amount) -> Self {
        self.max_payment = amount;
        self
    }

    /// Sets the highest routing fee of one payment, on top of its amount.
    pub const fn max_fee(mut self, fee: Amount) -> Self {
        self.max_fee = fee;
        self
    }

    /// Sets the hosts that may be paid, and no others: `example.com` is one host, and
    /// `*.example.com` all below it.
    pub fn allow_hosts<I: Into<String>>(mut self, hosts: impl IntoIterator<Item = I>) -> Self {
        self.allowed_hosts = Some(patterns(hosts));
        self
    }

    /// Sets hosts that are never paid, in the same form, also if they are allowed.
    pub fn deny_hosts<I: Into<String>>(mut self, hosts: impl IntoIterator<Item = I>) -> Self {
        self.denied_hosts = patterns(hosts);
        self
    }

    /// Sets the methods whose requests may be paid, and no others.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = Some(methods.into_iter().collect());
        self
    }

    /// Allows requests to private, link-local and loopback addresses, and `http` to this machine.
    ///
    /// An agent's URL is not trusted. Without this it cannot make the wallet's process talk to
    /// services inside its network.
    pub const fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Allows payments to an origin to which another one redirected, and for a request to which a
    /// paid answer redirected.
    pub const fn pay_after_redirects(mut self) -> Self {
        self.pays_after_redirects = true;
        self
    }

    /// Sets that nothing is paid. The error of a request says what would have been paid.
    pub const fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Sets that requests do not say that their client pays: no `Accept-Payment`, no
    /// `Accept-Authenticate`.
    pub const fn no_announcements(mut self) -> Self {
        self.announces = false;
        self
    }

    /// Sets how many bytes of a request's body are kept to send it again. A request with a longer
    /// body, or one of unknown length, is sent and never paid for.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets for how many blocks the payee may hold the money before it claims it.
    pub const fn max_final_cltv(mut self, blocks: u64) -> Self {
        self.max_final_cltv = blocks;
        self
    }

    /// Sets how much time an invoice must have left, in whole seconds.
    pub const fn min_life(mut self, life: Duration) -> Self {
        self.min_life = life;
        self
    }

    /// Sets how long a payment may take. It is cut to what the invoice has left.
    pub const fn payment_time(mut self, time: Duration) -> Self {
        self.payment_time = time;
        self
    }

    /// Returns why requests to this place are not paid.
    pub(super) fn refuses(&self, place: &Place) -> Option<&'static str> {
        let is_listed = |list: &[String]| list.iter().any(|pattern| matches(pattern, &place.host));
        let is_home = || super::guard::leads(&place.host) == super::guard::Leads::Home;
        match () {
            () if !(place.is_https || self.private_addresses && is_home()) => {
                Some("the policy pays over https alone: ask for the https URL")
            }
            () if is_listed(&self.denied_hosts) => Some("the policy denies the host"),
            () if self
                .allowed_hosts
                .as_deref()
                .is_some_and(|list| !is_listed(list)) =>
            {
                Some("the policy does not list the host: add it with `allow_hosts`")
            }
            () if self
                .methods
                .as_ref()
                .is_some_and(|list| !list.contains(&place.method)) =>
            {
                Some("the policy does not list the method: add it with `methods`")
            }
            () => None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

fn patterns<I: Into<String>>(hosts: impl IntoIterator<Item = I>) -> Vec<String> {
    let lower = |host: I| host.into().trim_end_matches('.').to_ascii_lowercase();
    hosts.into_iter().map(lower).collect()
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(above) => host
            .strip_suffix(above)
            .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(policy: &Policy, method: &Method, url: &str) -> bool {
        let place = Place::of(method.clone(), url.parse().unwrap()).unwrap();
        policy.refuses(&place).is_some()
    }

    #[test]
    fn a_host_is_allowed_or_denied_as_a_whole_name() {
        let policy = Policy::new()
            .allow_hosts(["Example.com", "*.tools.example"])
            .deny_hosts(["bad.tools.example"]);
        for (host, is_refused) in [
            ("example.com", false),
            ("EXAMPLE.com.", false),
            ("a.example.com", true),
            ("notexample.com", true),
            ("a.tools.example", false),
            ("a.b.tools.example", false),
            ("tools.example", true),
            ("eviltools.example", true),
            (".tools.example", true),
            ("bad.tools.example", true),
        ] {
            let url = format!("https://{host}/");
            let Ok(uri) = url.parse() else { continue };
            let place = Place::of(Method::GET, uri);
            let refused = place.is_none_or(|place| policy.refuses(&place).is_some());
            assert_eq!(refused, is_refused, "{host}");
        }
    }

    #[test]
    fn http_is_paid_on_this_machine_alone_and_only_if_that_is_allowed() {
        let local = Policy::new().allow_private_addresses();
        for (policy, url, is_refused) in [
            (&Policy::new(), "https://a.example/", false),
            (&Policy::new(), "http://a.example/", true),
            (&Policy::new(), "http://127.0.0.1/", true),
            (&local, "http://127.0.0.1:3000/", false),
            (&local, "http://localhost:3000/", false),
            (&local, "http://10.0.0.1/", true),
            (&local, "http://a.example/", true),
        ] {
            assert_eq!(refuses(policy, &Method::GET, url), is_refused, "{url}");
        }
    }

    #[test]
    fn a_method_that_is_not_listed_is_not_paid() {
        let policy = Policy::new().methods([Method::GET]);
        assert!(!refuses(&policy, &Method::GET, "https://a.example/"));
        assert!(refuses(&policy, &Method::POST, "https://a.example/"));
    }
}
