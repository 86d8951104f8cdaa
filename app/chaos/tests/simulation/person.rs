//! A client without its sockets: the client library's own session, and the history of what it
//! does and sees.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_chaos::history::{Entered, Gone, Id, UNSAID, What};
use rollcall_client::{Config, Event, sim::Session};
use rollcall_protocol::{ClientFrame, EntryId, JoinStatus, Kind, Message, Why};
use rollcall_server::session::member_of;
use std::time::Instant;

pub struct Person {
    pub name: String,
    pub session: Session,
    /// The `hello` of the attempt to connect that is under way.
    pub dial: Option<ClientFrame>,
    pub rooms: BTreeSet<String>,
    /// (room, ticket) → operation.
    pub said: BTreeMap<(String, u64), u64>,
    /// Its public ID.
    pub device: String,
    /// How much it has said in each room: all devices say the same words, in the same order.
    pub words: BTreeMap<String, u64>,
    /// What it has said and can change: the room, and the entry.
    pub own: Vec<(String, EntryId)>,
    pub ended: bool,
}

impl Person {
    pub fn new(number: usize, rooms: &[String], now: Instant) -> Self {
        let name = format!("c{number}");
        let rooms_named: Vec<_> = rooms.iter().map(String::as_str).collect();
        let mut config = Config::new("http://nowhere", &name, &rooms_named);
        config.key = format!("{number:032x}");
        config.seed = Some(number as u64);
        // The first two are devices of one person.
        config.token = (number < 2).then(|| "token".to_owned());
        let session = Session::new(&config, now);
        let (said, rooms) = (BTreeMap::new(), rooms.iter().cloned().collect());
        let (device, words) = (member_of(&config.key), BTreeMap::new());
        Self {
            name,
            session,
            dial: None,
            rooms,
            said,
            device,
            words,
            own: Vec::new(),
            ended: false,
        }
    }

    /// What the history says of an event; nothing of some.
    pub fn what(&mut self, event: Event) -> Option<What> {
        let client = self.name.clone();
        Some(match event {
            // Two devices of one member are two clients: here each is called by its own ID.
            Event::Connected { sender, replica, release, why, .. } => {
                let (member, why) = (sender, why_of(why).to_owned());
                What::Connected { client, member, replica, release, why }
            }
            Event::Joined { room, cursor, status, .. } => {
                let (how, cursor) = (how(status), id(cursor));
                What::Joined { client, room, how, cursor, present: Vec::new() }
            }
            Event::Live { room } => What::Live { client, room },
            Event::Message { message: it, .. } => What::Message {
                client,
                id: id(it.id),
                prev: id(it.prev),
                n: it.n,
                hash: hash_of(&it),
                member: it.sender().to_owned(),
                room: it.room,
            },
            Event::Gap { room, after, resumes_at, reason } => {
                let (after, resumes_at) = (id(after), id(resumes_at));
                What::Gap { client, room, after, resumes_at, reason: reason.as_str().to_owned() }
            }
            Event::Broken { room, id: it, expected, got } => {
                let (expected, got) = (id(expected), id(got));
                What::Broken { client, room, id: id(it), expected, got }
            }
            Event::Repeated { room, id: it, after } => {
                What::Repeated { client, room, id: id(it), after: id(after) }
            }
            Event::Disconnected { replica, loss, abrupt } => {
                What::Lost { client, replica, how: loss.to_string(), abrupt }
            }
            Event::Acked { room, ticket, id: entry, duplicate, change, .. } => {
                if let (Some(entry), None) = (entry, change) {
                    self.own.push((room.clone(), entry));
                }
                let op = self.said.remove(&(room, ticket))?;
                What::Ok { op, id: entry.map(id), duplicate }
            }
            Event::Rejected { room, ticket, code, retried: false, .. } => {
                let op = self.said.remove(&(room, ticket))?;
                What::Fail { op, code: format!("{code:?}") }
            }
            Event::Unknown { room, ticket, .. } => {
                let op = self.said.remove(&(room, ticket))?;
                What::Info { op, why: "its place in the log could not be seen".to_owned() }
            }
            Event::Ended(_) => {
                self.ended = true;
                What::Gone { client, how: Gone::Expelled }
            }
            _ => return None,
        })
    }
}

/// What an entry is known by: its text, which its device says once, or what it removes.
pub fn hash_of(message: &Message) -> String {
    match (message.extra.kind, message.extra.of) {
        _ if message.extra.removed => UNSAID.to_owned(),
        (Some(Kind::Remove), Some(of)) => hash_of_removal(of),
        _ => hash_of_text(message.sender(), &message.room, &message.text),
    }
}

pub fn hash_of_text(device: &str, room: &str, text: &str) -> String {
    format!("{device} in {room}: {text}")
}

pub fn hash_of_removal(of: EntryId) -> String {
    format!("removal of {of}")
}

pub fn id(EntryId { ms, seq }: EntryId) -> Id {
    Id { ms, seq }
}

fn how(status: JoinStatus) -> Entered {
    match status {
        JoinStatus::Fresh => Entered::Fresh,
        JoinStatus::Resumed => Entered::Resumed,
        JoinStatus::Gap => Entered::Gap,
    }
}

fn why_of(why: Why) -> &'static str {
    match why {
        Why::Fresh => "fresh",
        Why::Resume => "resume",
        Why::Move => "move",
    }
}
