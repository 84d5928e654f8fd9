use std::collections::HashSet;

use http::request::Parts;
use tokio::time::Instant;

use crate::{
    clock::Timestamp,
    dialect::{Options, list::DIALECTS},
    payment::{Amount, Resource, Terms},
    server::{
        config::{Charge, ConfigError, paywall::PaywallState},
        limit::Allowance,
        origin,
    },
};

/// A checked charge and its terms.
#[derive(Debug)]
pub(in crate::server) struct Rule {
    pub(in crate::server) charge: Charge,
    pub(in crate::server) terms: Terms,
    pub(in crate::server) allowance: Option<Allowance>,
    /// The path of the rule in a table. `None` for a layer without a table.
    pattern: Option<Box<str>>,
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
        let names: HashSet<String> = charge
            .bound_headers
            .iter()
            .chain(&charge.read_headers)
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let mut bound_headers: Vec<_> = names.into_iter().collect();
        bound_headers.sort_unstable();
        let fixed = charge.price.fixed();
        let carries_credentials = setup
            .dialects
            .iter()
            .any(|dialect| dialect.is_in_authorization(charge.authorization_taken));
        if carries_credentials && bound_headers.iter().any(|name| name == "authorization") {
            return wrong(
                "authorization carries credentials: it can neither be bound nor used for a price"
                    .into(),
            );
        }
        let terms = Terms {
            network: setup.profile.network,
            pay_to: setup.profile.public_key,
            access: charge.access(),
            resource: Resource {
                description: charge.description.clone(),
                mime_type: charge.mime_type.clone(),
                service_name: charge.service_name.clone(),
                tags: charge.tags.clone(),
                icon_url: charge.icon_url.clone(),
            },
            has_bound: fixed.is_none() || !bound_headers.is_empty(),
            bound_headers,
            streams_body: charge.stream_body,
            bound_covers_body: charge.reads_body,
            invoice_expiry: setup.invoice_expiry,
            redeem_within: setup.redeem_within,
            uses_within: setup.uses_within,
            max_restores: setup.max_restores,
            foreign_proofs_since: setup
                .accept_foreign_proofs
                .then(|| setup.store.created_at()),
            authorization_taken: charge.authorization_taken,
            keeps_answers: charge.kept.is_some(),
        };
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
        let allowance = charge.free_per_day.map(Allowance::new);
        Ok(Self {
            charge,
            terms,
            allowance,
            pattern: pattern.map(Box::from),
        })
    }

    /// Returns when the answer to a request ends whose credential is valid until then, if the
    /// charge ends answers.
    pub(in crate::server) fn ends_at(
        &self,
        valid_until: Timestamp,
        now: Timestamp,
    ) -> Option<Instant> {
        match self.charge.ends_streams {
            true => Instant::now().checked_add(valid_until.saturating_since(now)),
            false => None,
        }
    }

    /// Returns how many failed uses are given back. The dialect says how many by its specification.
    pub(in crate::server) fn restores(&self, by_dialect: u32) -> u32 {
        match self.charge.failures.in_every_dialect {
            true => self.terms.max_restores,
            false => by_dialect,
        }
    }

    /// Returns the nest's prefix and the rule's pattern, if the table is inside a nest.
    pub(in crate::server) fn nested(&self, head: &Parts) -> Option<String> {
        self.pattern
            .as_deref()
            .and_then(|pattern| origin::route(head, pattern))
    }

    /// Returns what several uses or a duration are bound to: the nest's prefix and the rule's
    /// pattern. Without a table it is axum's matched path, and without that the path.
    pub(in crate::server) fn route<'a>(
        &'a self,
        head: &'a Parts,
        nested: Option<&'a str>,
    ) -> &'a str {
        nested
            .or(self.pattern.as_deref())
            .or_else(|| origin::matched_path(&head.extensions))
            .unwrap_or_else(|| origin::original_uri(&head.extensions, &head.uri).path())
    }
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
