//! One bot's client: what it received, said and went through, recorded as it happens.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rollcall_client::{Client, Config, Event, Events, Handle, Loss};
use rollcall_protocol::{CloseCode, EntryId, Message, Why};
use tokio::{
    sync::watch,
    time::{Instant as TokioInstant, timeout_at},
};

use crate::cast::Heard;

/// How long the last goodbyes may take.
const FAREWELL: Duration = Duration::from_secs(3);

const MAX_GAP_DETAILS: usize = 2;

/// Where the run is; everybody watches it.
#[derive(Debug, Clone)]
pub enum Phase {
    /// Gathering, and measuring how it is without a roll.
    Before,
    /// The command runs.
    Roll,
    /// Nobody speaks; everybody waits until it has its rooms up to these heads.
    Settle(Arc<BTreeMap<String, EntryId>>),
    /// Nobody speaks any more; the heads are not known yet.
    Quiet,
    /// Everybody goes.
    Stop,
}

impl Phase {
    /// Whether nobody may be seen to come or go: not while people arrive or say goodbye.
    pub fn must_all_be_here(&self) -> bool {
        !matches!(self, Self::Before | Self::Stop)
    }

    /// Whether speaking is over.
    pub fn is_quiet(&self) -> bool {
        !matches!(self, Self::Before | Self::Roll)
    }
}

/// Waits until speaking is over, or nobody leads the run any more.
pub async fn quiet(phase: &mut watch::Receiver<Phase>) {
    let _over = phase.wait_for(Phase::is_quiet).await;
}

/// How far all participants are together.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    /// Why somebody could not connect for the first time.
    pub obstacle: Option<String>,
    /// Messages acknowledged or refused for good.
    pub settled: u64,
    /// Have all rooms up to the heads asked for.
    pub caught_up: usize,
}

/// Monotonic time to wall clock, fixed once so that a clock step cannot distort a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    at: Instant,
    unix: Duration,
}

impl Clock {
    pub fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), unix }
    }

    /// Unix time in microseconds.
    pub fn unix_micros(&self, at: Instant) -> u64 {
        let unix = self.unix + at.duration_since(self.at);
        u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)
    }
}

/// A message as it reached one client.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    pub id: EntryId,
    /// From the log's clock, which counts whole milliseconds, to this client's socket.
    pub micros: u32,
}

/// Someone seen to come or go.
#[derive(Debug)]
pub struct Seen {
    pub member: String,
    /// In words.
    pub what: String,
}

/// What one client got of one room.
#[derive(Debug, Default)]
pub struct RoomRecord {
    /// Everything after this must have come.
    pub from: EntryId,
    pub deliveries: Vec<Delivery>,
}

/// What one client went through.
#[derive(Debug, Default)]
pub struct Recording {
    pub name: String,
    pub member: String,
    pub rooms: BTreeMap<String, RoomRecord>,
    /// Acknowledged: room, `n`, entry.
    pub acked: Vec<(String, u64, Option<EntryId>)>,
    /// Refused for good.
    pub refused: u64,
    pub gaps: u64,
    /// The first gaps and broken chains, in words.
    pub gap_details: Vec<String>,
    pub moves: u64,
    /// Connections that replaced a lost one.
    pub returns: u64,
    /// The longest time without a live connection.
    pub silence: Duration,
    /// Connections lost, by replica: abruptly, and by a 1012 that came before the move was done.
    pub abrupt: BTreeMap<String, u64>,
    pub forced: BTreeMap<String, u64>,
    /// Members seen to come or go since the roll began.
    pub presence: Vec<Seen>,
    pub first_release: String,
    pub first_replica: String,
    pub release: String,
    pub replica: String,
    /// Had everything in the end.
    pub caught_up: bool,
    /// Why the client ended before its time.
    pub ended: Option<String>,
}

/// A client that records.
pub struct Participant {
    events: Events,
    handle: Handle,
    clock: Clock,
    phase: watch::Receiver<Phase>,
    progress: watch::Sender<Progress>,
    /// For characters: whom they have heard.
    heard: Option<watch::Sender<Heard>>,
    recording: Recording,
    was_live: bool,
}

impl Participant {
    /// Starts the client; [`Self::take_part`] must then be polled.
    pub fn start(
        config: Config,
        clock: Clock,
        phase: watch::Receiver<Phase>,
        progress: watch::Sender<Progress>,
        heard: Option<watch::Sender<Heard>>,
    ) -> (Handle, Self) {
        let recording = Recording { name: config.name.clone(), ..Recording::default() };
        let (handle, events) = Client::start(config);
        let participant = Self {
            events,
            handle: handle.clone(),
            clock,
            phase,
            progress,
            heard,
            recording,
            was_live: false,
        };
        (handle, participant)
    }

