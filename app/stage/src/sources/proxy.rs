//! HAProxy's servers, by its runtime socket.

use std::{io, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
    time::timeout,
};

use crate::event::{Server, What};

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// It answers at once, or not at all.
const ANSWERED: Duration = Duration::from_secs(2);
/// The backend that the replicas are in.
const BACKEND: &str = "replicas";
/// An answer is no longer than this.
const BYTES: u64 = 4 * 1024 * 1024;

/// Tells how the proxy's servers are whenever that changes, for as long as somebody listens.
pub async fn follow(socket: PathBuf, out: mpsc::Sender<What>) {
    let mut told = Vec::new();
    loop {
        // One that is away tells nothing: what it said last stands.
        if let Ok(Ok(text)) = timeout(ANSWERED, ask(&socket)).await {
            let servers = read(&text);
            if servers != told {
                told.clone_from(&servers);
                if out.send(What::Proxy { servers }).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn ask(socket: &PathBuf) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"show stat\n").await?;
    let mut text = String::new();
    stream.take(BYTES).read_to_string(&mut text).await?;
    Ok(text)
}

/// The servers of the backend, by the names of the columns: `r1-blue` is replica r1 in slot blue.
fn read(text: &str) -> Vec<Server> {
    let mut lines = text.lines();
    let head: Vec<_> =
        lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let server = |line: &str| {
        let cells: Vec<_> = line.split(',').collect();
        let cell = |name: &str| cells.get(head.iter().position(|it| *it == name)?).copied();
        let (replica, slot) = cell("svname")?.rsplit_once('-')?;
        Some(Server {
            replica: replica.to_owned(),
            slot: slot.to_owned(),
            status: cell("status")?.to_owned(),
            sessions: cell("scur")?.parse().ok()?,
        })
        .filter(|_| cell("pxname") == Some(BACKEND))
    };
    lines.filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn servers_are_read_by_the_names_of_the_columns() {
        let text = "# pxname,svname,qcur,scur,status,\nclients,FRONTEND,,7,OPEN,\nreplicas,r1-blue,0,5,UP,\n\
                    replicas,r1-green,0,0,MAINT,\nreplicas,BACKEND,0,5,UP,\nother,r9-blue,0,1,UP,\n";
        let told: Vec<_> = read(text)
            .into_iter()
            .map(|it| format!("{} {} {} {}", it.replica, it.slot, it.status, it.sessions))
            .collect();
        assert_eq!(told, ["r1 blue UP 5", "r1 green MAINT 0"]);
        assert!(read("").is_empty());
    }
}
