//! What is left of an address' rates, as answers tell it.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;

use super::{Rates, network, table::locked};

/// What is counted per address, and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Reads of room logs.
    Reads,
    /// Messages by POST.
    Posts,
    /// New connections that live for longer than a request.
    Connections,
}

/// How much of a rate is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub policy: &'static str,
    /// As many at once.
    pub quota: u32,
    /// In so long that many come back.
    pub window: Duration,
    /// So many are left now.
    pub remaining: u32,
    /// Until then all are back.
    pub full_in: Duration,
}

impl Rates {
    /// How much `address` has left of what is counted.
    #[must_use]
    pub fn left(&self, counted: Counted, address: IpAddr) -> Left {
        let inner = &self.0;
        let (policy, table) = match counted {
            Counted::Reads => ("reads", &inner.reads),
            Counted::Posts => ("posts", &inner.posts),
            Counted::Connections => ("connections", &inner.connects),
        };
        let place = self.place(network(address));
        let bucket = locked(&table.buckets).get(&place).copied().unwrap_or_default();
        let (quota, full_in) = (table.quota, bucket.full_in(Instant::now()));
        let used = full_in.as_nanos().div_ceil(quota.every.as_nanos().max(1));
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        Left {
            policy,
            quota: quota.burst,
            window: quota.every.saturating_mul(quota.burst),
            remaining: quota.burst.saturating_sub(used),
            full_in,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Config;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_shrinks_with_each_and_comes_back() {
        let config = Config::parse_from(["test", "--rate-reads", "2"]);
        let (rates, address) = (Rates::new(&config.limits), IpAddr::from([192, 0, 2, 1]));
        let left = || rates.left(Counted::Reads, address);
        assert_eq!((left().quota, left().remaining), (8, 8));
        assert_eq!((left().window, left().full_in), (Duration::from_secs(4), Duration::ZERO));
        for spent in 1..=8 {
            rates.allow_read(address).expect("there is one left");
            assert_eq!(left().remaining, 8 - spent);
        }
        assert!(rates.allow_read(address).is_err(), "nothing was left");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(left().remaining, 1);
        assert_eq!(left().full_in, Duration::from_millis(3500));
    }
}
