//! Warnings that are logged once, or once in a while: faults become visible, and no client can fill
//! the log.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use http::request::Parts;

use super::overlooked::Overlooked;
use crate::{
    clock::Timestamp,
    lock::lock,
    payment::Amount,
    server::{
        address::{ClientKey, Proxies},
        limit::{Full, NotCounted, UnpaidLimits},
    },
    trace,
};

/// After this many requests an address counts as a proxy that was not configured.
const MANY: u32 = 16;

/// How many addresses are counted at the same time.
const SUSPECTS: usize = 64;

/// A frequent event is logged once in this many seconds.
const SELDOM_SECONDS: u64 = 300;

/// What was left out of a 402's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum LeftOut {
    /// What the client can pay without: it named another dialect, or no dialect is missing.
    Spare,
    /// A dialect that the client may need.
    Dialects,
}

#[derive(Debug, Default)]
pub(in crate::server) struct Notices {
    unknown: AtomicBool,
    overlooked: AtomicBool,
    suspects: Mutex<HashMap<Overlooked, u32>>,
    full_for_one: Seldom,
    full_for_all: Seldom,
    not_free: Seldom,
    identifier_not_noted: Seldom,
    answer_not_kept: Seldom,
    misdirected: Seldom,
    spare_cut: AtomicBool,
    dialects_cut: AtomicBool,
    sold_for_less: AtomicBool,
}

impl Notices {
    /// Notes an unpaid request.
    pub(in crate::server) fn unpaid_request(
        &self,
        proxies: &Proxies,
        head: &Parts,
        client: ClientKey,
    ) {
        if client == ClientKey::Unknown && !self.unknown.swap(true, Ordering::Relaxed) {
            trace::warn(format_args!(
                "a client's address is not known: all such clients share one limit for unpaid invoices and get no \
                 free requests; serve with `into_make_service_with_connect_info::<SocketAddr>()`, or insert a `ClientAddr` into each \
                 request's extensions, and have trusted proxies name their clients"
            ));
        }
        if !self.overlooked.load(Ordering::Relaxed)
            && let Some(overlooked) = proxies.overlooked(head)
            && self.count(overlooked) >= MANY
        {
            self.warn_of(proxies, overlooked);
        }
    }

    /// Notes a request that got no invoice, because there are too many unpaid ones.
    pub(in crate::server) fn full(
        &self,
        (proxies, limits): (&Proxies, &UnpaidLimits),
        head: &Parts,
        full: Full,
        now: Timestamp,
    ) {
        match full {
            Full::All if self.full_for_all.is_due(now) => trace::warn(format_args!(
                "no invoices for clients that have not paid before: all clients together hold their {} unpaid ones; \
                 .max_unpaid(..) allows more, and a shorter .invoice_expiry(..) frees them sooner",
                limits.total
            )),
            Full::Block(block) if self.full_for_one.is_due(now) => trace::warn(format_args!(
                "no invoices for the network {block}: its clients hold its share of {} unpaid ones; .max_unpaid_per_client(..) and \
                 .max_unpaid(..) allow more",
                limits.of_block(block)
            )),
            Full::Client(client, most) if self.full_for_one.is_due(now) => {
                trace::warn(format_args!(
                    "no invoices for the client {client}: it holds its {most} unpaid ones; .max_unpaid_per_client(..) allows more{}",
                    self.advice(proxies, head)
                ))
            }
            Full::Shared(client) if self.full_for_one.is_due(now) => trace::warn(format_args!(
                "no invoices for the client {client}: the instances that share their limits hold its {} unpaid ones together, or almost; \
                 .max_unpaid_per_client(..) and .max_unpaid(..) allow more",
                limits.per_client
            )),
            Full::All | Full::Block(_) | Full::Client(..) | Full::Shared(_) => {}
        }
    }

    /// Notes a request that was not free, because its free allowance could not be counted.
    pub(in crate::server) fn not_free(&self, fault: &NotCounted, now: Timestamp) {
        if self.not_free.is_due(now) {
            trace::error(format_args!(
                "a free allowance could not be counted, so clients are asked to pay: {fault}"
            ));
        }
    }

    /// Notes a payment identifier for which there was no room.
    pub(in crate::server) fn identifier_not_noted(&self, now: Timestamp) {
        if self.identifier_not_noted.is_due(now) {
            trace::warn(format_args!(
                "a request was served and its payment identifier was not noted, because there is no room: the client, its network or \
                 all clients together have too many, or the records of KeptAnswers are full; a shorter .time(..) frees them sooner"
            ));
        }
    }

    /// Notes an answer for which there was no room.
    pub(in crate::server) fn answer_not_kept(&self, now: Timestamp) {
        if self.answer_not_kept.is_due(now) {
            trace::warn(format_args!(
                "an answer was not kept, because there is no room: raise .bytes_in_all(..) of KeptAnswers"
            ));
        }
    }

