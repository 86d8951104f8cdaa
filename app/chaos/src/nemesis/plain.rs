//! Clients that obey no `goaway`: event streams, and WebSockets that only connect again when they are ended. Each tells how
//! long it was given no message, while others speak all the time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use rollcall_client::new_key;
use rollcall_protocol::{ClientFrame, ServerFrame};
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

use super::{
    scene::Scene,
    traffic::{frame, greet},
    witness::ms,
};

/// How long it may take until each was given a message.
const GATHERED: Duration = Duration::from_secs(30);
/// How long a request may take until it is answered.
const LIMIT: Duration = Duration::from_secs(3);
/// What `retry:` of a stream says.
const AGAIN: Duration = Duration::from_millis(200);
/// More often than any heartbeat is due.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// Of each kind in a group. With leastconn some come to each replica, unless it has far more than its share.
const OF_EACH_KIND: usize = 6;
const MOST_GROUPS: usize = 5;

#[derive(Clone, Copy)]
enum Kind {
    Stream,
    Socket,
}

/// Listeners at work, until they are judged.
pub struct Plain {
    listeners: Vec<(String, Arc<Ear>)>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

/// What one was given.
struct Ear {
    /// When it was given a message last, or measuring began; and the longest time between two.
    heard: Mutex<(Instant, Duration)>,
    has_heard: watch::Sender<bool>,
    /// Where it was welcomed last; an event stream is not told.
    replica: Mutex<Option<String>>,
}

impl Ear {
    fn new() -> Self {
        let heard = Mutex::new((Instant::now(), Duration::ZERO));
        Self { heard, has_heard: watch::Sender::new(false), replica: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, (Instant, Duration)> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_on(&self, replica: &str) -> bool {
        let its = self.replica.lock().unwrap_or_else(PoisonError::into_inner);
        its.as_deref() == Some(replica)
    }

    fn welcomed(&self, text: &str) {
        if let Ok(ServerFrame::Welcome { replica, .. }) = serde_json::from_str(text) {
            *self.replica.lock().unwrap_or_else(PoisonError::into_inner) = Some(replica);
        }
    }

    fn heard(&self, bytes: &[u8]) {
        const MESSAGE: &[u8] = br#"{"type":"message""#;
        if bytes.windows(MESSAGE.len()).any(|it| it == MESSAGE) {
            let mut heard = self.lock();
            heard.1 = heard.1.max(heard.0.elapsed());
            heard.0 = Instant::now();
            self.has_heard.send_replace(true);
        }
    }
}

impl Plain {
    /// Groups of each kind in a room in which others speak, until one of them is on the replica that is hit; each was given a
    /// message by now.
    pub async fn gather(scene: &Scene<'_>, room: &str) -> anyhow::Result<Self> {
        let mut plain = Self { listeners: Vec::new(), tasks: Vec::new() };
        for _ in 0..MOST_GROUPS {
            plain.admit(scene, room).await?;
            if plain.listeners.iter().any(|(_, ear)| ear.is_on(scene.replica)) {
                return Ok(plain);
            }
        }
        bail!("no client that obeys no goaway came to {}", scene.replica)
    }

    async fn admit(&mut self, scene: &Scene<'_>, room: &str) -> anyhow::Result<()> {
        let first = self.listeners.len();
        for kind in [Kind::Stream, Kind::Socket].repeat(OF_EACH_KIND) {
            let name = format!("plain-{}-{}", scene.step, self.listeners.len() + 1);
            let (ear, url, room) = (Arc::new(Ear::new()), scene.stack.url(), room.to_owned());
            let task = match kind {
                Kind::Stream => tokio::spawn(follow(url, room, ear.clone())),
                Kind::Socket => tokio::spawn(listen(url, room, name.clone(), ear.clone())),
            };
            self.tasks.push(AbortOnDropHandle::new(task));
            self.listeners.push((name, ear));
        }
        for (name, ear) in &self.listeners[first..] {
            let mut has_heard = ear.has_heard.subscribe();
            let heard = timeout(GATHERED, has_heard.wait_for(|has_heard| *has_heard)).await;
            heard.with_context(|| format!("{name} was given nothing"))??;
        }
        Ok(())
    }

    /// The fault begins: what was before does not count.
    pub fn begin(&self) {
        for (_, ear) in &self.listeners {
            *ear.lock() = (Instant::now(), Duration::ZERO);
        }
    }

    /// Ends them, and writes down how long each was given nothing.
    pub fn judge(self, scene: &Scene<'_>, limit: Duration) {
        drop(self.tasks);
        for (name, ear) in &self.listeners {
            let (since, longest) = *ear.lock();
            let unheard = longest.max(since.elapsed());
            scene.measured("ms without a message, obeying no goaway", name, ms(unheard), ms(limit));
        }
    }
}

/// An event stream, again and again from where it has come to now.
async fn follow(url: String, room: String, ear: Arc<Ear>) {
    let (http, url) = (reqwest::Client::new(), format!("{url}/api/v1/rooms/{room}/events"));
    loop {
        if let Ok(Ok(mut response)) = timeout(LIMIT, http.get(&url).send()).await {
            while let Ok(Some(chunk)) = response.chunk().await {
                ear.heard(&chunk);
            }
        }
        sleep(AGAIN).await;
    }
}

/// A WebSocket whose client gives signs of life, and connects again when it is closed.
async fn listen(url: String, room: String, name: String, ear: Arc<Ear>) {
    let (key, mut ticks) = (new_key(), interval(SIGN_OF_LIFE));
    loop {
        if let Some(mut socket) = greet(&url, &key, &name, &room).await {
            loop {
                tokio::select! {
                    _ = ticks.tick() => {
                        if socket.send(frame(&ClientFrame::Ping { t: 1 })).await.is_err() {
                            break;
                        }
                    }
                    said = socket.next() => match said {
                        Some(Ok(Message::Text(text))) => {
                            ear.welcomed(&text);
                            ear.heard(text.as_bytes());
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                        Some(Ok(_)) => {}
                    },
                }
            }
        }
        sleep(AGAIN).await;
    }
}
