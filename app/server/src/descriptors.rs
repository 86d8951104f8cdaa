//! How many descriptors the process may have open, and how many of them clients get.

use tracing::{info, warn};

use crate::config::Limits;

/// Of the sockets that clients get, one in so many is kept for requests that are soon over.
const REQUESTS: usize = 16;

/// Raises the soft limit to the hard one, and fits `limits` into it: how many sockets clients may have open together.
/// What is left is enough for operators and Redis, however many clients come.
pub fn for_clients(limits: &mut Limits) -> usize {
    // An end that no system has: what an unlimited one allows.
    let most = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(most) => most,
        Err(error) => {
            warn!(%error, "the limit of descriptors cannot be read");
            return tokio::sync::Semaphore::MAX_PERMITS;
        }
    };
    let sockets = sockets_within(most, limits.reserved_descriptors);
    let fits = sockets - sockets.div_ceil(REQUESTS);
    let wanted = limits.connections;
    limits.connections = wanted.min(fits);
    if fits < wanted {
        warn!(
            descriptors = most,
            connections = fits,
            wanted,
            "fewer connections than MAX_CONNECTIONS: the process may not open more descriptors. Raise its hard limit \
             (ulimit -Hn, docker run --ulimit nofile)"
        );
    } else {
        info!(descriptors = most, connections = wanted, "descriptors suffice");
    }
    sockets
}

/// The sockets for clients among `most` descriptors, of which so many are reserved.
fn sockets_within(most: u64, reserved: u64) -> usize {
    // With so few that the reserve would take all, half of them.
    let sockets = most.saturating_sub(reserved).max(most / 2);
    usize::try_from(sockets).unwrap_or(usize::MAX).min(tokio::sync::Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_the_reserve_leaves() {
        assert_eq!(sockets_within(1024, 64), 960);
        assert_eq!(sockets_within(100, 64), 50);
        assert_eq!(sockets_within(u64::MAX, 64), tokio::sync::Semaphore::MAX_PERMITS);
    }
}
