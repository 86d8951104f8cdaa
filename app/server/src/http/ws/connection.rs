//! The task of one connection: reads frames, asks the session, does what it says.

mod ending;
mod identity;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rollcall_protocol::{ClientFrame, CloseCode, Member, ServerFrame};
use tokio::{net::TcpStream, time::Instant};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};
use tracing::debug;

use super::{
    outlet::{Outlet, Stream},
    parting::Parting,
    visits::{self, NotEntered, Visits},
    voice::{SendTimes, Voice},
};
use crate::{
    accounts::{Identity, NotIdentified, Token},
    app::App,
    error::JoinError,
    lifecycle::{ConnectionGuard, Gone},
    log::{Appended, LogError, NewEntry},
    mutants::{self, Mutant},
    people::{self, News, ReadUpTo, Stay},
    rates::FrameRate,
    register::Entry,
    session::{Effect, Session, ack, hello_bytes},
    wire,
};

/// The default of 128 KiB would cost 1.3 GB at 10,000 connections.
const READ_BUFFER: usize = 4 * 1024;
/// Time for the client to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A member's typing is told this often at most.
const TYPING_EVERY: Duration = Duration::from_secs(1);
/// With this many things under way for one connection, its next frames wait.
const MAX_UNDER_WAY: usize = 128;

/// What a connection came with.
pub struct Opening {
    /// From where.
    pub address: IpAddr,
    /// The session that its handshake named, for a `hello` that names none.
    pub token: Option<Token>,
    /// What came with the handshake.
    pub early: Bytes,
}

/// Serves one upgraded connection to its end.
pub async fn serve(app: App, guard: ConnectionGuard, tcp: TcpStream, opening: Opening) {
    let Opening { address, token, early } = opening;
    let limit = Some(hello_bytes(&app.limits()));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(limit)
        .max_frame_size(limit);
    let outlet = Arc::new(Outlet::new(tcp, app.config.limits.outlet_bytes, &app.outlets));
    let stream = Stream::new(outlet.clone(), early);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let transport = app.metrics.connections.with_label_values(&["websocket"]);
    transport.inc();
    Connection::new(app, outlet, address, token).run(socket).await;
    transport.dec();
    drop(guard);
}

/// What came of something a connection waited for.
enum Done {
    Identified(Result<Identity, NotIdentified>, Option<Stay>),
    Appended(Result<Appended, LogError>),
    Typed,
}

enum Next {
    Frame(Option<Result<Message, Error>>),
    Done(Done),
    Visits(visits::Done),
    Standing,
    News(News),
    Deadline,
    Look,
    Broken,
}

struct Connection {
    app: App,
    voice: Voice,
    visits: Visits,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    session: Session,
    /// The session that the handshake named.
    token: Option<Token>,
    /// Its place among the people who are here.
    stay: Option<Stay>,
    /// What it told last of how far its person has read: that comes back with what other devices tell.
    read_here: Option<ReadUpTo>,
    /// Its number, unique on this replica.
    number: u64,
    /// Where it is told what becomes of it, once it has said hello.
    entry: Option<Entry>,
    send_times: SendTimes,
    opened: Instant,
    /// When the client last said anything.
    heard: Instant,
    /// At the last look it was not read.
    was_unread: bool,
    /// When it last told a room that it is typing.
    typed: Option<Instant>,
    close: Option<(CloseCode, &'static str)>,
    /// Set once the close frame is sent: when to stop waiting for the client's.
    closing_until: Option<Instant>,
    parting: Parting,
    /// How it will have gone, if a nudge asks it to.
    nudged: Gone,
    frames: FrameRate,
    /// No frame is read until then: the client is too fast.
    read_from: Instant,
}

impl Connection {
    fn new(app: App, outlet: Arc<Outlet>, address: IpAddr, token: Option<Token>) -> Self {
        let throttle = Box::new(app.rates.throttle(address));
        let voice = Voice::new(outlet, app.metrics.clone());
        let number = app.next_connection();
        Self {
            visits: Visits::new(app.clone(), voice.clone(), number),
            voice,
            under_way: FuturesUnordered::new(),
            session: Session::new(app.limits(), app.greeting(), throttle),
            token,
            stay: None,
            read_here: None,
            number,
            entry: None,
            send_times: SendTimes::default(),
            opened: Instant::now(),
            heard: Instant::now(),
            was_unread: false,
            typed: None,
            close: None,
            closing_until: None,
            parting: Parting::default(),
            nudged: Gone::Otherwise,
            frames: app.rates.frames(),
            read_from: Instant::now(),
            app,
        }
    }

