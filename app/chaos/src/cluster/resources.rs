//! What the processes of a stack take.

use std::fs;

use anyhow::Context;

use super::{Stack, docker::docker};

/// What one container takes, all its processes together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
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
    let mut sum = Resources::default();
    for pid in pids.lines().skip(1).map(str::trim) {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        sum.rss += field(&status, "VmRSS:").unwrap_or_default() * 1024;
        sum.threads += field(&status, "Threads:").unwrap_or_default();
        sum.fds += fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
    }
    Ok(sum)
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
