//! The client's decisions: an event goes in, effects come out. No I/O, no clock of its own.
//!
//! Every input ends in [`Session::settle`], which compares what should be with what is and asks
//! for the difference. So a loss, a second `goaway` or a `leave` in the middle of a move need no
//! cases of their own.

mod commands;
mod people;
mod receive;
mod room;
mod settle;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rollcall_protocol::{ClientFrame, CloseCode, Limits, RoomCursor, Why};

use self::room::Room;
use crate::{
    backoff::Backoff,
    config::Config,
    connection::{DialError, Welcome},
    error::{Final, Loss},
    event::Event,
    link::{Link, LinkId},
};

/// Rooms whose numbering a client remembers, also after it left them.
const MAX_ROOMS: usize = 1024;
/// How long the server may take to answer `bye`.
const BYE_TIME: Duration = Duration::from_secs(2);
/// What a server allows as long as it has not said otherwise.
const USUAL_LIMITS: Limits =
    Limits { text_bytes: 4 << 10, frame_bytes: 16 << 10, rooms: 64, pending: 1 };

/// What the driver has to do.
#[derive(Debug)]
pub enum Effect {
    /// Open a connection, say this `hello`, and tell [`Session::dialed`].
    Dial(ClientFrame),
    /// Send a frame.
    Write(LinkId, ClientFrame),
    /// Close with 1000 and forget.
    Close(LinkId),
    /// Tell the caller.
    Emit(Event),
    /// Nothing more will come.
    End,
}

/// An attempt to connect that is under way.
struct Dial {
    why: Why,
    asked: Vec<RoomCursor>,
}

/// One client, over all its connections.
pub struct Session {
    key: String,
    name: String,
    token: Option<String>,
    outbox_capacity: usize,
    rooms: BTreeMap<String, Room>,
    /// The connection that carries sends.
    current: Option<Link>,
    /// The one that replaces it, during a move.
    next: Option<Link>,
    dial: Option<Dial>,
    /// No attempt before this.
    retry_at: Instant,
    backoff: Backoff,
    rng: StdRng,
    welcomed: bool,
    was_live: bool,
    silent_since: Option<Instant>,
    /// Who came and went as the connection tells it that is being left, of rooms whose list the next one has.
    outdated: Vec<Event>,
    /// The replica that is being left, until the new connection is live.
    moving_from: Option<String>,
    /// What the newest `welcome` allowed.
    limits: Limits,
    /// The caller knows that the log is away.
    told_away: bool,
    bye_until: Option<Instant>,
    started: Instant,
    last_link: LinkId,
    effects: VecDeque<Effect>,
}

impl Session {
    /// A client that wants to connect at once.
    #[must_use]
    pub fn new(config: &Config, now: Instant) -> Self {
        let capacity = config.outbox;
        let room = |RoomCursor { room: name, after }: &RoomCursor| {
            let mut room = Room::new(capacity);
            room.enter(*after);
            (name.clone(), room)
        };
        let mut session = Self {
            key: config.key.clone(),
            name: config.name.clone(),
            token: config.token.clone(),
            outbox_capacity: capacity,
            rooms: config.rooms.iter().map(room).collect(),
            current: None,
            next: None,
            dial: None,
            retry_at: now,
            backoff: Backoff::default(),
            rng: StdRng::seed_from_u64(config.seed.unwrap_or_else(rand::random)),
            welcomed: false,
            was_live: false,
            silent_since: None,
            outdated: Vec::new(),
            moving_from: None,
            limits: USUAL_LIMITS,
            told_away: false,
            bye_until: None,
            started: now,
            last_link: 0,
            effects: VecDeque::new(),
        };
        session.settle(now);
        session
    }

    /// The attempt asked for by [`Effect::Dial`] came to an end.
    pub fn dialed(&mut self, result: Result<Welcome, DialError>, now: Instant) -> Option<LinkId> {
        let dial = self.dial.take()?;
        let welcome = match result {
            Ok(welcome) => welcome,
            // Of two connections the first one serves still.
            Err(DialError::Final(end)) if self.current.is_some() => {
                return self.dial_failed(end.to_string(), now);
            }
            Err(DialError::Final(end)) => return self.end(Err(end)),
            Err(DialError::Retry(loss)) => return self.dial_failed(loss.to_string(), now),
        };
        self.last_link += 1;
        if self.stays() {
            // Its reason has gone while it was being opened.
            self.effects.push_back(Effect::Close(self.last_link));
            return Some(self.last_link);
        }
        if self.token.is_some() && welcome.account.is_none() {
            // A release before accounts, which a roll is about to replace: it took this client for a guest.
            self.effects.push_back(Effect::Close(self.last_link));
            let error = format!("{} knows no accounts", welcome.replica);
            self.dial_failed(error, now);
            return Some(self.last_link);
        }
        self.welcomed = true;
        self.limits = welcome.limits.clone();
        self.emit(Event::Connected {
            member: welcome.member.clone(),
            sender: welcome.sender().to_owned(),
            name: welcome.name.clone().unwrap_or_else(|| self.name.clone()),
            account: welcome.account.clone(),
            features: welcome.features.clone(),
            replica: welcome.replica.clone(),
            release: welcome.release.clone(),
            why: dial.why,
        });
        self.next = Some(Link::new(self.last_link, welcome, dial.asked, now));
        self.settle(now);
        Some(self.last_link)
    }

