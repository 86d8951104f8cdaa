//! HAProxy's own word, at its runtime socket.

use std::{collections::BTreeSet, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

/// The replicas that have a slot which is UP and gets clients. None if HAProxy does not answer.
pub async fn serving(socket: &Path) -> Option<BTreeSet<String>> {
    let asked = timeout(Duration::from_secs(1), ask(socket, "show stat\n")).await;
    up(&asked.ok()?.ok()?)
}

fn up(table: &str) -> Option<BTreeSet<String>> {
    let mut up = BTreeSet::new();
    for row in table.lines().map(|line| line.split(',').collect::<Vec<_>>()) {
        let [proxy, server, ..] = row[..] else { continue };
        let status = row.get(17).copied().unwrap_or_default();
        if proxy == "replicas" && status.starts_with("UP") {
            let replica = server.split('-').next().filter(|replica| replica.starts_with('r'));
            up.extend(replica.map(str::to_owned));
        }
    }
    table.contains("replicas,r1-blue").then_some(up)
}

async fn ask(socket: &Path, command: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(command.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::up;

    fn row(server: &str, status: &str) -> String {
        format!("replicas,{server}{}{status},1\n", ",".repeat(16))
    }

    #[test]
    fn a_replica_serves_if_one_of_its_slots_is_up() {
        let table = [
            row("r1-blue", "MAINT"),
            row("r1-green", "UP"),
            row("r2-blue", "UP 1/3"),
            row("r2-green", "DRAIN"),
            row("r3-blue", "DOWN"),
            row("BACKEND", "UP"),
        ];
        let serving = up(&table.concat()).expect("a table");
        assert_eq!(serving.into_iter().collect::<Vec<_>>(), ["r1", "r2"]);
        assert_eq!(up("no such command"), None);
    }
}
