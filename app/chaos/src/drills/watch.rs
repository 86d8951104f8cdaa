//! How many replicas HAProxy has, all the time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

const EVERY: Duration = Duration::from_millis(50);

/// A watch that remembers the worst moment.
pub struct Watch {
    stop: oneshot::Sender<()>,
    watching: JoinHandle<Option<usize>>,
}

impl Watch {
    /// Starts to ask HAProxy at its runtime socket.
    pub fn start(socket: PathBuf) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let watching = tokio::spawn(async move {
            let mut fewest: Option<usize> = None;
            loop {
                tokio::select! {
                    // A HAProxy that does not answer says nothing about replicas: a reload takes its socket away.
                    serving = serving(&socket) => fewest = [fewest, serving].into_iter().flatten().min(),
                    _ = &mut stopped => return fewest,
                }
                sleep(EVERY).await;
            }
        });
        Self { stop, watching }
    }

    /// The fewest replicas with a slot that was UP. None if HAProxy never said.
    pub async fn stop(self) -> Option<usize> {
        let _gone = self.stop.send(());
        self.watching.await.ok().flatten()
    }
}

async fn serving(socket: &Path) -> Option<usize> {
    let asked = timeout(Duration::from_secs(1), ask(socket, "show stat\n")).await;
    let table = asked.ok()?.ok()?;
    let mut up = BTreeSet::new();
    for row in table.lines().map(|line| line.split(',').collect::<Vec<_>>()) {
        let [proxy, server, ..] = row[..] else { continue };
        let status = row.get(17).copied().unwrap_or_default();
        if proxy == "replicas" && status.starts_with("UP") {
            up.extend(server.split('-').next().filter(|replica| replica.starts_with('r')));
        }
    }
    table.contains("replicas,r1-blue").then_some(up.len())
}

async fn ask(socket: &Path, command: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(command.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
