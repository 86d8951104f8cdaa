//! Limits with which a chaos run starts its replicas, so that it comes to each of them and goes on.

use std::collections::BTreeMap;

/// How many members of a room a list names with [`small`].
pub const LISTED: usize = 5;

/// Every limit of a replica that is a number and that a conversation of 44 clients does not come to by itself, with a single
/// digit or what a few messages take. A replica that does not know one ignores it.
#[must_use]
pub fn small() -> BTreeMap<String, String> {
    let limits = [
        // Frames that a room keeps for listeners that lag, and entries that one read of the log takes.
        ("RING_FRAMES", 4),
        ("PAGE_ENTRIES", 3),
        // A message is about 300 bytes as a frame.
        ("OUTLET_BYTES", 2_048),
        // Signals that wait for a listener, and events that come before its room is read.
        ("WAITING_SIGNALS", 2),
        ("EARLY_EVENTS", 4),
        ("LISTED_MEMBERS", LISTED),
        // Feeds that a replica falls behind in a second or two, and logs that go from the beginning all the time.
        ("FEED_ENTRIES", 9),
        ("FEED_BYTES", 16 << 10),
        ("LOG_BYTES", 64 << 10),
    ];
    limits.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

/// What a replica always has in a chaos run: feeds so short that one that is cut off for seconds falls behind their first
/// entry, and room logs so long that no flood trims what the checker looks for.
#[must_use]
pub fn usual() -> BTreeMap<String, String> {
    let limits = [("FEED_ENTRIES", 100), ("LOG_BYTES", 64 << 20)];
    limits.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

/// The memory of a Redis that clients fill within seconds, bytes.
pub const EASILY_FILLED: u64 = 40 << 20;

/// What Redis and the replicas have where clients are to fill it within seconds: variables of the playbooks, and the replicas'
/// environment. The clients stand for people at many addresses, and come from one.
#[must_use]
pub fn easily_filled() -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let redis = [("rollcall_redis_maxmemory", &*EASILY_FILLED.to_string())];
    let replicas = [
        ("LOG_BYTES", "1048576"),
        ("FEED_BYTES", "524288"),
        ("RATE_POSTS", "5000"),
        ("RATE_ADDRESS", "5000"),
    ];
    (redis.into_iter().map(owned).collect(), replicas.into_iter().map(owned).collect())
}

#[cfg(test)]
mod tests {
    use super::{LISTED, small};

    #[test]
    fn small_limits_are_single_digits_or_some_messages() {
        for (name, value) in small() {
            let value: usize = value.parse().expect("a number");
            assert!(
                if name.ends_with("_BYTES") { value <= 64 << 10 } else { value < 10 },
                "{name}"
            );
        }
        assert_eq!(small()["LISTED_MEMBERS"], LISTED.to_string());
    }
}