    async fn run(mut self, mut socket: WebSocketStream<Stream>) {
        let mut standing = self.app.lifecycle.standing();
        // A drain that began between the handshake and here must be seen, too.
        standing.mark_changed();
        let mut ticks = tokio::time::interval(self.app.config.look_every());
        loop {
            let deadline = self.deadline();
            let outlet = self.voice.outlet.clone();
            let next = tokio::select! {
                frame = socket.next(), if self.may_read() => Next::Frame(frame),
                Some(done) = self.under_way.next() => Next::Done(done),
                done = self.visits.next() => Next::Visits(done),
                () = outlet.wake.notified() => Next::Look,
                flushed = outlet.flush_some(), if outlet.is_waiting() => {
                    if flushed.is_ok() { Next::Look } else { Next::Broken }
                }
                _ = standing.changed() => Next::Standing,
                news = people::news(&mut self.stay) => Next::News(news),
                () = tokio::time::sleep_until(deadline) => Next::Deadline,
                _ = ticks.tick() => Next::Look,
            };
            let goes_on = match next {
                Next::Frame(frame) => self.hear(frame),
                Next::Done(done) => self.done(done),
                Next::Visits(done) => self.visit_done(done),
                Next::Standing => self.standing_changed(*standing.borrow_and_update()),
                Next::News(news) => self.hear_news(news),
                Next::Deadline => self.deadline_passed(),
                Next::Look => self.is_alive(),
                Next::Broken => false,
            };
            if !goes_on {
                break;
            }
            self.catch_up();
            self.note_live();
            self.begin_close(&mut socket).await;
        }
        self.end();
    }

    async fn begin_close(&mut self, socket: &mut WebSocketStream<Stream>) {
        let Some((code, reason)) = self.close.take().filter(|_| self.closing_until.is_none())
        else {
            return;
        };
        self.voice.outlet.close();
        self.closing_until = Some(Instant::now() + CLOSE_TIMEOUT);
        let frame = CloseFrame { code: code.code().into(), reason: reason.into() };
        // A broken socket shows where it is read.
        let _ = socket.send(Message::Close(Some(frame))).await;
    }

    fn may_read(&self) -> bool {
        let under_way = self.under_way.len() + self.visits.under_way();
        !self.session.is_asking() && under_way < MAX_UNDER_WAY && self.read_from <= Instant::now()
    }