    /// A request that names an authority which is not this server's.
    pub(in crate::server) fn misdirected(&self, now: Timestamp) {
        if self.misdirected.is_due(now) {
            trace::warn(format_args!(
                "a request named an authority that is not this server's and was answered with 421: if it is this server's, add it \
                 with .origin(..) or .accept_authority(..)"
            ));
        }
    }

    /// Notes a credential that is accepted, sold for an amount that may be less than today's price.
    #[inline]
    pub(in crate::server) fn accepted(&self, price: Option<Amount>, sold_for: Amount) {
        if let Some(price) = price
            && sold_for < price
            && !self.sold_for_less.swap(true, Ordering::Relaxed)
        {
            trace::info(format_args!(
                "a credential that was sold for {sold_for} is accepted on a route whose price is {price} now, because what was \
                 sold is served; if two charges serve this URL at the same time, give each its own paywall with a .service(..) \
                 label, and to void what was sold call .sold_since(..)"
            ));
        }
    }

    /// Notes a 402 whose challenge headers were longer than their limit, all in bytes.
    pub(in crate::server) fn challenges_cut(
        &self,
        left_out: LeftOut,
        full: usize,
        kept: usize,
        limit: usize,
    ) {
        let (logged, what) = match left_out {
            LeftOut::Spare => (
                &self.spare_cut,
                "copies for older clients, optional members, or the dialects that a request did not ask for: every client can still pay",
            ),
            LeftOut::Dialects => (
                &self.dialects_cut,
                "whole dialects (MPP if there was no `Accept-Payment`, then the last of .dialects([..])), so some clients cannot pay",
            ),
        };
        if !logged.swap(true, Ordering::Relaxed) {
            let log = match left_out {
                LeftOut::Spare => trace::info,
                LeftOut::Dialects => trace::warn,
            };
            log(format_args!(
                "a 402 would have had {full} bytes of challenge headers, and .challenge_header_bytes({limit}) allows fewer, so \
                 {kept} bytes were sent, without {what}; the body has all challenges; .challenge_header_bytes(..) \
                 allows more, if every proxy does too (nginx: `proxy_buffer_size 16k;`)"
            ));
        }
    }

    /// What else may help a client that holds too many. It does not use up the one notice of
    /// [`tell_of`](Self::tell_of), because one request proves no proxy.
    fn advice(&self, proxies: &Proxies, head: &Parts) -> String {
        match proxies.overlooked(head) {
            None => String::from(", and if it is a proxy, name it with .trusted_proxy(..)"),
            Some(Overlooked::Proxy(address)) if !self.overlooked.load(Ordering::Relaxed) => {
                format!(
                    "; it sends a proxy's headers, as any client can: only if it is your proxy, call .trusted_proxy(\"{address}\")"
                )
            }
            Some(_) => String::new(),
        }
    }

    /// Counts a request from it. Returns how many there were.
    fn count(&self, overlooked: Overlooked) -> u32 {
        let mut suspects = lock(&self.suspects);
        if suspects.len() >= SUSPECTS && !suspects.contains_key(&overlooked) {
            return 0;
        }
        let count = suspects.entry(overlooked).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn warn_of(&self, proxies: &Proxies, overlooked: Overlooked) {
        if self.overlooked.swap(true, Ordering::Relaxed) {
            return;
        }
        match overlooked {
            Overlooked::Proxy(address) => trace::warn(format_args!(
                "{address} may be a proxy that is not configured: its requests carry `X-Forwarded-For` or `Forwarded`, as any client's \
                 can, and all clients behind it count as one, for unpaid invoices and for free requests; only if it is your \
                 proxy, call `.trusted_proxy(\"{address}\")`: a trusted address can name any client"
            )),
            Overlooked::Header(address) => {
                let header = proxies.header();
                trace::warn(format_args!(
                    "the trusted proxy {address} does not send the header `{}`, so all clients behind it count as one, for \
                     unpaid invoices and for free requests; have it send that header, or, if it writes `{}` itself, {} \
                     `.proxies_send_forwarded()`",
                    header.name(),
                    header.other().name(),
                    if header.reads_forwarded() {
                        "leave out"
                    } else {
                        "call"
                    }
                ));
            }
        }
    }
}

/// When an event was last logged.
#[derive(Debug, Default)]
struct Seldom(AtomicU64);

impl Seldom {
    /// Returns whether to log it again. If so, it counts as logged.
    fn is_due(&self, now: Timestamp) -> bool {
        let now = now.as_unix_seconds();
        let last = self.0.load(Ordering::Relaxed);
        // A clock that was ahead may be corrected.
        let is_due = last == 0 || now < last || now - last >= SELDOM_SECONDS;
        is_due
            && self
                .0
                .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
