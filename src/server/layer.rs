use std::sync::Arc;

use tower_layer::Layer;

use super::{
    X402Service,
    config::{Charge, ConfigError, Paywall, siblings::SoldRule},
    routes::{
        RouteTable,
        priced::{PricedRoutes, Pricing},
        rule::Rule,
    },
};

/// A layer around any tower service that passes requests which are free or paid, and answers the
/// others itself.
///
/// [`Paywall::charge`] creates one for one route, [`Paywall::routes`] one for a whole service.
///
/// The inner service must be `Clone`, because the layer makes a clone ready only when a request will
/// be served. It gets a body of the type [`RequestBody`](crate::body::RequestBody). axum's routes
/// and routers take any body. For an inner service that takes `Request<axum::body::Body>`, such as
/// axum's `middleware::from_fn`, call [`for_axum`](Self::for_axum).
///
/// ```compile_fail,E0277
/// # fn wrap(layer: tower_x402::X402Layer) {
/// struct NotClone;
/// // the trait bound `NotClone: Clone` is not satisfied
/// let _ = tower::Layer::layer(&layer, NotClone);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct X402Layer {
    routes: Arc<PricedRoutes>,
}

impl Paywall {
    /// Creates a layer that charges for every request, whatever its path and method. It answers
    /// `OPTIONS` with 204.
    ///
    /// In axum put it on the method router: `get(handler).route_layer(..)`. A method that the route
    /// does not have is then answered with 405 and costs nothing. On a whole `Router` the layer
    /// would charge for wrong methods too, and with `.layer(..)` for paths that do not exist. Use a
    /// [`RouteTable`] and [`routes`](Self::routes) there. A paid request is spent even if the
    /// handler answers 400 or 404. Among `middleware::from_fn` in a `ServiceBuilder` call
    /// [`for_axum`](X402Layer::for_axum) on it.
    ///
    /// On a route that takes any method (`any(handler)`) axum's `route_layer` panics, because it
    /// finds no method. Use `any(handler).layer(..)` there. On other routes `layer` would charge for
    /// methods that the route does not have.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if no enabled dialect can express this charge.
    pub fn charge(&self, charge: impl Into<Charge>) -> Result<X402Layer, ConfigError> {
        let charge = charge.into();
        let sold = SoldRule::new("", &charge);
        let rule = Arc::new(Rule::new(self.setup(), charge, None)?);
        self.setup().sold.add([sold]);
        Ok(X402Layer {
            routes: Arc::new(PricedRoutes {
                paywall: self.clone(),
                pricing: Pricing::Every(rule),
            }),
        })
    }

    /// Creates a layer that charges by a table of routes.
    ///
    /// axum's `.layer(..)` covers only routes that were added before it. Call it last, or wrap the
    /// whole router: `Router::new().fallback_service(layer.layer(app))`. Otherwise routes that are
    /// added later are served without payment.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a bad pattern, for two patterns that price the same paths, and for a
    /// missing default (`otherwise_..`). Also for a charge that no enabled dialect can express.
    pub fn routes(&self, table: RouteTable) -> Result<X402Layer, ConfigError> {
        for (rule, charge) in table.priced() {
            charge
                .check_grpc_rule(rule)
                .map_err(|text| ConfigError::at(rule, text))?;
        }
        let sold: Vec<_> = table
            .priced()
            .map(|(rule, charge)| SoldRule::new(rule, charge))
            .collect();
        let rules = table.compile(
            |charge, pattern| Rule::new(self.setup(), charge, Some(pattern)).map(Arc::new),
            |one, other| one.charge.is_worth(&other.charge),
        )?;
        self.setup().sold.add(sold);
        Ok(X402Layer {
            routes: Arc::new(PricedRoutes {
                paywall: self.clone(),
                pricing: Pricing::Table(rules),
            }),
        })
    }
}

impl<S: Clone> Layer<S> for X402Layer {
    type Service = X402Service<S>;

    fn layer(&self, inner: S) -> X402Service<S> {
        X402Service::new(inner, self.routes.clone())
    }
}
