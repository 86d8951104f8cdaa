//! Two ordinary clients in every room that is shown: what they get is what everybody gets, and it is proved by itself.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rollcall_client::{Client, Config, Event, Events, Tls, protocol};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    event::{Message, What},
    hall,
};

/// How many there are.
const WITNESSES: usize = 2;
/// When to come anew after a client ended.
const AGAIN: Duration = Duration::from_secs(1);

/// Where the witnesses listen.
#[derive(Debug, Clone)]
pub struct Place {
    /// The service.
    pub url: String,
    /// Over TLS whom to believe.
    pub tls: Option<Tls>,
    /// The rooms.
    pub rooms: Vec<String>,
}

/// Tells what the witnesses get, for as long as somebody listens.
pub async fn listen(place: Place, out: mpsc::Sender<What>) {
    let witness = |number| keep_listening(place.clone(), number, out.clone());
    let mut all: Vec<_> = (0..WITNESSES).map(|number| tokio::spawn(witness(number))).collect();
    for one in &mut all {
        // It ends when nobody listens.
        let _ended = one.await;
    }
}

async fn keep_listening(place: Place, number: usize, out: mpsc::Sender<What>) {
    // Each life is a witness of its own: what was said between two of them is not the second one's matter.
    for life in 0.. {
        let rooms: Vec<_> = place.rooms.iter().map(String::as_str).collect();
        let mut config = Config::new(&place.url, &format!("Witness {}", number + 1), &rooms);
        config.tls.clone_from(&place.tls);
        // While its handle is there it goes on.
        let (_handle, events) = Client::start(config);
        let witness =
            Witness { number: number + life * WITNESSES, live: HashSet::new(), out: out.clone() };
        if witness.listen(events).await.is_err() {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// One of them.
struct Witness {
    number: usize,
    /// Rooms in which it is live: what comes there has just been said.
    live: HashSet<String>,
    out: mpsc::Sender<What>,
}

impl Witness {
    /// Until the client ends.
    ///
    /// # Errors
    ///
    /// If nobody listens any more.
    async fn listen(mut self, mut events: Events) -> Result<(), mpsc::error::SendError<What>> {
        while let Some(event) = events.next().await {
            match event {
                Event::Connected { member, .. } => {
                    self.out.send(What::Witness { member }).await?;
                }
                Event::Joined { room, .. } => {
                    self.live.remove(&room);
                }
                Event::Live { room } => {
                    self.live.insert(room);
                }
                Event::Message { message, .. } => {
                    self.out.send(self.got(message)).await?;
                }
                Event::RoomState { room, state, .. } if room == hall::ROOM => {
                    self.out.send(What::Asked { topic: state.topic }).await?;
                }
                // Something before it is missing. The client asks again, and is given both.
                Event::Broken { room, id, got, .. } => {
                    let (id, prev) = (id.to_string(), got.to_string());
                    let refused = Message {
                        room,
                        id,
                        prev,
                        witness: self.number,
                        broken: true,
                        ..Message::default()
                    };
                    self.out.send(What::Message(refused)).await?;
                }
                // The client dropped it, and everybody else had to do so, too.
                Event::Repeated { room, id, after } => {
                    let (id, prev) = (id.to_string(), after.to_string());
                    let again =
                        Message { room, id, prev, witness: self.number, ..Message::default() };
                    self.out.send(What::Message(again)).await?;
                }
                Event::Ended(Err(why)) => tracing::warn!(%why, "a witness had to go"),
                _ => {}
            }
        }
        Ok(())
    }

    fn got(&self, message: protocol::Message) -> What {
        let is_new = self.live.contains(&message.room);
        let took_ms = is_new.then(|| unix_ms().saturating_sub(message.at));
        let kind = message.extra.kind.and_then(|kind| serde_json::to_value(kind).ok());
        What::Message(Message {
            room: message.room,
            id: message.id.to_string(),
            prev: message.prev.to_string(),
            member: message.member,
            name: message.name,
            text: message.text,
            kind: kind.and_then(|kind| kind.as_str().map(str::to_owned)),
            of: message.extra.of.map(|of| of.to_string()),
            broken: false,
            release: None,
            witness: self.number,
            took_ms,
        })
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
