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
    let mut witness = Witness { number, live: HashSet::new() };
    loop {
        let rooms: Vec<_> = place.rooms.iter().map(String::as_str).collect();
        let mut config = Config::new(&place.url, &format!("Witness {}", number + 1), &rooms);
        config.tls.clone_from(&place.tls);
        // While its handle is there it goes on.
        let (_handle, events) = Client::start(config);
        let listened = witness.listen(events, &out).await;
        // What it knew of the log ends with it.
        let up = What::Log { witness: number, up: true };
        if listened.is_err() || out.send(up).await.is_err() {
            return;
        }
        witness.begin_anew();
        sleep(AGAIN).await;
    }
}

/// One of them.
struct Witness {
    number: usize,
    /// Rooms in which it is live: what comes there has just been said.
    live: HashSet<String>,
}

impl Witness {
    /// Another life is a witness of its own: what was said between the two is not the second one's matter.
    fn begin_anew(&mut self) {
        self.number += WITNESSES;
    }

    /// Until the client ends, or is put out of a room.
    ///
    /// # Errors
    ///
    /// If nobody listens any more.
    async fn listen(
        &mut self,
        mut events: Events,
        out: &mpsc::Sender<What>,
    ) -> Result<(), mpsc::error::SendError<What>> {
        while let Some(event) = events.next().await {
            if let Event::PutOut { room, detail, .. } = &event {
                tracing::warn!(%room, %detail, "a witness was put out, and comes as another one");
                return Ok(());
            }
            if let Some(what) = self.hear(event) {
                out.send(what).await?;
            }
        }
        Ok(())
    }

    /// What there is to tell of it.
    fn hear(&mut self, event: Event) -> Option<What> {
        match event {
            Event::Connected { member, .. } => Some(What::Witness { member }),
            Event::Joined { room, .. } => {
                self.live.remove(&room);
                None
            }
            Event::Live { room } => {
                self.live.insert(room);
                None
            }
            Event::Message { message, .. } => Some(self.got(message)),
            // What it was not given is not to be had by anybody: nobody has lost it between the log and them.
            Event::Gap { room, reason, .. } => {
                self.begin_anew();
                Some(What::Gap { room, reason })
            }
            Event::Log { up, .. } => Some(What::Log { witness: self.number % WITNESSES, up }),
            Event::RoomState { room, state, .. } if room == hall::ROOM => {
                Some(What::Asked { topic: state.topic })
            }
            // Something before it is missing. The client asks again, and is given both.
            Event::Broken { room, id, got, .. } => {
                Some(self.odd(room, id.to_string(), got.to_string(), true))
            }
            // The client dropped it, and everybody else had to do so, too.
            Event::Repeated { room, id, after } => {
                Some(self.odd(room, id.to_string(), after.to_string(), false))
            }
            Event::Ended(Err(why)) => {
                tracing::warn!(%why, "a witness had to go");
                None
            }
            _ => None,
        }
    }

    /// A message that it did not get at all, or not for the first time.
    fn odd(&self, room: String, id: String, prev: String, broken: bool) -> What {
        let witness = self.number;
        What::Message(Message { room, id, prev, witness, broken, ..Message::default() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_be_given_was_not_lost_on_the_way() {
        let mut witness = Witness { number: 1, live: HashSet::new() };
        let (room, reason) = ("lobby".to_owned(), protocol::GapReason::Rewound);
        let [after, resumes_at] = ["7-0", "5-0"].map(|id| id.parse().expect("an ID"));
        let gap = Event::Gap { room: room.clone(), after, resumes_at, reason };
        assert_eq!(witness.hear(gap), Some(What::Gap { room, reason }));
        assert_eq!(witness.number, 1 + WITNESSES, "what comes next follows nothing");
        let log = witness.hear(Event::Log { up: false, kept: 0 });
        assert_eq!(log, Some(What::Log { witness: 1, up: false }));
    }
}