    /// Waits for the first time that the client is live; false if it ended before.
    pub async fn arrive(&mut self) -> bool {
        while !self.was_live {
            match self.events.next().await {
                Some(event) => self.record(event),
                None => return false,
            }
        }
        true
    }

    /// Why [`Self::arrive`] failed.
    pub fn why_ended(&self) -> &str {
        self.recording.ended.as_deref().unwrap_or("no reason given")
    }

    /// Records until the run stops, then says `bye`.
    pub async fn take_part(mut self) -> Recording {
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(event) => self.record(event),
                    None => return self.recording,
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
        // A client that has ended already needs no `bye`.
        let _ended = self.handle.bye().await;
        let deadline = TokioInstant::now() + FAREWELL;
        while let Ok(Some(_)) = timeout_at(deadline, self.events.next()).await {}
        self.recording
    }

    fn record(&mut self, event: Event) {
        let recording = &mut self.recording;
        match event {
            Event::Message { message, received } => self.message(message, received),
            Event::Connected { member, replica, release, why } => {
                recording.member = member;
                recording.returns += u64::from(why == Why::Resume);
                if recording.first_release.is_empty() {
                    recording.first_release.clone_from(&release);
                }
                recording.release = release;
                tracing::trace!(name = recording.name, replica, "connected");
            }
            Event::Joined { room, cursor, .. } => {
                let fresh = || RoomRecord { from: cursor, deliveries: Vec::new() };
                recording.rooms.entry(room).or_insert_with(fresh);
            }
            Event::AllLive { replica } => {
                if recording.first_replica.is_empty() {
                    recording.first_replica.clone_from(&replica);
                }
                recording.replica = replica;
                self.was_live = true;
            }
            Event::Acked { room, n, id, .. } => {
                recording.acked.push((room, n, id));
                self.progress.send_modify(|progress| progress.settled += 1);
            }
            Event::Rejected { retried: false, room, detail, .. } => {
                tracing::warn!(name = recording.name, room, detail, "a message was refused");
                recording.refused += 1;
                self.progress.send_modify(|progress| progress.settled += 1);
            }
            Event::Presence { room, event, member, name }
                if self.phase.borrow().must_all_be_here() =>
            {
                let what = format!("{event:?} of {name} in {room}").to_lowercase();
                recording.presence.push(Seen { member, what });
            }
            Event::Moved { .. } => recording.moves += 1,
            Event::Silence { lasted } => recording.silence = lasted.max(recording.silence),
            Event::Gap { .. } | Event::Broken { .. } => self.gap(&event),
            Event::Disconnected { replica, loss, abrupt } => {
                self.disconnected(replica, &loss, abrupt);
            }
            Event::ConnectFailed { error, .. } if !self.was_live => {
                self.progress.send_modify(|progress| progress.obstacle = Some(error));
            }
            Event::Ended(result) => recording.ended = result.err().map(|end| end.to_string()),
            _ => {}
        }
    }

    fn gap(&mut self, event: &Event) {
        let recording = &mut self.recording;
        recording.gaps += 1;
        if recording.gap_details.len() < MAX_GAP_DETAILS {
            recording
                .gap_details
                .push(format!("{} on {}: {event:?}", recording.name, recording.replica));
        }
    }

    fn message(&mut self, message: Message, received: Instant) {
        let micros = self.clock.unix_micros(received).saturating_sub(message.at * 1000);
        let micros = u32::try_from(micros).unwrap_or(u32::MAX);
        if let Some(room) = self.recording.rooms.get_mut(&message.room) {
            room.deliveries.push(Delivery { id: message.id, micros });
        }
        if let Some(heard) = &self.heard {
            heard.send_modify(|heard| {
                let n = heard.entry((message.room, message.name)).or_default();
                *n = message.n.max(*n);
            });
        }
    }

    fn disconnected(&mut self, replica: String, loss: &Loss, abrupt: bool) {
        tracing::debug!(name = self.recording.name, replica, %loss, "a connection was lost");
        let restart = CloseCode::Restart.code();
        if abrupt {
            *self.recording.abrupt.entry(replica).or_default() += 1;
        } else if matches!(loss, Loss::Closed { code, .. } if *code == restart) {
            *self.recording.forced.entry(replica).or_default() += 1;
        }
    }

    fn tell_caught_up(&mut self) {
        let Phase::Settle(heads) = &*self.phase.borrow() else { return };
        let has_all = |(name, room): (&String, &RoomRecord)| {
            let last = room.deliveries.last().map_or(room.from, |delivery| delivery.id);
            heads.get(name).is_none_or(|head| last >= *head)
        };
        let caught_up = self.was_live && self.recording.rooms.iter().all(has_all);
        if caught_up && !std::mem::replace(&mut self.recording.caught_up, true) {
            self.progress.send_modify(|progress| progress.caught_up += 1);
        }
    }
}
