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

/// Whom a container is cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer<'a> {
    /// The address.
    pub address: &'a str,
    /// Only what it has with this port of the container. HAProxy shares its address with the whole
    /// machine, which also asks the container's admin port.
    pub port: Option<u16>,
}

/// Cuts TCP between a container and a peer.
///
/// # Errors
///
/// If the container does not run, or iptables refuses.
pub async fn cut(container: &str, peer: Peer<'_>, way: Way, fate: Fate) -> anyhow::Result<()> {
    let pid = pid(container).await?;
    for rule in rules(peer, way, fate) {
        let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
        iptables(pid, &rule).await?;
    }
    Ok(())
}

/// The rules of a cut, as arguments of iptables.
fn rules(peer: Peer<'_>, way: Way, fate: Fate) -> Vec<Vec<String>> {
    let target: &[&str] = match fate {
        Fate::Dropped => &["DROP"],
        Fate::Reset => &["REJECT", "--reject-with", "tcp-reset"],
    };
    let mut rules = Vec::new();
    for (chain, end, own) in [("INPUT", "-s", "--dport"), ("OUTPUT", "-d", "--sport")] {
        if matches!((way, chain), (Way::In, "OUTPUT") | (Way::Out, "INPUT")) {
            continue;
        }
        let mut rule = ["-I", chain, end, peer.address, "-p", "tcp"].map(str::to_owned).to_vec();
        if let Some(port) = peer.port {
            rule.extend([own.to_owned(), port.to_string()]);
        }
        rule.push("-j".to_owned());
        rule.extend(target.iter().map(|word| (*word).to_owned()));
        rules.push(rule);
    }
    rules
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

#[cfg(test)]
mod tests {
    use super::{Fate, Peer, Way, rules};

    fn told(port: Option<u16>, way: Way, fate: Fate) -> Vec<String> {
        let peer = Peer { address: "172.30.92.1", port };
        rules(peer, way, fate).iter().map(|rule| rule.join(" ")).collect()
    }

    #[test]
    fn o27_a_cut_from_haproxy_leaves_the_machine_its_admin_port() {
        assert_eq!(
            told(Some(8080), Way::Both, Fate::Dropped),
            [
                "-I INPUT -s 172.30.92.1 -p tcp --dport 8080 -j DROP",
                "-I OUTPUT -d 172.30.92.1 -p tcp --sport 8080 -j DROP",
            ]
        );
    }

    #[test]
    fn a_cut_one_way_has_one_rule() {
        let reset = "-I INPUT -s 172.30.92.1 -p tcp -j REJECT --reject-with tcp-reset";
        assert_eq!(told(None, Way::In, Fate::Reset), [reset]);
        assert_eq!(
            told(None, Way::Out, Fate::Dropped),
            ["-I OUTPUT -d 172.30.92.1 -p tcp -j DROP"]
        );
    }
}
