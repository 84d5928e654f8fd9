use std::net::SocketAddr;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::client::guard::{NotPublic, is_public};

/// Resolves names to public addresses alone: see [`GuardedResolver`](crate::client::GuardedResolver).
#[derive(Debug)]
pub(super) struct GuardedDns;

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_not_resolved() {
        let localhost = Name::from_str("localhost").unwrap();
        let error = GuardedDns.resolve(localhost).await.err().unwrap();
        assert!(error.is::<NotPublic>());
    }
}
