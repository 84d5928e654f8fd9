//! Whether a node can receive.

use std::time::Duration;

use ldk_node::{ChannelDetails, NodeError as LdkError, NodeStatus};

use super::{NAME, error, refused};
use crate::{
    clock::Timestamp,
    lightning::{NodeError, NodeErrorKind},
    payment::Amount,
};

/// How old the node's view of the chain may be. It needs the chain to claim money in time, and most
/// payments can be claimed for some hours.
const LATE: Duration = Duration::from_secs(3_600);

/// Returns an error if the node does not run: it would still make invoices.
pub(super) fn running(status: &NodeStatus) -> Result<(), NodeError> {
    match status.is_running {
        true => Ok(()),
        false => Err(error(LdkError::NotRunning)),
    }
}

/// Returns an error if the node does not run, or has not seen the chain lately.
pub(super) fn ready(status: &NodeStatus, now: Timestamp) -> Result<(), NodeError> {
    running(status)?;
    let why = match status.latest_lightning_wallet_sync_timestamp {
        None => "it has not synced with the chain yet: wait, and check its chain source".to_owned(),
        Some(synced) => {
            let age = now.as_unix_seconds().saturating_sub(synced);
            if age <= LATE.as_secs() {
                return Ok(());
            }
            format!("it last synced with the chain {age} seconds ago: check its chain source")
        }
    };
    Err(NodeError::new(NodeErrorKind::Unreachable, NAME, why))
}

/// Returns an error if all usable channels together cannot receive an amount.
pub(super) fn can_receive(channels: &[ChannelDetails], amount: Amount) -> Result<(), NodeError> {
    let usable = channels.iter().filter(|channel| channel.is_usable);
    enough(usable.map(|channel| channel.inbound_capacity_msat), amount)
}

fn enough(capacities: impl Iterator<Item = u64>, amount: Amount) -> Result<(), NodeError> {
    let inbound = Amount::from_msat(capacities.fold(0, u64::saturating_add));
    if inbound >= amount {
        return Ok(());
    }
    Err(refused(format!(
        "its usable channels can receive {inbound}, and the invoice is for {amount}: open a channel to it, spend from one, or wait until its peers are connected"
    )))
}

#[cfg(test)]
mod tests {
    use ldk_node::{bitcoin::Network, lightning::chain::BestBlock};

    use super::*;

    #[test]
    fn a_node_that_has_not_seen_the_chain_lately_is_not_ready() {
        let mut status = NodeStatus {
            is_running: true,
            current_best_block: BestBlock::from_network(Network::Regtest),
            latest_lightning_wallet_sync_timestamp: None,
            latest_onchain_wallet_sync_timestamp: None,
            latest_fee_rate_cache_update_timestamp: None,
            latest_rgs_snapshot_timestamp: None,
            latest_pathfinding_scores_sync_timestamp: None,
            latest_node_announcement_broadcast_timestamp: None,
            latest_channel_monitor_archival_height: None,
        };
        let now = Timestamp::from_unix_seconds(1_000_000);
        for (synced, expected) in [
            (None, Some("not synced with the chain yet")),
            (Some(1_000_000), None),
            (Some(1_000_100), None),
            (Some(1_000_000 - 3_600), None),
            (Some(1_000_000 - 3_601), Some("3601 seconds ago")),
        ] {
            status.latest_lightning_wallet_sync_timestamp = synced;
            match (ready(&status, now), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) => {
                    assert!(error.to_string().contains(part), "{error}");
                    assert_eq!(error.kind(), NodeErrorKind::Unreachable);
                }
                (ready, _) => panic!("{synced:?}: {ready:?}"),
            }
        }
        status.is_running = false;
        status.latest_lightning_wallet_sync_timestamp = Some(1_000_000);
        let error = ready(&status, now).unwrap_err().to_string();
        assert!(error.contains("call its start method"), "{error}");
    }

    #[test]
    fn all_channels_together_must_be_able_to_receive_an_amount() {
        let amount = Amount::from_msat(21_000);
        for capacities in [vec![21_000], vec![20_000, 1_000], vec![u64::MAX, u64::MAX]] {
            enough(capacities.into_iter(), amount).unwrap();
        }
        for capacities in [vec![], vec![20_999], vec![20_000, 999]] {
            let error = enough(capacities.into_iter(), amount).unwrap_err();
            assert!(
                error.to_string().contains("open a channel to it"),
                "{error}"
            );
        }
    }
}
