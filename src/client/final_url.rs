use http::{Extensions, Uri};

use super::place::Place;

/// The URL from which a response came, in its extensions. A client that follows redirects beneath
/// [`AutoPayLayer`](super::AutoPayLayer) puts it there.
///
/// The layer pays for no response whose URL differs from the one of its request, because another
/// place asks for the money. It cannot see a redirect that was followed without this extension.
///
/// With tower-http's `FollowRedirect` beneath the layer:
///
/// ```
/// use http::Response;
/// use tower_http::follow_redirect::RequestUri;
/// use tower_x402::client::FinalUrl;
///
/// // for `ServiceBuilder::map_response`, between the layer and `FollowRedirect`
/// fn named<B>(mut answer: Response<B>) -> Response<B> {
///     if let Some(RequestUri(url)) = answer.extensions().get().cloned() {
///         answer.extensions_mut().insert(FinalUrl(url));
///     }
///     answer
/// }
/// # let _ = named::<()>;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is nothing but a URL")]
pub struct FinalUrl(pub Uri);

/// Returns whether an answer says that it came from another place than the one that was asked.
pub(super) fn is_from_elsewhere(extensions: &Extensions, place: &Place) -> bool {
    let is_other = |url: &FinalUrl| {
        let came_from = Place::of(place.method.clone(), url.0.clone());
        came_from.is_none_or(|from| (from.origin(), from.key()) != (place.origin(), place.key()))
    };
    extensions.get().is_some_and(is_other)
}
