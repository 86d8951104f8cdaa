//! A client without its sockets: the client library's own session, and the history of what it
//! does and sees.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_chaos::history::{Entered, Gone, Id, What};
use rollcall_client::{Config, Event, sim::Session};
use rollcall_protocol::{ClientFrame, EntryId, JoinStatus, Why};
use std::time::Instant;

pub struct Person {
    pub name: String,
    pub session: Session,
    /// The `hello` of the attempt to connect that is under way.
    pub dial: Option<ClientFrame>,
    pub rooms: BTreeSet<String>,
    /// (room, ticket) → operation.
    pub said: BTreeMap<(String, u64), u64>,
    pub ended: bool,
}

impl Person {
    pub fn new(number: usize, rooms: &[String], now: Instant) -> Self {
        let name = format!("c{number}");
        let rooms_named: Vec<_> = rooms.iter().map(String::as_str).collect();
        let config = Config {
            key: format!("{number:032x}"),
            seed: Some(number as u64),
            ..Config::new("http://nowhere", &name, &rooms_named)
        };
        let session = Session::new(&config, now);
        let (said, rooms) = (BTreeMap::new(), rooms.iter().cloned().collect());
        Self { name, session, dial: None, rooms, said, ended: false }
    }

    /// What the history says of an event; nothing of some.
    pub fn what(&mut self, event: Event) -> Option<What> {
        let client = self.name.clone();
        Some(match event {
            Event::Connected { member, replica, release, why } => {
                What::Connected { client, member, replica, release, why: why_of(why).to_owned() }
            }
            Event::Joined { room, cursor, status, .. } => {
                let how = match status {
                    JoinStatus::Fresh => Entered::Fresh,
                    JoinStatus::Resumed => Entered::Resumed,
                    JoinStatus::Gap => Entered::Gap,
                };
                What::Joined { client, room, how, cursor: id(cursor), present: Vec::new() }
            }
            Event::Live { room } => What::Live { client, room },
            Event::Message { message: it, .. } => What::Message {
                client,
                room: it.room,
                id: id(it.id),
                prev: id(it.prev),
                member: it.member,
                n: it.n,
                hash: it.text,
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
            Event::Acked { room, ticket, id: entry, duplicate, .. } => {
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

pub fn id(EntryId { ms, seq }: EntryId) -> Id {
    Id { ms, seq }
}

fn why_of(why: Why) -> &'static str {
    match why {
        Why::Fresh => "fresh",
        Why::Resume => "resume",
        Why::Move => "move",
    }
}
