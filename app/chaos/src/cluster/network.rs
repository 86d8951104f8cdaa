//! Cuts and detours inside a container's own network namespace, where nobody else is hit.

use std::net::SocketAddr;

use super::docker::{pid, run};

/// Which packets between a container and a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What the container is sent.
    In,
    /// What it sends.
    Out,
    /// Both.
    Both,
}

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They vanish.
    Dropped,
    /// The sender gets a reset.
    Reset,
}

/// Cuts TCP between a container and the address of a peer.
///
/// # Errors
///
/// If the container does not run, or iptables refuses.
pub async fn cut(container: &str, peer: &str, way: Way, fate: Fate) -> anyhow::Result<()> {
    let pid = pid(container).await?;
    let target: &[&str] = match fate {
        Fate::Dropped => &["DROP"],
        Fate::Reset => &["REJECT", "--reject-with", "tcp-reset"],
    };
    for (chain, end) in [("INPUT", "-s"), ("OUTPUT", "-d")] {
        if !matches!((way, chain), (Way::In, "OUTPUT") | (Way::Out, "INPUT")) {
            let rule = ["-I", chain, end, peer, "-p", "tcp", "-j"];
            iptables(pid, &[&rule, target].concat()).await?;
        }
    }
    Ok(())
}

/// Sends what a container opens towards `peer` to `instead`. Connections that are open stay.
///
/// # Errors
///
/// If the container does not run, or iptables refuses.
pub async fn detour(container: &str, peer: SocketAddr, instead: SocketAddr) -> anyhow::Result<()> {
    let (ip, port, to) = (peer.ip().to_string(), peer.port().to_string(), instead.to_string());
    let rule = ["-t", "nat", "-I", "OUTPUT", "-d", &ip, "-p", "tcp", "--dport", &port];
    let target = ["-j", "DNAT", "--to-destination", &to];
    iptables(pid(container).await?, &[&rule[..], &target].concat()).await
}

/// Undoes every cut and detour of a container. Docker's own rules there are not touched: they are
/// in chains of their own, which only the embedded DNS uses and we do not.
///
/// # Errors
///
/// If the container does not run, or iptables refuses.
pub async fn mend(container: &str) -> anyhow::Result<()> {
    let pid = pid(container).await?;
    iptables(pid, &["-F", "INPUT"]).await?;
    iptables(pid, &["-F", "OUTPUT"]).await?;
    // Ours stand first; Docker's jump to its DNS rules comes after them.
    while iptables(pid, &["-t", "nat", "-S", "OUTPUT"]).await.is_ok() {
        let rules = nsenter(pid, &["-t", "nat", "-S", "OUTPUT"]).await?;
        if !rules.contains("--to-destination") {
            break;
        }
        iptables(pid, &["-t", "nat", "-D", "OUTPUT", "1"]).await?;
    }
    Ok(())
}

async fn iptables(pid: u32, arguments: &[&str]) -> anyhow::Result<()> {
    nsenter(pid, arguments).await.map(drop)
}

async fn nsenter(pid: u32, arguments: &[&str]) -> anyhow::Result<String> {
    let pid = pid.to_string();
    // `-w`: another call may hold the lock.
    let enter = ["--target", &pid, "--net", "iptables", "-w", "5"];
    run("nsenter", &[&enter[..], arguments].concat()).await
}
