//! Every fault there is: its name, what it hits, and for how long.

use std::{ops::RangeInclusive, time::Duration};

/// A way to break the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "FAULTS says what each one does")]
pub enum Fault {
    ReplicaKill,
    ReplicaTerm,
    ReplicaPause,
    ReplicaOom,
    ReplicaStarved,
    Roll,
    RollKill,
    HaproxyReload,
    HaproxyKill,
    RedisKill,
    RedisPauseShort,
    RedisPauseLong,
    RedisClientKill,
    RedisPauseWrite,
    RedisFunctionFlush,
    RedisRewriteAof,
    RedisFull,
    RedisTruncatedAof,
    RedisPowerLoss,
    RedisFlushall,
    RedisTrim,
    RedisClockJump,
    RedisCutDrop,
    RedisCutReset,
    RedisCutIn,
    RedisCutOut,
    RedisDelay,
    RedisThin,
    HaproxyCutDrop,
    HaproxyCutReset,
    HaproxyCutIn,
    HaproxyCutOut,
    Flood,
    ResendStorm,
    Garbage,
    Stampede,
    Crowd,
    ReplicaDeaf,
    ReplicaFrozen,
    RedisFullLong,
    RedisFills,
    UnreadableRoom,
    UnreadableEntry,
    ClockJumpDay,
    UnbalancedRoll,
    Descriptors1024,
}

/// What a fault hits. Two faults of a pair never hit the same part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One replica.
    Replica,
    /// HAProxy.
    Haproxy,
    /// Redis.
    Redis,
    /// Nothing; it is what clients do.
    Traffic,
    /// A deploy, which needs all the rest: never one of a pair.
    Deploy,
    /// Something of which witnesses tell how far others feel it: never one of a pair, lest they feel that.
    Witnessed,
}

impl Part {
    /// Whether another fault may be there at the same time.
    #[must_use]
    pub fn can_be_one_of_two(self) -> bool {
        !matches!(self, Self::Deploy | Self::Witnessed)
    }
}

/// What is known of a fault.
#[derive(Debug, Clone)]
pub struct About {
    /// Which.
    pub fault: Fault,
    /// Its name on the command line and in histories.
    pub name: &'static str,
    /// What it hits.
    pub part: Part,
    /// How long it lasts, seconds, besides the time to do and undo it.
    pub seconds: RangeInclusive<u64>,
    /// In one line.
    pub summary: &'static str,
}

macro_rules! faults {
    ($($fault:ident $name:literal $part:ident $seconds:expr, $summary:literal;)*) => {
        /// All of them, in the order of `--list`.
        pub const FAULTS: &[About] = &[$(About {
            fault: Fault::$fault,
            name: $name,
            part: Part::$part,
            seconds: $seconds,
            summary: $summary,
        }),*];
    };
}

