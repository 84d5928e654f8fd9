//! Settings of a charge that cannot be meant, whatever the dialects.

use http::HeaderName;

use super::Charge;
use crate::{
    dialect::list::is_credential_field,
    payment::{Access, Amount},
    server::limit::FreeAllowance,
};

impl Charge {
    /// Checks what does not depend on the dialects. The error text names the fix.
    pub(in crate::server) fn check(&self) -> Result<(), String> {
        let printable = |text: &str, most: usize| {
            text.len() <= most && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
        };
        let headers = || self.bound_headers.iter().chain(&self.read_headers);
        if self.price.fixed().is_some_and(Amount::is_zero) {
            return Err(
                "a price must be more than zero: leave out the layer, or name what is free with RouteTable::free(..)".into()
            );
        }
        if self
            .price
            .fixed()
            .is_some_and(|price| price > Amount::ALL_BITCOIN)
        {
            return Err("a price must be at most 21 million bitcoin".into());
        }
        if self.access.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err("a payment buys one thing: choose .once(), .uses(..) or .for_duration(..), and call it once".into());
        }
        if let Access::ForDuration(duration) = self.access() {
            if duration.as_secs() == 0 {
                return Err("a duration must be at least one second".into());
            }
            if duration.subsec_nanos() != 0 {
                return Err(format!(
                    "a duration must be whole seconds, and this is {duration:?}: round it"
                ));
            }
        }
        if self.ends_streams && !matches!(self.access(), Access::ForDuration(_)) {
            return Err(
                "only a duration ends: leave out .ends_streams(), or sell .for_duration(..)".into(),
            );
        }
        if let Some(kept) = &self.kept {
            if self.access() != Access::Once {
                return Err("an answer can be kept only for one request: leave out .keep_answers(..), or sell .once()".into());
            }
            if self.stream_body {
                return Err("an answer is kept for a request and its body, so the body must be read: leave out .keep_answers(..) or .stream_body()".into());
            }
            kept.check()?;
        }
        if let Some(mistake) = self
            .free_allowance
            .as_ref()
            .and_then(FreeAllowance::mistake)
        {
            return Err(mistake.into());
        }
        if self.bind_multipart && self.stream_body {
            return Err(
                "a body is either bound or left alone: choose .bind_multipart() or .stream_body()"
                    .into(),
            );
        }
        if self.reads_body && self.stream_body {
            return Err("a body is either read for the price or left alone: choose .reads_body() or .stream_body()".into());
        }
        self.check_grpc()?;
        if self.price.fixed().is_some() && (self.reads_body || !self.read_headers.is_empty()) {
            return Err("only a price function reads headers or the body: bind headers with .bind_headers(..), and a body with a price function that .reads_body()".into());
        }
        if self.earlier.iter().any(Self::has_history) {
            return Err("an earlier charge has no history of its own: say .earlier(..), .former_pattern(..), .former_route(..) and .sold_since(..) on today's charge".into());
        }
        if let Some(name) = headers().find(|name| HeaderName::from_bytes(name.as_bytes()).is_err())
        {
            return Err(format!("{name:?} is not a valid header name"));
        }
        if let Some(name) = headers().find(|name| is_credential_field(name)) {
            return Err(format!(
                "{name} carries credentials: it can neither be bound nor used for a price"
            ));
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.len() > 256 || text.chars().any(char::is_control))
        {
            return Err(
                "a description must have at most 256 bytes and no control characters".into(),
            );
        }
        if self
            .service_name
            .as_ref()
            .is_some_and(|name| !printable(name, 32))
        {
            return Err("a service name must have at most 32 printable ASCII characters".into());
        }
        if self.tags.len() > 5 || self.tags.iter().any(|tag| !printable(tag, 32)) {
            return Err(
                "at most five tags are allowed, each of at most 32 printable ASCII characters"
                    .into(),
            );
        }
        if self
            .icon_url
            .as_ref()
            .is_some_and(|url| !printable(url, 2048))
        {
            return Err("an icon's URL must have at most 2048 printable ASCII characters".into());
        }
        if self
            .mime_type
            .as_ref()
            .is_some_and(|name| !printable(name, 128))
        {
            return Err("a media type must have at most 128 printable ASCII characters".into());
        }
        Ok(())
    }
}