    /// What is to be done next, in order.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// A connection ended by itself.
    pub fn lost(&mut self, id: LinkId, loss: Loss, now: Instant) {
        self.lose(id, loss, now, now);
        self.settle(now);
    }

    /// The clock reached [`Self::wake_at`].
    pub fn tick(&mut self, now: Instant) {
        if self.bye_until.is_some_and(|until| until <= now) {
            self.end(Ok(()));
        }
        let links = [&mut self.current, &mut self.next];
        let mut silent = Vec::new();
        for link in links.into_iter().flatten() {
            if link.give_up_at() <= now {
                silent.push((link.id, link.patience(), link.heard));
            } else if link.ping_at <= now {
                link.ping_at = now + link.welcome.heartbeat;
                let t = now.duration_since(self.started).as_millis();
                let ping = ClientFrame::Ping { t: u64::try_from(t).unwrap_or(0) };
                self.effects.push_back(Effect::Write(link.id, ping));
            }
        }
        for (id, patience, heard) in silent {
            self.effects.push_back(Effect::Close(id));
            self.lose(id, Loss::Silent(patience), heard, now);
        }
        self.settle(now);
    }

    /// When [`Self::tick`] is due.
    pub fn wake_at(&self) -> Option<Instant> {
        let links = self.current.iter().chain(&self.next).map(Link::wake_at);
        // In a room that is not live nothing is sent, whatever the clock says.
        let sends = |name: &String| self.current.as_ref().is_some_and(|link| link.sends_in(name));
        let rooms = self.rooms.iter().filter(|(name, _)| sends(name));
        let outboxes = rooms.filter_map(|(_, room)| room.outbox.wake_at());
        links.chain(outboxes).chain(self.dial_at()).chain(self.bye_until).min()
    }

    fn emit(&mut self, event: Event) {
        self.effects.push_back(Effect::Emit(event));
    }

    fn end(&mut self, result: Result<(), Final>) -> Option<LinkId> {
        self.emit(Event::Ended(result));
        self.effects.push_back(Effect::End);
        None
    }

    /// Whether a move that was begun is not wanted any more.
    fn stays(&self) -> bool {
        self.current.as_ref().is_some_and(|link| link.leave_at.is_none())
    }

    fn dial_failed(&mut self, error: String, now: Instant) -> Option<LinkId> {
        let retry_in = self.backoff.next(&mut self.rng);
        self.retry_at = now + retry_in;
        self.emit(Event::ConnectFailed { error, retry_in });
        None
    }

    /// Forgets a connection. `since` is when it last served.
    fn lose(&mut self, id: LinkId, loss: Loss, since: Instant, now: Instant) {
        let is_current = self.current.as_ref().is_some_and(|link| link.id == id);
        let slot = if is_current { &mut self.current } else { &mut self.next };
        let Some(link) = slot.take_if(|link| link.id == id) else { return };
        if is_current && self.bye_until.is_some() {
            self.end(Ok(()));
            return;
        }
        if is_current {
            self.outdated.clear();
            self.carrier_lost(&link, since);
        } else {
            self.people_of_first();
        }
        self.plan_return(&loss, now);
        let abrupt = matches!(loss, Loss::Broke(_) | Loss::Silent(_));
        // A refusal of the second connection is a move that failed: the first one goes on.
        let alone = is_current || self.current.is_none();
        let end = loss.is_final(link.refusal).filter(|_| alone);
        self.emit(Event::Disconnected { replica: link.welcome.replica, loss, abrupt });
        if let Some(end) = end {
            self.end(Err(end));
        }
    }

    fn carrier_lost(&mut self, link: &Link, since: Instant) {
        self.rooms.values_mut().for_each(|room| room.outbox.connection_lost());
        if self.was_live {
            self.silent_since.get_or_insert(since);
        }
        let moving = self.next.is_some() || self.dial.as_ref().is_some_and(|d| d.why == Why::Move);
        if moving {
            self.moving_from.get_or_insert_with(|| link.welcome.replica.clone());
        }
    }

    fn plan_return(&mut self, loss: &Loss, now: Instant) {
        let restart =
            matches!(loss, Loss::Closed { code, .. } if *code == CloseCode::Restart.code());
        let wait = if restart {
            self.backoff.next_at_once(&mut self.rng)
        } else {
            self.backoff.next(&mut self.rng)
        };
        self.retry_at = now + wait;
    }

    /// A time at which a room whose log could not be read is asked for again.
    fn later(&mut self, now: Instant) -> Instant {
        now + Duration::from_millis(self.rng.random_range(200..=1000))
    }
}
