//! One bot's client: what it is told and what becomes of its messages goes into the history as it happens.

use std::{collections::BTreeMap, time::Duration};

use rollcall_checker::history::{Gone, Recorder, What};
use rollcall_client::{Client, Config, Event, Events};
use rollcall_protocol::{EntryId, Message};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    acts::Acts,
    phase::{Phase, Progress},
    voice::{Pending, Script, Settled, Voice},
};

/// How long the last goodbyes may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a character heard: the highest `n` by room and the speaker's device.
pub type Heard = std::collections::HashMap<(String, String), u64>;

/// What participants share.
#[derive(Clone)]
pub struct Shared {
    pub script: Script,
    pub acts: Acts,
    pub phase: watch::Receiver<Phase>,
    pub progress: watch::Sender<Progress>,
}

/// A client that writes down what happens to it.
pub struct Participant {
    events: Events,
    voice: Voice,
    acts: Acts,
    phase: watch::Receiver<Phase>,
    progress: watch::Sender<Progress>,
    /// For characters: whom they have heard.
    heard: Option<watch::Sender<Heard>>,
    /// The last message of each room.
    cursors: BTreeMap<String, EntryId>,
    was_live: bool,
    caught_up: bool,
    /// Why the client ended before its time.
    ended: Option<String>,
}

impl Participant {
    /// Starts the client; [`Self::take_part`] must then be polled.
    pub fn start(config: Config, shared: Shared, heard: Option<watch::Sender<Heard>>) -> Self {
        let Shared { script, acts, phase, progress } = shared;
        let role = if heard.is_some() { "cast" } else { "guest" }.to_owned();
        let (name, client) = (config.name.clone(), config.name.clone());
        let rooms = config.rooms.iter().map(|cursor| cursor.room.clone()).collect();
        script.recorder.record(What::Began { client, role, rooms });
        let (handle, events) = Client::start(config);
        let (sender, pending) = (String::new(), Pending::default());
        let voice = Voice { handle, name, sender, script, pending };
        Self {
            events,
            voice,
            acts,
            phase,
            progress,
            heard,
            cursors: BTreeMap::new(),
            was_live: false,
            caught_up: false,
            ended: None,
        }
    }

    /// Speaks for it.
    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// Waits for the first time that the client is live; false if it ended before.
    pub async fn arrive(&mut self) -> bool {
        while !self.was_live {
            match self.events.next().await {
                Some(event) => self.saw(event),
                None => return false,
            }
        }
        true
    }

    /// Why [`Self::arrive`] failed.
    pub fn why_ended(&self) -> &str {
        self.ended.as_deref().unwrap_or("no reason given")
    }

    /// Listens until the run stops, then says `bye`.
    pub async fn take_part(mut self) {
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(event) => self.saw(event),
                    None => return self.gone(Gone::Expelled),
                },
                changed = self.phase.changed() => {
                    let stop = matches!(*self.phase.borrow_and_update(), Phase::Stop);
                    if changed.is_err() || stop {
                        break;
                    }
                }
            }
            self.tell_caught_up();
        }
        // What comes after this is for nobody, least of all that others go too.
        self.gone(Gone::Dismissed);
        // A client that has ended already needs no `bye`.
        let _ended = self.voice.handle.bye().await;
        let deadline = Instant::now() + FAREWELL;
        while let Ok(Some(_)) = timeout_at(deadline, self.events.next()).await {}
    }

    fn recorder(&self) -> &Recorder {
        &self.voice.script.recorder
    }

    fn gone(&self, how: Gone) {
        self.recorder().record(What::Gone { client: self.voice.name.clone(), how });
    }

    fn saw(&mut self, event: Event) {
        rollcall_witness::record(self.recorder(), &self.voice.name, &event);
        self.voice.script.board.saw(&self.voice.name, &event);
        if self.heard.is_some() {
            self.acts.of_event(&self.voice.name, &event);
        }
        match event {
            Event::Connected { sender, .. } => self.voice.sender = sender,
            Event::Message { message, .. } => self.message(message),
            Event::Joined { room, cursor, .. } => drop(self.cursors.insert(room, cursor)),
            Event::Gap { room, resumes_at, .. } => drop(self.cursors.insert(room, resumes_at)),
            Event::AllLive { .. } => self.was_live = true,
            Event::Acked { room, ticket, id, duplicate, .. } => {
                self.settled(&room, ticket, Settled::Ok { id, duplicate });
            }
            Event::Rejected { retried: false, room, ticket, code, detail, .. } => {
                tracing::warn!(name = self.voice.name, room, detail, "a message was refused");
                self.settled(&room, ticket, Settled::Fail(format!("{code:?}")));
            }
            Event::Unknown { room, ticket, .. } => self.settled(&room, ticket, Settled::Unknown),
            Event::ConnectFailed { error, .. } if !self.was_live => {
                self.progress.send_modify(|progress| progress.obstacle = Some(error));
            }
            Event::Ended(Err(end)) => self.ended = Some(end.to_string()),
            _ => {}
        }
    }

    fn settled(&self, room: &str, ticket: u64, how: Settled) {
        self.voice.pending.settle(self.recorder(), room, ticket, how);
        self.progress.send_modify(|progress| progress.settled += 1);
    }

    fn message(&mut self, message: Message) {
        if let Some(heard) = &self.heard {
            heard.send_modify(|heard| {
                let sender = message.sender().to_owned();
                let n = heard.entry((message.room.clone(), sender)).or_default();
                *n = message.n.max(*n);
            });
        }
        self.cursors.insert(message.room, message.id);
    }

    fn tell_caught_up(&mut self) {
        let Phase::Settle(heads) = &*self.phase.borrow() else { return };
        let has_all =
            |(name, cursor): (&String, &EntryId)| heads.get(name).is_none_or(|head| cursor >= head);
        let caught_up = self.was_live && self.cursors.iter().all(has_all);
        if caught_up && !std::mem::replace(&mut self.caught_up, true) {
            self.progress.send_modify(|progress| progress.caught_up += 1);
        }
    }
}