    /// Handles what the socket read. False if it will read no more.
    fn hear(&mut self, frame: Option<Result<Message, Error>>) -> bool {
        let Some(frame) = frame else { return false };
        self.heard = Instant::now();
        if let Some(wait) = self.frames.count() {
            self.read_from = self.heard + wait;
        }
        match frame {
            Ok(_) if self.closing_until.is_some() => {}
            Ok(frame) if frame.len() > self.session.longest_frame() => {
                return self.refuse(CloseCode::TooBig, "frame too long");
            }
            Ok(Message::Text(text)) => {
                let effects = match serde_json::from_str::<ClientFrame>(&text) {
                    Ok(frame) => self.session.frame(frame),
                    Err(error) => self.session.malformed(error.to_string()),
                };
                self.send_times.heard(self.session.pending(), self.heard);
                self.apply(effects);
            }
            Ok(Message::Binary(_)) => {
                self.close = Some((CloseCode::Unsupported, "text frames only"))
            }
            Ok(Message::Close(frame)) => self.closed_by_client(frame),
            // Pings are answered by tungstenite, closes too.
            Ok(_) => {}
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                return self.refuse(CloseCode::TooBig, "frame too long");
            }
            Err(Error::Utf8(_)) => return self.refuse(CloseCode::InvalidText, "not UTF-8"),
            Err(Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
            )) => return false,
            Err(Error::Protocol(error)) => {
                debug!(%error, "not a WebSocket's frame");
                return self.refuse(CloseCode::Protocol, "against RFC 6455");
            }
            Err(error) => {
                debug!(%error, "connection ended");
                return false;
            }
        }
        true
    }

    /// Closes without an answer, since the socket cannot be read on. Always false.
    fn refuse(&mut self, code: CloseCode, reason: &str) -> bool {
        self.voice.outlet.put_reply(&wire::close_frame(code, reason));
        false
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        let me = self.session.me().cloned();
        for effect in effects {
            match (effect, &me) {
                (Effect::Reply(frame), _) => self.voice.reply(&frame),
                (Effect::Identify(arriving), _) => self.identify(arriving),
                (Effect::Greet(why), _) => self.voice.count_hello(why),
                (Effect::Invited(room, invite), _) => self.visits.invited(room, invite),
                (Effect::Enter(cursor), _) => self.visits.enter(cursor),
                (Effect::Exit(room), Some(_)) => self.visits.exit(&room),
                (Effect::Append(entry), _) => self.append(entry),
                (Effect::Typing(room), Some(me)) => self.typing(room, me),
                (Effect::Pause(wait), _) => {
                    self.read_from = self.read_from.max(Instant::now() + wait);
                }
                (Effect::Read(room, id), Some(me)) => self.has_read(&me.member, room, id),
                (Effect::Bye, Some(_)) => self.visits.exit_all(),
                (Effect::Close(code, reason), _) => self.close = Some((code, reason)),
                // Only a client that has said `hello` has rooms.
                (Effect::Exit(_) | Effect::Typing(_) | Effect::Read(..) | Effect::Bye, None) => {}
            }
        }
    }

    fn append(&mut self, entry: NewEntry) {
        if mutants::active(Mutant::AckBeforeAppend) {
            self.voice.reply(&ack(entry.room.clone(), entry.n, None, false));
        }
        let (log, head) = (self.app.rooms.log().clone(), self.app.rooms.head(&entry.room));
        let append = async move { Done::Appended(log.append_settled(&entry, head).await) };
        self.under_way.push(Box::pin(append));
    }

    fn typing(&mut self, room: String, me: &Member) {
        let now = Instant::now();
        if self.typed.is_none_or(|typed| now - typed >= TYPING_EVERY) {
            self.typed = Some(now);
            let presence = self.app.rooms.presence().clone();
            let me = me.clone();
            self.under_way.push(Box::pin(async move {
                presence.typing(&room, &me.member, &me.name).await;
                Done::Typed
            }));
        }
    }

    fn done(&mut self, done: Done) -> bool {
        match done {
            Done::Identified(who, stay) => self.identified(who, stay),
            Done::Appended(outcome) => self.appended(&outcome),
            Done::Typed => {}
        }
        true
    }

    fn appended(&mut self, outcome: &Result<Appended, LogError>) {
        if let Err(error) = outcome {
            error.note("a send");
        }
        let mut effects = self.session.appended(outcome);
        if mutants::active(Mutant::AckBeforeAppend) {
            effects.remove(0);
        }
        self.send_times.answered(self.session.pending(), outcome, &self.app.metrics);
        self.apply(effects);
    }

    fn visit_done(&mut self, done: visits::Done) -> bool {
        if let Err(not_entered) = self.visits.done(done) {
            self.not_in(not_entered);
        }
        true
    }

    fn catch_up(&mut self) {
        let Some(me) = self.session.actor() else { return };
        let barred = self.visits.catch_up(&me, |room| self.session.is_in(room));
        barred.into_iter().for_each(|barred| self.not_in(barred));
    }

    /// Tells that a room could not be entered, or has to be left.
    fn not_in(&mut self, NotEntered { room, error }: NotEntered) {
        if let JoinError::Log(error) = &error {
            error.note("a join");
        }
        self.session.not_entered(&room);
        let (code, detail) = (error.code(), error.to_string());
        self.voice.reply(&ServerFrame::Error { code, detail, room: Some(room) });
        if error.may_pass() {
            // Its cursors are safe with the client: let it come back, perhaps elsewhere.
            self.close = Some((CloseCode::TryAgainLater, "not every room could be entered"));
        }
    }

    fn end(mut self) {
        self.voice.outlet.close();
        self.visits.detach();
        self.count_parting();
    }
}
