//! Whether LND can be paid now, as far as it says so and the macaroon may ask.

use std::{pin::pin, sync::atomic::Ordering, time::Duration};

use tokio::time::timeout;

use super::{
    Lnd, NAME, fault,
    node::{call, info},
    rights::Rights,
    wire::{ChannelBalance, State, number},
};
use crate::{
    lightning::rest::{Ask, CallError, Rest},
    trace,
};

/// How long a call of `ready()` may take that LND answers at once if it can.
const SOON: Duration = Duration::from_secs(4);

/// How long a call may take before LND is asked for its state.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits for a call. If it takes long, LND is asked for its state: while it waits for the chain
/// after its start, a call that makes an invoice gets no answer.
pub(super) async fn or_inactive<T>(
    rest: &Rest,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let mut call = pin!(call);
    if let Ok(answer) = timeout(PATIENCE, &mut call).await {
        return answer;
    }
    match timeout(PATIENCE, active(rest)).await {
        Ok(Err(inactive)) => Err(inactive),
        Ok(Ok(())) | Err(_) => call.await,
    }
}

/// Waits for a call that has an answer soon, unless LND waits for the chain.
pub(super) async fn soon<T>(
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    timeout(SOON, call)
        .await
        .unwrap_or_else(|_| Err(fault::waits_for_the_chain(SOON)))
}

/// Checks that LND is synced to the chain, if the macaroon may ask.
pub(super) async fn synced(node: &Lnd) -> Result<(), CallError> {
    if node.may(|rights| rights.see_info) && !soon(info(&node.rest)).await?.synced_to_chain {
        return Err(fault::of_text(NOT_SYNCED));
    }
    Ok(())
}

/// Checks that LND is started. It answers this without a macaroon.
pub(super) async fn active(rest: &Rest) -> Result<(), CallError> {
    let state = match call(rest, Ask::get("/v1/state").anonymous()).await {
        Ok(reply) => reply.json::<State>().ok(),
        Err(_) => None,
    };
    let text = match state.as_ref().map(|state| state.state.as_str()) {
        Some("LOCKED") => "wallet locked",
        Some("NON_EXISTING") => "wallet not created",
        Some("RPC_ACTIVE") => NOT_SYNCED,
        Some("UNLOCKED") => "process of starting",
        Some("WAITING_TO_START") => "waiting to start",
        // Also if a proxy hides it, or LND is too old to tell it: other calls say what is wrong.
        _ => return Ok(()),
    };
    Err(fault::of_text(text))
}

/// A text of [`fault`].
const NOT_SYNCED: &str = "still syncing";

/// Logs a warning if nobody can pay LND because its channels have nothing on the other side. It is
/// logged again after that has changed.
pub(super) async fn warn_of_no_inbound_liquidity(node: &Lnd) -> Result<(), CallError> {
    if !node.may(|rights| rights.see_channels) {
        return Ok(());
    }
    let reply = call(&node.rest, Ask::get("/v1/balance/channels")).await;
    let balance: ChannelBalance = reply.map_err(|(_, error)| error)?.json()?;
    let is_short = number(&balance.remote_balance.msat)? == 0;
    if is_short && !node.was_short.swap(is_short, Ordering::Relaxed) {
        trace::warn(format_args!(
            "{NAME} at {} has no inbound liquidity, so nobody can pay it: let others open channels to it, or pay out through its own",
            node.rest.origin()
        ));
    }
    node.was_short.store(is_short, Ordering::Relaxed);
    Ok(())
}

/// Logs the same when LND is connected. That it cannot be asked is no reason not to connect it.
pub(super) async fn warn_at_the_start(node: &Lnd) {
    if let Err(error) = warn_of_no_inbound_liquidity(node).await {
        trace::warn(format_args!(
            "it is not known whether {NAME} has inbound liquidity: {}",
            node.rest.failed(error)
        ));
    }
}

impl Lnd {
    fn may(&self, right: impl FnOnce(Rights) -> bool) -> bool {
        self.rights.is_some_and(right)
    }
}
