//! A stub of the blockchain: nothing is broadcast, no block arrives, fees are constant, and nothing
//! is written to disk.

use std::sync::Arc;

use bitcoin::{
    Amount, OutPoint, Script, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
    absolute::LockTime, hashes::Hash as _, transaction::Version,
};
use lightning::{
    chain::{
        BestBlock, ChannelMonitorUpdateStatus, Filter, WatchedOutput,
        chaininterface::{BroadcasterInterface, ConfirmationTarget, FeeEstimator},
        chainmonitor::Persist,
        channelmonitor::{ChannelMonitor, ChannelMonitorUpdate},
    },
    ln::{channelmanager::ChainParameters, types::ChannelId},
    sign::InMemorySigner,
    util::{
        logger::{Logger, Record},
        persist::MonitorName,
    },
};

pub(super) const NETWORK: bitcoin::Network = bitcoin::Network::Regtest;

/// Implements everything that a node needs from outside, and does nothing.
#[derive(Debug)]
pub(super) struct Nowhere;

impl Nowhere {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self)
    }
}

/// Returns a chain that consists of the genesis block.
pub(super) fn parameters() -> ChainParameters {
    ChainParameters {
        network: NETWORK,
        best_block: BestBlock::from_network(NETWORK),
    }
}

/// Returns a transaction that funds a channel. It spends an output that does not exist. Its witness
/// must not be empty, because the channel manager refuses transactions without a witness as
/// malleable.
pub(super) fn funding(channel: ChannelId, satoshis: u64, script_pubkey: ScriptBuf) -> Transaction {
    let input = TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array(channel.0), 0),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[[1]]),
    };
    let output = TxOut {
        value: Amount::from_sat(satoshis),
        script_pubkey,
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    }
}

impl BroadcasterInterface for Nowhere {
    fn broadcast_transactions(&self, _: &[&Transaction]) {}
}

impl FeeEstimator for Nowhere {
    /// Returns the lowest rate that a node accepts: one satoshi for each virtual byte.
    fn get_est_sat_per_1000_weight(&self, _: ConfirmationTarget) -> u32 {
        253
    }
}

impl Filter for Nowhere {
    fn register_tx(&self, _: &Txid, _: &Script) {}

    fn register_output(&self, _: WatchedOutput) {}
}

impl Logger for Nowhere {
    /// Drops all log lines. They are for developers of LDK, and some contain data that must not be
    /// logged.
    fn log(&self, _: Record<'_>) {}
}

impl Persist<InMemorySigner> for Nowhere {
    fn persist_new_channel(
        &self,
        _: MonitorName,
        _: &ChannelMonitor<InMemorySigner>,
    ) -> ChannelMonitorUpdateStatus {
        ChannelMonitorUpdateStatus::Completed
    }

    fn update_persisted_channel(
        &self,
        _: MonitorName,
        _: Option<&ChannelMonitorUpdate>,
        _: &ChannelMonitor<InMemorySigner>,
    ) -> ChannelMonitorUpdateStatus {
        ChannelMonitorUpdateStatus::Completed
    }

    fn archive_persisted_channel(&self, _: MonitorName) {}
}
