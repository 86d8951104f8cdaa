//! How many replicas HAProxy has, all the time.

use std::{path::PathBuf, time::Duration};

use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use crate::cluster::haproxy;

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
                    serving = haproxy::serving(&socket) => {
                        let count = serving.map(|replicas| replicas.len());
                        fewest = [fewest, count].into_iter().flatten().min();
                    }
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
