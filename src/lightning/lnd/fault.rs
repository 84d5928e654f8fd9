//! What LND's errors mean, and what to do about them.

use std::time::Duration;

use http::StatusCode;

use super::wire::{Fault, Frame};
use crate::lightning::{
    NodeErrorKind,
    rest::{self, CallError, Explained, Reply},
    url::ConnectErrorKind,
};

/// gRPC code: the payment exists already.
pub(super) const EXISTS: i64 = 6;

/// gRPC codes of a call that was cancelled, late, broken off or not connected: `CANCELLED`,
/// `DEADLINE_EXCEEDED`, `INTERNAL` and `UNAVAILABLE`.
pub(super) const UNCLEAR: [i64; 4] = [1, 4, 13, 14];

/// gRPC code: nothing has this hash.
pub(super) const UNKNOWN: i64 = 5;

/// Parts of LND's texts, and what they mean.
const TEXTS: [(&str, NodeErrorKind, ConnectErrorKind, &str); 11] = [
    (
        "wallet locked",
        NodeErrorKind::Unreachable,
        ConnectErrorKind::Node,
        "its wallet is locked: unlock it (lncli unlock, or the setting wallet-unlock-password-file)",
    ),
    (
        "wallet not created",
        NodeErrorKind::Unreachable,
        ConnectErrorKind::Node,
        "it has no wallet: create one (lncli create)",
    ),
    (
        "process of starting",
        NodeErrorKind::Unreachable,
        ConnectErrorKind::Node,
        "it is starting: try again in some seconds",
    ),
    (
        "waiting to start",
        NodeErrorKind::Unreachable,
        ConnectErrorKind::Node,
        "it is waiting to start: try again in some seconds",
    ),
    (
        "still syncing",
        NodeErrorKind::Unreachable,
        ConnectErrorKind::Node,
        "it is not synced to the chain yet: wait, and check its bitcoin node",
    ),
    (
        "shutting down",
        NodeErrorKind::Unreachable,
        ConnectErrorKind::Node,
        "it is shutting down",
    ),
    (
        "permission denied",
        NodeErrorKind::Refused,
        ConnectErrorKind::Permission,
        "the macaroon lacks a right: to receive it needs invoices:read and invoices:write (invoices.macaroon has them), to pay offchain:read and offchain:write",
    ),
    (
        "macaroon has expired",
        NodeErrorKind::Refused,
        ConnectErrorKind::Permission,
        "the macaroon has expired: bake another (lncli bakemacaroon)",
    ),
    (
        "not satisfied",
        NodeErrorKind::Refused,
        ConnectErrorKind::Permission,
        "the macaroon is limited to something else, for example to another IP address: use one without that limit",
    ),
    (
        "verification failed",
        NodeErrorKind::Refused,
        ConnectErrorKind::Permission,
        "the macaroon is of another node, or has a caveat that is not met: use a macaroon file of this node",
    ),
    (
        "cannot get macaroon",
        NodeErrorKind::Refused,
        ConnectErrorKind::Permission,
        "the macaroon is not known to it: use a macaroon file of this node",
    ),
];

/// Explains a whole answer that is an error. Returns its gRPC code too.
pub(super) fn of_reply(reply: &Reply) -> (i64, CallError) {
    of_answer(reply.status, &reply.body)
}

pub(super) fn of_answer(status: StatusCode, body: &[u8]) -> (i64, CallError) {
    // A stream wraps its error.
    let fault = rest::parse::<Fault>(body)
        .ok()
        .or_else(|| rest::parse::<Frame<Fault>>(body).ok()?.error);
    let check = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the macaroon, and the port (8080 by default)"
        }
        _ => "the port (8080 by default)",
    };
    match fault {
        Some(fault) => of(&fault),
        None => (
            0,
            CallError::unexpected(
                (status, body),
                ("LND's REST interface", check),
                "write lnd:// in place of lnd+http://, or leave .without_tls() out",
            ),
        ),
    }
}

/// Returns the error of an LND that answers nothing for so long, as it does without its bitcoin node.
pub(super) fn waits_for_the_chain(time: Duration) -> CallError {
    CallError::Explained(Explained {
        kind: NodeErrorKind::Unreachable,
        connect: ConnectErrorKind::Node,
        text: format!(
            "no answer within {} seconds: it may be waiting for the chain, so check its bitcoin node too",
            time.as_secs()
        ),
    })
}

/// Explains a part of LND's texts.
pub(super) fn of_text(message: &str) -> CallError {
    of(&Fault {
        code: 0,
        message: message.to_owned(),
    })
    .1
}

pub(super) fn of(fault: &Fault) -> (i64, CallError) {
    let known = TEXTS.iter().find(|(part, ..)| fault.message.contains(part));
    let (kind, connect, text) = match known {
        Some((_, kind, connect, fix)) => (*kind, *connect, (*fix).to_owned()),
        None => {
            let message = fault.message.chars().take(300).collect();
            (NodeErrorKind::Refused, ConnectErrorKind::Node, message)
        }
    };
    let explained = Explained {
        kind,
        connect,
        text,
    };
    (fault.code, CallError::Explained(explained))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_names_the_macaroon_and_another_status_the_port_alone() {
        for (status, names_it) in [(401, true), (403, true), (404, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            let (_, error) = of_answer(status, b"");
            let text = format!("{error:?}");
            assert!(text.contains("the port (8080 by default)"), "{text}");
            assert_eq!(text.contains("check the macaroon"), names_it, "{text}");
        }
    }
}
