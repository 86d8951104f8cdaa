//! What the processes of a stack take.

use std::fs;

use anyhow::Context;

use super::{Stack, docker::docker};

/// What one container takes, all its processes together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// When its first process started, clock ticks of the machine.
    pub since: u64,
    /// Resident memory, bytes.
    pub rss: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
    /// Tasks of the server's runtime; 0 for what is no replica.
    pub tasks: u64,
}

/// Looks at every running container of a stack.
///
/// # Errors
///
/// If Docker cannot say what runs.
pub async fn look(stack: &Stack) -> anyhow::Result<Vec<(String, Resources)>> {
    let mut found = Vec::new();
    for name in ["redis", "haproxy"] {
        let container = stack.container(name);
        found.push((container.clone(), of(&container).await?));
    }
    for slot in stack.running().await? {
        let mut resources = of(&slot.container).await?;
        resources.tasks = tasks(&slot.address).await.unwrap_or_default();
        found.push((slot.container, resources));
    }
    Ok(found)
}

async fn of(container: &str) -> anyhow::Result<Resources> {
    let pids = docker(&["top", container, "-eo", "pid"]).await?;
    let mut sum = Resources { since: u64::MAX, ..Resources::default() };
    for pid in pids.lines().skip(1).map(str::trim) {
        // It may have ended meanwhile, as an old worker of HAProxy does.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        sum.since = sum.since.min(started(&stat).context("no start time")?);
        sum.rss += field(&status, "VmRSS:").unwrap_or_default() * 1024;
        sum.threads += field(&status, "Threads:").unwrap_or_default();
        sum.fds += open.count() as u64;
    }
    Ok(sum)
}

/// The 22nd field of `stat`; the second, which may hold spaces, ends with the last parenthesis.
fn started(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(19)?.parse().ok()
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The gauge `rollcall_tasks` of a replica.
async fn tasks(address: &str) -> anyhow::Result<u64> {
    let url = format!("http://{address}:8090/metrics");
    let text = reqwest::get(url).await?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix("rollcall_tasks "));
    Ok(line.context("no rollcall_tasks")?.trim().parse::<f64>()? as u64)
}
