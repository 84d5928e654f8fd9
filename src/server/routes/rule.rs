use std::collections::BTreeSet;

use http::request::Parts;
use tokio::time::Instant;

use super::matching;
use crate::{
    clock::Timestamp,
    dialect::{Captures, Options, Route, bound, list::DIALECTS},
    payment::{Amount, Proof, Resource, Spend, Terms},
    server::{
        config::{Charge, ConfigError, paywall::PaywallState},
        limit::FreeAllowance,
        origin,
    },
};

/// A checked charge and its terms.
#[derive(Debug)]
pub(in crate::server) struct Rule {
    pub(in crate::server) charge: Charge,
    pub(in crate::server) terms: Terms,
    pub(in crate::server) allowance: Option<FreeAllowance>,
    /// The path of the rule in a table. `None` for a layer without a table.
    pattern: Option<Box<str>>,
}

/// When the body of an answer ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct AnswerEnd {
    pub(in crate::server) at: Instant,
    /// A gRPC client needs a status then.
    pub(in crate::server) is_grpc: bool,
}

impl Rule {
    /// Checks a charge and computes its terms.
    pub(in crate::server) fn new(
        setup: &PaywallState,
        charge: Charge,
        pattern: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let place = pattern.unwrap_or("charge(..)");
        let wrong = |text: String| Err(ConfigError::at(place, text));
        charge
            .check()
            .map_err(|text| ConfigError::at(place, text))?;
        let mut former = charge.former_patterns.iter().chain(&charge.former_routes);
        if let Some(former) = former.find(|text| !matching::is_pattern(text)) {
            return wrong(format!(
                "{former:?} is no former pattern: write it like `/weather/{{city}}`"
            ));
        }
        if charge
            .sold_since
            .is_some_and(|since| since > setup.clock.now())
        {
            return wrong(
                ".sold_since(..) lies in the future, and what is sold until then would be refused: name a moment that has passed".into(),
            );
        }
        let fixed = charge.price.fixed();
        let mut terms = terms(setup, &charge).map_err(|text| ConfigError::at(place, text))?;
        for earlier in &charge.earlier {
            let wrong = |text: String| {
                ConfigError::at(
                    place,
                    format!("an earlier charge cannot have been sold: {text}"),
                )
            };
            earlier.check().map_err(wrong)?;
            let earlier = self::terms(setup, earlier).map_err(wrong)?;
            terms.earlier.push(earlier);
        }
        let fraction = fixed.filter(|amount| amount.as_whole_sat().is_none());
        if let Some(amount) = fraction.filter(|_| setup.profile.whole_sats_only) {
            return wrong(format!(
                "the node makes invoices for whole satoshis only, and the price is {amount}: round the price"
            ));
        }
        let faults = setup.dialects.iter().map(|dialect| {
            let fault = dialect.cannot_sell(&terms, fixed)?;
            Some(format!("{} {fault}", dialect.name()))
        });
        if let Some(faults) = faults.collect::<Option<Vec<_>>>() {
            return wrong(format!(
                "no enabled dialect can sell this: {}; {}",
                faults.join(", "),
                advice(setup, &terms, fixed)
            ));
        }
        let allowance = charge
            .free_allowance
            .clone()
            .or_else(|| charge.free_per_day.map(FreeAllowance::per_day));
        Ok(Self {
            charge,
            terms,
            allowance,
            pattern: pattern.map(Box::from),
        })
    }

    /// Returns when the answer to a request ends, if the charge ends answers, today's or an earlier
    /// one. Only a duration ends: other credentials are valid until then, and buy whole answers.
    pub(in crate::server) fn ends_at(&self, proof: &Proof, now: Timestamp) -> Option<AnswerEnd> {
        let mut earlier = self.charge.earlier.iter();
        let ends = self.charge.ends_streams || earlier.any(|charge| charge.ends_streams);
        if !ends || proof.spend != Spend::Never {
            return None;
        }
        let at = Instant::now().checked_add(proof.valid_until.saturating_since(now))?;
        let is_grpc = self.terms.is_grpc;
        Some(AnswerEnd { at, is_grpc })
    }

