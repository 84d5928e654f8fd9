use std::fmt;

use http::{HeaderValue, header, request::Parts};

use super::parse::{Origin, OriginError, is_host};
use crate::{
    codec::authority::{Authority, is_scheme},
    server::address::{ForwardedBy, parameter},
};

/// The configured public origins, and the other authorities at which requests may arrive.
#[derive(Debug)]
pub(crate) struct Origins {
    origins: Vec<Origin>,
    /// Other loopback names of origins, each with the index of that origin. Their indexes follow
    /// those of `origins`.
    aliases: Vec<(Origin, usize)>,
    accepted: Vec<Authority<'static>>,
}

/// A request for another server, or with a malformed authority: 421. `Display` is for the client; the log
/// names the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorityError {
    pub(super) is_malformed: bool,
    origin: String,
}

impl Origins {
    /// `accepted` are further authorities (`name` or `name:port`) at which requests may arrive.
    pub(crate) fn new(origins: Vec<Origin>, accepted: &[String]) -> Result<Self, OriginError> {
        if origins.is_empty() {
            return Err(OriginError::missing());
        }
        if let Some(twice) = (1..origins.len()).find(|i| {
            origins[..*i]
                .iter()
                .any(|other| other.as_str() == origins[*i].as_str())
        }) {
            return Err(OriginError::of(
                origins[twice].as_str(),
                "is configured twice: keep one",
            ));
        }
        let parse = |text: &String| {
            Authority::parse(text)
                .filter(|authority| is_host(authority.host()))
                .map(Authority::into_owned)
                .ok_or_else(|| OriginError::authority(text))
        };
        Ok(Self {
            accepted: accepted.iter().map(parse).collect::<Result<_, _>>()?,
            // Beside a public origin, a loopback name is how a proxy or a probe reaches this server.
            aliases: if origins.iter().all(Origin::is_loopback) {
                aliases(&origins)
            } else {
                Vec::new()
            },
            origins,
        })
    }

    /// Whether only this machine can reach it: all names, the accepted ones too, are loopback
    /// names.
    pub(crate) fn are_loopback(&self) -> bool {
        self.origins.iter().all(Origin::is_loopback)
            && self.accepted.iter().all(Authority::is_loopback)
    }

