//! The limits on unpaid invoices, without a server around them.

mod events;
mod networks;
mod payers;
mod slots;

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn client(n: u8) -> ClientKey {
    if n == 0 {
        ClientKey::Unknown
    } else {
        ClientKey::V4(Ipv4Addr::new(192, 0, 2, n))
    }
}

fn network(n: u64) -> ClientKey {
    ClientKey::of(Ipv6Addr::from(u128::from(n) << 64).into())
}

const fn life(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LIMIT: Duration = life(10);

const fn hash(n: u8) -> PaymentHash {
    PaymentHash::from_bytes([n; 32])
}

fn limiter(per_client: usize, total: usize, kept_percent: usize, clients: usize) -> Arc<Limiter> {
    Arc::new(Limiter::new(UnpaidLimits {
        per_client,
        total,
        kept_percent,
        clients,
    }))
}

fn retry_after(refused: Result<Slot, TooMany>) -> u64 {
    refused.unwrap_err().retry_after.as_secs()
}
