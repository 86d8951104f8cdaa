//! A flood: one room is sent more than its rate by clients that hardly read. Who listens there is
//! of the workload; dozens of readers would measure this process rather than the service.

use std::time::Duration;

use anyhow::ensure;
use futures_util::{SinkExt, StreamExt, future::join_all};
use rollcall_client::new_key;
use rollcall_protocol::{ClientFrame, ServerFrame};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use super::{
    scene::Scene,
    traffic::{Socket, frame, greet},
};
use crate::{
    history::{Id, What},
    workload::FLOODED,
};

/// A client may send 20 messages a second, and a room takes 50 by each of three replicas: twelve are past
/// it, be they spread or all on one that has just come back. Whoever more there is gets nothing more in, but
/// every message out: 36 took half of a machine with two cores, and most of that was a proxy of Docker's and
/// this process.
const FLOODERS: u32 = 12;
/// They come one after another: a crowd at the door is another fault.
const APART: Duration = Duration::from_millis(25);
const PAUSE: Duration = Duration::from_millis(50);
const LENGTH: usize = 3_000;
/// Fewer are no flood. One has 400 to 1,300, and not much less beside another fault.
const LEAST: u64 = 100;
/// An answer may take this much longer than the flood; then nobody knows.
const PATIENCE: Duration = Duration::from_secs(5);

struct Flooder<'a> {
    scene: &'a Scene<'a>,
    key: String,
    name: String,
    socket: Option<Socket>,
}

pub async fn flood(scene: &Scene<'_>) -> anyhow::Result<()> {
    let until = Instant::now() + scene.hold;
    let flooder = |number: u32| Flooder {
        scene,
        key: new_key(),
        name: format!("flooder-{}-{number}", scene.step),
        socket: None,
    };
    let pour = |number| async move {
        sleep(APART * number).await;
        flooder(number).pour(until).await
    };
    let taken: u64 = join_all((0..FLOODERS).map(pour)).await.into_iter().sum();
    ensure!(taken >= LEAST, "only {taken} messages were taken: no flood");
    Ok(())
}

impl Flooder<'_> {
    /// How many were taken.
    async fn pour(mut self, until: Instant) -> u64 {
        let mut taken = 0;
        let (client, role) = (self.name.clone(), "flooder".to_owned());
        self.scene.recorder.record(What::Began { client, role, rooms: vec![] });
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for n in 1.. {
            ticks.tick().await;
            if Instant::now() >= until || !self.say(n, until + PATIENCE).await {
                break;
            }
            taken = n;
        }
        if let Some(socket) = &mut self.socket {
            let _gone = socket.send(frame(&ClientFrame::Bye)).await;
        }
        taken
    }

    /// False if nobody knows whether it was taken: then nothing can follow it.
    async fn say(&mut self, n: u64, until: Instant) -> bool {
        let (op, text) = self.scene.workload.shared().invoke(&self.name, FLOODED, LENGTH);
        let send = frame(&ClientFrame::send(FLOODED, n, text));
        let taken = timeout_at(until, self.until_taken(n, &send)).await;
        self.scene.recorder.record(match taken {
            Ok((id, duplicate)) => What::Ok { op, id, duplicate },
            Err(_) => What::Info { op, why: "no answer after the flood".to_owned() },
        });
        taken.is_ok()
    }

    async fn until_taken(&mut self, n: u64, send: &Message) -> (Option<Id>, bool) {
        loop {
            let Some(socket) = &mut self.socket else {
                self.socket = greet(&self.scene.stack.url(), &self.key, &self.name, FLOODED).await;
                sleep(PAUSE).await;
                continue;
            };
            let answer = match socket.send(send.clone()).await {
                Ok(()) => answer(socket, n).await,
                Err(_) => None,
            };
            match answer {
                Some(ServerFrame::Ack { id, duplicate, .. }) => {
                    return (id.and_then(|id| id.to_string().parse().ok()), duplicate);
                }
                Some(ServerFrame::Reject { retry_ms, .. }) => {
                    sleep(Duration::from_millis(retry_ms.unwrap_or(100))).await;
                }
                _ => self.socket = None,
            }
        }
    }
}

/// What became of `n`; what others say is not even parsed. None when the connection ends.
async fn answer(socket: &mut Socket, n: u64) -> Option<ServerFrame> {
    loop {
        let Message::Text(text) = socket.next().await?.ok()? else { continue };
        if text.starts_with(r#"{"type":"message""#) {
            continue;
        }
        match serde_json::from_str(&text).ok()? {
            it @ (ServerFrame::Ack { n: which, .. } | ServerFrame::Reject { n: which, .. })
                if which == n =>
            {
                return Some(it);
            }
            _ => {}
        }
    }
}