faults! {
    ReplicaKill "replica-kill" Replica 1..=4, "SIGKILL; started again";
    ReplicaTerm "replica-term" Replica 1..=4, "SIGTERM, so it drains by itself; started again";
    ReplicaPause "replica-pause" Replica 5..=40, "frozen for 5 to 40 s, then back as a zombie";
    ReplicaOom "replica-oom" Replica 1..=3, "out of memory: killed by the kernel, restarted by Docker";
    ReplicaStarved "replica-starved" Replica 5..=8, "a twentieth of a core";
    Roll "roll" Deploy 0..=0, "rolling-update.yml under load";
    RollKill "roll-kill" Deploy 0..=0, "the same, and a replica is killed in the middle of it";
    HaproxyReload "haproxy-reload" Haproxy 2..=4, "SIGUSR2: a new worker, the old one keeps its sockets";
    HaproxyKill "haproxy-kill" Haproxy 1..=3, "SIGKILL; started again";
    RedisKill "redis-kill" Redis 1..=4, "SIGKILL; started again from its append-only file";
    RedisPauseShort "redis-pause-short" Redis 0..=0, "frozen for 0.6 s, less than the server's timeout";
    RedisPauseLong "redis-pause-long" Redis 3..=16, "frozen for longer than the server's timeout, or than a lease";
    RedisClientKill "redis-client-kill" Redis 0..=1, "CLIENT KILL of all, three times";
    RedisPauseWrite "redis-pause-write" Redis 2..=4, "CLIENT PAUSE … WRITE";
    RedisFunctionFlush "redis-function-flush" Redis 0..=1, "FUNCTION FLUSH: the append function is gone";
    RedisRewriteAof "redis-rewrite-aof" Redis 2..=3, "BGREWRITEAOF under load";
    RedisFull "redis-full" Redis 3..=5, "maxmemory reached: every write is refused";
    RedisTruncatedAof "redis-truncated-aof" Redis 1..=2, "SIGKILL, and the end of the append-only file is lost";
    RedisPowerLoss "redis-power-loss" Redis 1..=4, "SIGKILL, and whatever was not fsynced is lost; started again";
    RedisFlushall "redis-flushall" Redis 1..=1, "FLUSHALL: everything is lost";
    RedisTrim "redis-trim" Redis 1..=1, "XTRIM: of every room log only the last two entries stay";
    RedisClockJump "redis-clock-jump" Redis 4..=6, "Redis' clock an hour ahead, and back";
    RedisCutDrop "redis-cut-drop" Replica 3..=16, "a replica and Redis: packets vanish";
    RedisCutReset "redis-cut-reset" Replica 3..=6, "a replica and Redis: resets";
    RedisCutIn "redis-cut-in" Replica 3..=6, "a replica hears nothing of Redis, but is heard";
    RedisCutOut "redis-cut-out" Replica 3..=6, "a replica is not heard by Redis, but hears";
    RedisDelay "redis-delay" Replica 4..=6, "300 ms between a replica and Redis, each way";
    RedisThin "redis-thin" Replica 4..=6, "8 KiB a second between a replica and Redis";
    HaproxyCutDrop "haproxy-cut-drop" Replica 3..=16, "a replica and HAProxy: packets vanish";
    HaproxyCutReset "haproxy-cut-reset" Replica 3..=6, "a replica and HAProxy: resets";
    HaproxyCutIn "haproxy-cut-in" Replica 3..=6, "a replica hears nothing of HAProxy, but is heard";
    HaproxyCutOut "haproxy-cut-out" Replica 3..=6, "a replica is not heard by HAProxy, but hears";
    Flood "flood" Traffic 8..=8, "one room gets 3 KiB messages as fast as it takes them";
    ResendStorm "resend-storm" Traffic 2..=3, "one message is sent again and again, by several sockets at once";
    Garbage "garbage" Traffic 2..=3, "malformed, oversized and half frames";
    Stampede "stampede" Traffic 3..=3, "1,000 clients drop their connections and come back at once";
    Crowd "crowd" Traffic 15..=15, "210 clients enter one room, talk, and say bye";
    ReplicaDeaf "replica-deaf" Witnessed 20..=60, "a replica and Redis: packets vanish for a minute, and clients of the replica measure it";
    ReplicaFrozen "replica-frozen" Witnessed 20..=20, "frozen for 20 s; clients of the others must feel nothing";
    RedisFullLong "redis-full-long" Witnessed 62..=75, "Redis refuses writes for longer than any lease lives";
    RedisFills "redis-fills" Witnessed 10..=20, "clients within their limits post as much as Redis holds, which is little";
    UnreadableRoom "unreadable-room" Witnessed 10..=30, "the key of one room's log has another type";
    UnreadableEntry "unreadable-entry" Witnessed 5..=10, "an entry in one room's log is no message of any release";
    ClockJumpDay "clock-jump-day" Witnessed 4..=6, "Redis' clock a day ahead while sends are retried, and back";
    UnbalancedRoll "unbalanced-roll" Deploy 3..=3, "a replica is killed and comes back empty, then a roll";
    Descriptors1024 "descriptors-1024" Witnessed 5..=10, "a replica that may have 1,024 descriptors gets 1,200 clients more";
}

/// What the issue asks for and this machine cannot do. Never counted as survived.
pub const UNAVAILABLE: &[(&str, &str)] = &[(
    "replica-clock-jump",
    "a replica is a static program, which a preloaded clock does not reach as it does Redis, and a time \
     namespace offsets only the monotonic clocks; but no replica goes by this one (app/server/clippy.toml)",
)];

impl Fault {
    /// What is known of it.
    ///
    /// # Panics
    ///
    /// Never: each has its line in [`FAULTS`] (test `every_fault_is_listed_once`).
    #[must_use]
    pub fn about(self) -> &'static About {
        FAULTS.iter().find(|about| about.fault == self).expect("every fault is in the table")
    }

    /// What it takes besides its time and what every fault takes: until witnesses are there, and have told.
    #[must_use]
    pub fn besides(self) -> Duration {
        Duration::from_secs(match self {
            Self::Crowd => 25,
            Self::ReplicaDeaf | Self::ReplicaFrozen => 7,
            Self::RedisFullLong => 16,
            Self::RedisFills => 20,
            Self::UnreadableRoom | Self::UnreadableEntry => 16,
            Self::ClockJumpDay => 28,
            // What a roll of three replicas takes, about.
            Self::Roll | Self::RollKill => 45,
            Self::UnbalancedRoll => 60,
            Self::Descriptors1024 => 20,
            _ => 0,
        })
    }

    /// Whether it sets a clock. What is lost after that can have higher IDs than what comes then.
    #[must_use]
    pub fn sets_a_clock(self) -> bool {
        matches!(self, Self::RedisClockJump | Self::ClockJumpDay)
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FAULTS.iter().find(|about| about.name == name).map(|about| about.fault)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FAULTS, Fault};

    #[test]
    fn every_fault_is_listed_once() {
        let names: BTreeSet<&str> = FAULTS.iter().map(|about| about.name).collect();
        let faults: BTreeSet<Fault> = FAULTS.iter().map(|about| about.fault).collect();
        assert_eq!((names.len(), faults.len()), (FAULTS.len(), FAULTS.len()));
        assert_eq!(faults.last().copied(), Some(Fault::Descriptors1024), "the last of the enum");
        assert_eq!(
            FAULTS.len(),
            Fault::Descriptors1024 as usize + 1,
            "one without a line in the table"
        );
    }
}
