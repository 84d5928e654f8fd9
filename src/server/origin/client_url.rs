use http::{HeaderMap, Uri, request::Parts, uri::PathAndQuery};

use super::uri::{TargetError, target_of};

/// The URL of a request as the client wrote it, for layers that change the path.
///
/// Insert it into the request's extensions in a layer outside of this crate's, before that layer
/// changes the URI. x402 clients pay only if the challenge names the URL that they called. Takes
/// precedence over axum's `OriginalUri`, [`PaywallBuilder::proxies_send_prefix`] and the path of an
/// [`origin`]. Only the path and the query count.
///
/// Rules look at the path that the layer sees. A payment is bound to it too, so this URL opens
/// nothing by itself.
///
/// [`PaywallBuilder::proxies_send_prefix`]: crate::server::PaywallBuilder::proxies_send_prefix
/// [`origin`]: crate::server::PaywallBuilder::origin
///
/// ```
/// use http::Request;
/// use tower_x402::server::ClientUrl;
///
/// /// Removes a slash at the end, as tower-http's `NormalizePathLayer` does.
/// fn without_slash<B>(mut request: Request<B>) -> Request<B> {
///     let written = request.uri().clone();
///     if let Ok(path) = written.path().trim_end_matches('/').parse() {
///         *request.uri_mut() = path;
///         request.extensions_mut().insert(ClientUrl::new(written));
///     }
///     request
/// }
/// # let request = without_slash(Request::get("/weather/").body(()).unwrap());
/// # assert_eq!(request.uri(), "/weather");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientUrl(Uri);

impl ClientUrl {
    /// Creates one from the request's URI before it was changed.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self(uri)
    }

    /// Returns the URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.0
    }
}

/// Returns the raw target as the client wrote it, if it is not `target`. `prefix` is what proxies
/// strip, as it is configured. `forwarded` says whether to ask `X-Forwarded-Prefix` first.
pub(crate) fn client_target(
    head: &Parts,
    target: &PathAndQuery,
    prefix: &str,
    forwarded: bool,
) -> Result<Option<PathAndQuery>, TargetError> {
    if let Some(ClientUrl(written)) = head.extensions.get() {
        let written = target_of(written)?;
        return Ok((written != *target).then_some(written));
    }
    let forwarded = if forwarded {
        forwarded_prefix(&head.headers)?
    } else {
        None
    };
    let prefix = forwarded.as_deref().unwrap_or(prefix);
    if prefix.is_empty() {
        return Ok(None);
    }
    PathAndQuery::try_from([prefix, target.as_str()].concat())
        .map(Some)
        .map_err(|_| TargetError::Target)
}

/// Returns the joined values of `X-Forwarded-Prefix`. `None` if there is no such header.
fn forwarded_prefix(headers: &HeaderMap) -> Result<Option<String>, TargetError> {
    let mut lines = headers.get_all("x-forwarded-prefix").iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let mut prefix = String::new();
    for line in lines {
        let line = line.to_str().map_err(|_| TargetError::Prefix)?;
        for part in line.split(',').map(|part| part.trim_matches([' ', '\t'])) {
            let part = part.strip_suffix('/').unwrap_or(part);
            if part.is_empty() {
                continue;
            }
            prefix.push_str(part);
            if !is_prefix(part) || prefix.len() > MAX_PREFIX {
                return Err(TargetError::Prefix);
            }
        }
    }
    Ok(Some(prefix))
}

/// Returns whether a text is a path that can stand before another one: `/v1` or `/a/b`. It is written
/// plainly, so that every client writes it alike.
pub(super) fn is_prefix(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
    text.len() <= MAX_PREFIX
        && text
            .strip_prefix('/')
            .is_some_and(|text| text.split('/').all(is_segment))
}

/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 256;