    /// Returns all origins, with the other names of loopback origins. Beside each is the origin
    /// whose keys it has: itself, or the one that it is another name of.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Origin, &Origin)> {
        let own = self.origins.iter().map(|origin| (origin, origin));
        let aliases = self.aliases.iter();
        own.chain(aliases.map(|(alias, index)| (alias, &self.origins[*index])))
    }

    /// Returns the prefix that proxies strip from paths at this origin, by its index in
    /// [`all`](Self::all).
    pub(crate) fn prefix(&self, origin: usize) -> &str {
        let alias = origin.checked_sub(self.origins.len());
        let own = alias.and_then(|alias| Some(self.aliases.get(alias)?.1));
        let own = self.origins.get(own.unwrap_or(origin));
        own.map_or("", Origin::prefix)
    }

    /// Returns the index in [`all`](Self::all) of the origin that the request was made to. It is
    /// the first origin if the request names no authority, an accepted one, or a loopback name that
    /// no origin has.
    ///
    /// `proxy` is the header that a trusted proxy writes, if the peer is one. Every hop of `Host` and
    /// of the request's own authority must be well formed. If the peer is a trusted proxy, so must
    /// every hop of `X-Forwarded-Host` and `X-Forwarded-Proto`, and `host` and `proto` in
    /// `Forwarded` if that is read. Of these, an empty field says nothing. At least one name must
    /// be ours.
    pub(crate) fn matching(
        &self,
        head: &Parts,
        proxy: Option<ForwardedBy>,
    ) -> Result<usize, AuthorityError> {
        let mut ours = None;
        let (mut any, mut is_blank) = (false, false);
        let mut hop = |text: &[u8]| -> Result<(), AuthorityError> {
            let found = self.position(text)?;
            any = true;
            // An origin's own name takes precedence over an accepted one. A request that names two
            // different origins is refused.
            ours = match (ours, found) {
                (Some((held, true)), Some((found, true))) if held != found => {
                    return Err(self.error(false));
                }
                (Some((held, true)), _) => Some((held, true)),
                (_, Some((found, true))) => Some((found, true)),
                (held, found) => held.or(found),
            };
            Ok(())
        };
        if let Some(authority) = head.uri.authority() {
            hop(authority.as_str().as_bytes())?;
        }
        let mut hops = |line: &HeaderValue| {
            line.as_bytes()
                .split(|byte| *byte == b',')
                .try_for_each(|text| hop(text.trim_ascii()))
        };
        head.headers
            .get_all(header::HOST)
            .iter()
            .try_for_each(&mut hops)?;
        if let Some(header) = proxy {
            let is_said = |line: &&HeaderValue| !line.as_bytes().trim_ascii().is_empty();
            let lines = head.headers.get_all("x-forwarded-host").iter();
            for line in lines {
                if is_said(&line) {
                    hops(line)?;
                } else {
                    is_blank = true;
                }
            }
            let lines = head.headers.get_all("x-forwarded-proto").iter();
            if !lines
                .filter(is_said)
                .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
                .all(|text| is_scheme(text.trim_ascii()))
            {
                return Err(self.error(true));
            }
            for element in elements(head, header) {
                let element = element.ok_or_else(|| self.error(true))?;
                let said = |name| parameter(element, name).filter(|text| !text.is_empty());
                said("host").map_or(Ok(()), |host| hop(host.as_bytes()))?;
                if said("proto").is_some_and(|proto| !is_scheme(proto.as_bytes())) {
                    return Err(self.error(true));
                }
            }
        }
        match ours {
            Some((index, _)) => Ok(index),
            None if !any && !is_blank => Ok(0),
            None => Err(self.error(!any)),
        }
    }

    /// Returns the origin that an authority stands for, and whether it is that origin's own name.
    fn position(&self, text: &[u8]) -> Result<Option<(usize, bool)>, AuthorityError> {
        let position = |is_it: &dyn Fn(&Origin) -> bool| {
            self.origins
                .iter()
                .position(is_it)
                .map(|index| (index, true))
        };
        if let Some(found) = position(&|origin| origin.is_written(text)) {
            return Ok(Some(found));
        }
        let authority = Authority::parse_bytes(text).ok_or_else(|| self.error(true))?;
        let alias = || {
            let position = |(alias, _): &(Origin, usize)| alias.is_at(&authority);
            let index = self.aliases.iter().position(position)?;
            Some((self.origins.len() + index, false))
        };
        let is_accepted = || {
            authority.is_loopback()
                || self
                    .accepted
                    .iter()
                    .any(|accepted| accepted.accepts(&authority))
        };
        Ok(position(&|origin| origin.is_at(&authority))
            .or_else(alias)
            .or_else(|| is_accepted().then_some((0, false))))
    }

    fn error(&self, is_malformed: bool) -> AuthorityError {
        AuthorityError {
            is_malformed,
            origin: self.origins.first().map_or("", Origin::as_str).to_owned(),
        }
    }
}

/// Returns the other loopback names of the origins that are at one, each with the index of its
/// origin. x402's clients refuse a challenge that names another host than they called.
fn aliases(origins: &[Origin]) -> Vec<(Origin, usize)> {
    let mut aliases: Vec<(Origin, usize)> = Vec::new();
    for (index, origin) in origins.iter().enumerate() {
        for alias in origin.loopback_names() {
            let known = origins.iter().chain(aliases.iter().map(|(alias, _)| alias));
            if known
                .into_iter()
                .all(|known| known.as_str() != alias.as_str())
            {
                aliases.push((alias, index));
            }
        }
    }
    aliases
}

/// Returns the elements of `Forwarded`, if a trusted proxy writes that. `None` for one that is not
/// UTF-8.
fn elements(head: &Parts, header: ForwardedBy) -> impl Iterator<Item = Option<&str>> {
    let lines = head.headers.get_all(header::FORWARDED).iter();
    lines
        .filter(move |_| header.reads_forwarded())
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|element| std::str::from_utf8(element).ok())
}

impl AuthorityError {
    /// Returns whether the request names another server, in a well-formed way.
    pub(crate) const fn names_another(&self) -> bool {
        !self.is_malformed
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_malformed {
            return f.write_str("expected every hop of host, :authority and x-forwarded-host to be a name with an optional port");
        }
        write!(
            f,
            "this server answers for {}, and not for the name in this request: send it there",
            self.origin
        )
    }
}

impl std::error::Error for AuthorityError {}
