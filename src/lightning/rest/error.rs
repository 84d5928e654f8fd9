use std::{error::Error, fmt, io, path::Path, time::Duration};

use http::StatusCode;
use rustls::CertificateError;

use super::Origin;
use crate::lightning::{
    NodeError, NodeErrorKind,
    url::{ConnectError, ConnectErrorKind},
};

/// The reason why a call got no whole answer.
#[derive(Debug)]
pub(crate) enum RestError {
    /// TLS failed because of the certificate. Nothing was sent.
    Certificate(String),
    /// No connection. Nothing was sent.
    Unconnected(String),
    /// The request was sent, perhaps in part.
    Lost(String),
    /// The time is over.
    Late(Duration),
    /// The answer is too long.
    TooLong,
}

impl RestError {
    /// Returns the reason, for a node of which only the certificate of the file `pinned` is trusted.
    pub(super) fn of(error: &hyper_util::client::legacy::Error, pinned: Option<&Path>) -> Self {
        match certificate(error, pinned) {
            Some(fault) => Self::Certificate(fault),
            None if error.is_connect() => Self::Unconnected(causes(error)),
            None => Self::Lost(causes(error)),
        }
    }

    fn into_connect_error(self, node: &'static str, origin: &Origin) -> ConnectError {
        let kind = match self {
            Self::Certificate(_) => ConnectErrorKind::Certificate,
            Self::TooLong => ConnectErrorKind::Node,
            _ => ConnectErrorKind::Unreachable,
        };
        let fix = self.fix();
        ConnectError::new(
            kind,
            format!("{node} at {origin} cannot be reached: {self}{fix}"),
        )
    }

    fn into_node_error(self, node: &'static str) -> NodeError {
        let kind = match self {
            Self::TooLong => NodeErrorKind::BadAnswer,
            _ => NodeErrorKind::Unreachable,
        };
        NodeError::new(kind, node, format!("{self}{}", self.fix()))
    }

    const fn fix(&self) -> &'static str {
        match self {
            Self::Unconnected(_) | Self::Late(_) => {
                ": check the host and the port, whether it uses TLS, and that the node runs"
            }
            Self::Lost(_) => {
                ": check that the node runs, and that the port is that of its REST interface (LND: 8080 by default, not 10009)"
            }
            Self::Certificate(_) | Self::TooLong => "",
        }
    }
}

/// The reason why a call failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// There is no whole answer.
    Rest(RestError),
    /// The node answered, but not with what was asked for.
    Explained(Explained),
}

/// An answer that is not what was asked for, and what to do about it.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) kind: NodeErrorKind,
    pub(crate) connect: ConnectErrorKind,
    pub(crate) text: String,
}

impl CallError {
    /// Creates the error of an answer that cannot be used.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::Explained(Explained {
            kind: NodeErrorKind::BadAnswer,
            connect: ConnectErrorKind::Node,
            text: text.into(),
        })
    }

    /// Creates the error of an answer that is not of the node's interface. `with_tls` says how to use
    /// TLS, in case that was missing.
    pub(crate) fn unexpected(
        reply: (StatusCode, &[u8]),
        (expected, check): (&str, &str),
        with_tls: &str,
    ) -> Self {
        let (status, body) = reply;
        // Go's server says "an HTTP request to an HTTPS server", and nginx "to HTTPS port".
        let is_plain_to_tls = status == StatusCode::BAD_REQUEST
            && body
                .windows(5)
                .any(|part| part.eq_ignore_ascii_case(b"https"));
        Self::bad(match is_plain_to_tls {
            true => format!("it speaks TLS and was asked without: {with_tls}"),
            false => format!("expected {expected}, but the answer is {status}: check {check}"),
        })
    }

    /// Returns whether the node surely did not get the request.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Rest(RestError::Certificate(_) | RestError::Unconnected(_))
        )
    }

    pub(super) fn into_node_error(self, node: &'static str, origin: &Origin) -> NodeError {
        let error = match self {
            Self::Rest(error) => error.into_node_error(node),
            Self::Explained(why) => NodeError::new(why.kind, node, why.text).answered(),
        };
        error.at(origin)
    }

    pub(crate) fn into_connect_error(self, node: &'static str, origin: &Origin) -> ConnectError {
        match self {
            Self::Rest(error) => error.into_connect_error(node, origin),
            Self::Explained(why) => {
                ConnectError::new(why.connect, format!("{node} at {origin}: {}", why.text))
            }
        }
    }
}

impl From<RestError> for CallError {
    fn from(error: RestError) -> Self {
        Self::Rest(error)
    }
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(fault) => f.write_str(fault),
            Self::Unconnected(cause) => write!(f, "no connection: {cause}"),
            Self::Lost(cause) => write!(f, "the answer was lost: {cause}"),
            Self::Late(limit) => write!(f, "no answer within {} seconds", limit.as_secs()),
            Self::TooLong => f.write_str("the answer is longer than 1 MiB"),
        }
    }
}

/// Returns what is wrong with the node's certificate, if that is the cause.
fn certificate(error: &(dyn Error + 'static), pinned: Option<&Path>) -> Option<String> {
    chain(error).find_map(|mut cause| {
        // rustls's error is inside one or two I/O errors, whose `source` skips it.
        while let Some(inner) = cause.downcast_ref().and_then(io::Error::get_ref) {
            cause = inner;
        }
        match cause.downcast_ref()? {
            rustls::Error::InvalidCertificate(fault) => Some(match (fault, pinned) {
                (CertificateError::Expired | CertificateError::ExpiredContext { .. }, _) => {
                    "its certificate has expired: renew it (LND makes a new one if you delete tls.cert and tls.key and restart it)"
                }
                (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }, _) => {
                    "its certificate is not valid yet: check the clocks of both machines"
                }
                (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }, _) => {
                    "its certificate is for another host: use a host that it names, or add yours to it (LND: tlsextradomain or tlsextraip)"
                }
                (_, Some(file)) => {
                    return Some(format!(
                        "its certificate is not the one in {}: check the host and the port, because this may be another node, or \
                         copy its certificate file again",
                        file.display()
                    ));
                }
                (_, None) => {
                    "its certificate is not trusted: name the node's own certificate file (cert=/path/tls.cert in a URL)"
                }
            }.to_owned()),
            _ => None,
        }
    })
}

/// Returns the texts of all causes, because hyper's own says little.
fn causes(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = chain(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
