//! How much memory Redis uses, as it said last.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use redis::{RedisError, aio::ConnectionLike};

use super::model::Usage;

/// What Redis said last of its memory; nothing used before it said anything.
#[derive(Debug, Default)]
pub(super) struct Watched {
    used: AtomicU64,
    limit: AtomicU64,
}

impl Watched {
    pub(super) fn usage(&self) -> Usage {
        Usage { used: self.used.load(Relaxed), limit: self.limit.load(Relaxed) }
    }

    /// Asks Redis.
    pub(super) async fn ask(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> Result<Usage, RedisError> {
        let info: String = redis::cmd("INFO").arg("memory").query_async(connection).await?;
        let usage = read_usage(&info);
        self.used.store(usage.used, Relaxed);
        self.limit.store(usage.limit, Relaxed);
        Ok(usage)
    }
}

fn read_usage(info: &str) -> Usage {
    let value = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    Usage { used: value("used_memory:"), limit: value("maxmemory:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_redis_says() {
        let info = "# Memory\r\nused_memory:1500\r\nused_memory_human:1.46K\r\nmaxmemory:3000\r\n";
        let usage = read_usage(info);
        assert_eq!(usage, Usage { used: 1500, limit: 3000 });
        assert!((usage.ratio() - 0.5).abs() < 1e-9);
        assert!(Usage { limit: 0, ..usage }.ratio() < 1e-9, "no limit is never full");
    }
}
