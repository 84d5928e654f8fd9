//! Charges for gRPC methods, and which of their answers are failures.

use http::{HeaderMap, Response};

use super::{Charge, failures};

impl Charge {
    /// Declares that this route is a gRPC method. Only L402 is offered (with LSAT), because it is the
    /// only dialect that gRPC clients speak. Without L402 this is a
    /// [`ConfigError`](super::ConfigError). In a [`RouteTable`](crate::RouteTable) the rule must be for
    /// `POST`.
    ///
    /// - **Answers.** What the layer would answer with an HTTP status, it answers in gRPC's
    ///   *trailers-only* form: HTTP 200 without a body, with `grpc-status` and `grpc-message`. A
    ///   402 is `13` (`INTERNAL`) with the message `payment required` and the challenge in the metadata
    ///   `www-authenticate` (L402, "gRPC Protocol Specification"). The page
    ///   [answers](crate::docs::answers#answers-to-grpc-calls) lists the others.
    /// - **Credentials.** Clients send the metadata `macaroon` (the token in hex, with the caveat
    ///   `preimage=`), as the interceptor of Lightning Labs' Go package `l402` does, or `authorization`,
    ///   as in HTTP. Credentials of x402 and MPP are not read here.
    /// - **Bodies** are never read by the layer, whatever their type. So streams in both directions
    ///   work, and nothing can depend on a body.
    /// - **Failures.** A use is given back as for other routes, and also after a trailers-only answer
    ///   with `grpc-status` 2 (`UNKNOWN`), 4 (`DEADLINE_EXCEEDED`), 8 (`RESOURCE_EXHAUSTED`), 13
    ///   (`INTERNAL`), 14 (`UNAVAILABLE`) or 15 (`DATA_LOSS`). [`failed_if`](Self::failed_if) decides
    ///   otherwise. A status at the end of a stream that has begun comes too late for that: the answer's
    ///   head is sent by then.
    /// - **Streams** that [`ends_streams`](Self::ends_streams) ends have the status 16
    ///   (`UNAUTHENTICATED`) at their end.
    ///
    /// The form of an answer follows from the rule alone. On a route without `.grpc()` the content type
    /// of a gRPC call changes nothing.
    ///
    /// The Go package keeps one token, sends it with every call, and does not replace it. So sell it a
    /// duration or several uses, for the whole service:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_x402::{Amount, RouteTable, server::Charge};
    ///
    /// let hour = Charge::new(Amount::from_sat(50)).for_duration(Duration::from_secs(3_600)).grpc();
    /// let table = RouteTable::new().charge("POST /weather.Weather/{method}", hour).otherwise_free();
    /// # let _ = table;
    /// ```
    ///
    /// A complete server with tonic is `tests/stack/examples/grpc/` in the source.
    pub fn grpc(mut self) -> Self {
        self.grpc = true;
        self
    }
}

impl Charge {
    /// Returns whether an answer of the inner service is a failure of the service.
    pub(in crate::server) fn is_failed<R>(&self, response: &mut Response<R>) -> bool {
        let by_default = failures::is_failure(response.status())
            || (self.grpc && is_trailers_only_failure(response.headers()));
        self.failures.include(response, by_default)
    }

    /// Checks what a gRPC call cannot keep. The error text names the fix.
    pub(super) fn check_grpc(&self) -> Result<(), &'static str> {
        if !self.grpc {
            return Ok(());
        }
        if self.kept.is_some() {
            return Err(
                "the answer to a gRPC call is a stream, which is not kept: leave out .keep_answers(..), or .grpc()",
            );
        }
        if self.reads_body {
            return Err(
                "the body of a gRPC call is never read: leave out .reads_body(), or .grpc()",
            );
        }
        if self.bind_multipart {
            return Err("a gRPC call is no form: leave out .bind_multipart(), or .grpc()");
        }
        if self.earlier.iter().any(|earlier| earlier.reads_body) {
            return Err(
                "the body of a gRPC call is never read, and an earlier charge bound it: leave that .earlier(..) out, or .grpc()",
            );
        }
        Ok(())
    }

    /// Checks the method of a rule in a table.
    pub(in crate::server) fn check_grpc_rule(&self, rule: &str) -> Result<(), &'static str> {
        match self.grpc && !rule.starts_with("POST ") {
            true => Err(
                "gRPC calls are POST requests: write the rule as \"POST /package.Service/Method\"",
            ),
            false => Ok(()),
        }
    }
}

/// Returns whether the head of an answer already has the status of the call, and that is a failure of
/// the service: the codes that HTTP has as 408, 429, 500, 503 and 504.
fn is_trailers_only_failure(headers: &HeaderMap) -> bool {
    headers
        .get("grpc-status")
        .is_some_and(|status| FAILURES.contains(&status.as_bytes()))
}

/// `UNKNOWN`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`.
const FAILURES: [&[u8]; 6] = [b"2", b"4", b"8", b"13", b"14", b"15"];