    /// Returns how many failed uses are given back. The dialect says how many by its specification.
    pub(in crate::server) fn restores(&self, by_dialect: u32) -> u32 {
        match self.charge.failures.in_every_dialect {
            true => self.terms.max_restores,
            false => by_dialect,
        }
    }

    /// Returns what several uses or a duration are bound to: the nest's prefix and the rule's
    /// pattern; axum's matched path if there is no table; the path if there is neither.
    pub(in crate::server) fn route<'a>(&'a self, head: &'a Parts) -> Route<'a> {
        if let Some(pattern) = self.pattern.as_deref() {
            let prefix = origin::prefix(head);
            return Route { prefix, pattern };
        }
        match origin::matched_path(&head.extensions) {
            Some(pattern) => Route {
                prefix: "",
                pattern,
            },
            None => Route {
                prefix: origin::original_uri(&head.extensions, &head.uri).path(),
                pattern: "",
            },
        }
    }

    /// Returns what the pattern of a request captured, which is read only if a credential binds it.
    pub(in crate::server) fn captures<'a>(&'a self, head: &'a Parts) -> Captures<'a> {
        let original = || origin::original_uri(&head.extensions, &head.uri).path();
        let (pattern, path) = match self.pattern.as_deref() {
            Some(pattern) => (pattern, head.uri.path()),
            None => (
                origin::matched_path(&head.extensions).unwrap_or_default(),
                original(),
            ),
        };
        Captures::Unread {
            pattern,
            path,
            read: matching::captures,
        }
    }
}

/// Works out the terms of a charge, without those of earlier charges.
fn terms(setup: &PaywallState, charge: &Charge) -> Result<Terms, String> {
    let lower = |names: &[String]| -> BTreeSet<String> {
        names.iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    let priced_headers = lower(&charge.read_headers);
    let bound_headers = &lower(&charge.bound_headers) | &priced_headers;
    let carries_credentials = setup
        .dialects
        .iter()
        .any(|dialect| dialect.is_in_authorization(charge.authorization_taken));
    if carries_credentials && bound_headers.contains("authorization") {
        return Err(
            "authorization carries credentials: it can neither be bound nor used for a price"
                .into(),
        );
    }
    let bound_headers = Vec::from_iter(bound_headers);
    let (access, is_priced) = (charge.access(), charge.price.fixed().is_none());
    Ok(Terms {
        network: setup.profile.network,
        pay_to: setup.profile.public_key,
        access,
        resource: Resource {
            description: charge.description.clone(),
            mime_type: charge.mime_type.clone(),
            service_name: charge.service_name.clone(),
            tags: charge.tags.clone(),
            icon_url: charge.icon_url.clone(),
        },
        binds: bound::words(access, is_priced, charge.reads_body, &bound_headers),
        bound_headers,
        streams_body: charge.stream_body,
        is_grpc: charge.grpc,
        priced_headers: priced_headers.into_iter().collect(),
        bound_covers_body: charge.reads_body,
        binds_multipart: charge.bind_multipart,
        former_patterns: charge.former_patterns.clone(),
        former_routes: charge.former_routes.clone(),
        other_patterns: charge.other_patterns.clone(),
        sold_since: charge.sold_since,
        earlier: Vec::new(),
        invoice_expiry: setup.invoice_expiry,
        redeem_within: setup.redeem_within,
        uses_within: setup.uses_within,
        max_restores: setup.max_restores,
        foreign_proofs_since: setup
            .accept_foreign_proofs
            .then(|| setup.store.created_at()),
        authorization_taken: charge.authorization_taken,
        keeps_answers: charge.kept.is_some(),
    })
}

/// What to do if no enabled dialect can sell on these terms.
fn advice(setup: &PaywallState, terms: &Terms, fixed: Option<Amount>) -> String {
    let is_enabled = |name| setup.dialects.iter().any(|dialect| dialect.name() == name);
    let others = DIALECTS
        .iter()
        .filter(|listed| !is_enabled(listed.name))
        .filter_map(|listed| (listed.make)(&Options::default()).ok())
        .filter(|dialect| dialect.offers(terms, fixed));
    let names: Vec<_> = others.map(|dialect| dialect.name().as_str()).collect();
    match names.is_empty() {
        true => "change the charge".to_owned(),
        false => format!("enable {}, or change the charge", names.join(" or ")),
    }
}
