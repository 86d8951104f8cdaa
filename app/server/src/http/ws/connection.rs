//! The task of one connection: reads frames, asks the session, does what it says.

use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rollcall_protocol::{ClientFrame, CloseCode, RoomCursor, ServerFrame};
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
    rooms::{Entered, Visits},
};
use crate::{
    app::App,
    delivery::Outcome,
    lifecycle::ConnectionGuard,
    log::{Appended, LogError},
    mutants::{self, Mutant},
    rates::FrameRate,
    session::{Effect, Session, ack, hello_bytes},
    wire,
};

/// The default of 128 KiB would cost 1.3 GB at 10,000 connections.
const READ_BUFFER: usize = 4 * 1024;
/// Time to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the client to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A member's typing is told this often at most.
const TYPING_EVERY: Duration = Duration::from_secs(1);
/// With this many things under way for one connection, its next frames wait.
const MAX_UNDER_WAY: usize = 128;

/// Serves one upgraded connection to its end. `early` is what came with the handshake.
pub async fn serve(
    app: App,
    guard: ConnectionGuard,
    address: IpAddr,
    tcp: TcpStream,
    early: Bytes,
) {
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
    Connection::new(app, outlet, address).run(socket).await;
    transport.dec();
    drop(guard);
}

/// What came of something a connection waited for.
pub(super) enum Done {
    Appended(Result<Appended, LogError>),
    Entered(RoomCursor, Entered),
    Exited(String),
    Page { room: String, page: Outcome },
    Quiet,
}

enum Next {
    Frame(Option<Result<Message, Error>>),
    Done(Done),
    Standing,
    Deadline,
    Look,
    Broken,
}

pub(super) struct Connection {
    pub(super) app: App,
    pub(super) id: u64,
    pub(super) outlet: Arc<Outlet>,
    pub(super) visits: Visits,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) session: Session,
    /// When each of the session's pending sends came.
    pub(super) sends: VecDeque<Instant>,
    opened: Instant,
    /// When the client last said anything.
    pub(super) heard: Instant,
    /// When it last told a room that it is typing.
    typed: Option<Instant>,
    pub(super) close: Option<(CloseCode, &'static str)>,
    /// Set once the close frame is sent: when to stop waiting for the client's.
    closing_until: Option<Instant>,
    pub(super) parting: Parting,
    frames: FrameRate,
    /// No frame is read until then: the client is too fast.
    read_from: Instant,
}

impl Connection {
    fn new(app: App, outlet: Arc<Outlet>, address: IpAddr) -> Self {
        let throttle = Box::new(app.rates.throttle(address));
        let session = Session::new(app.limits(), app.greeting(), throttle);
        let frames = app.rates.frames();
        Self {
            frames,
            id: app.next_connection(),
            app,
            outlet,
            visits: Visits::default(),
            under_way: FuturesUnordered::new(),
            session,
            sends: VecDeque::new(),
            opened: Instant::now(),
            heard: Instant::now(),
            typed: None,
            close: None,
            closing_until: None,
            parting: Parting::default(),
            read_from: Instant::now(),
        }
    }

    async fn run(mut self, mut socket: WebSocketStream<Stream>) {
        let mut standing = self.app.lifecycle.standing();
        // A drain that began between the handshake and here must be seen, too.
        standing.mark_changed();
        let mut ticks = tokio::time::interval(self.app.config.look_every());
        loop {
            let deadline = self.deadline();
            let next = tokio::select! {
                frame = socket.next(), if self.may_read() => Next::Frame(frame),
                Some(done) = self.under_way.next() => Next::Done(done),
                () = self.outlet.wake.notified() => Next::Look,
                flushed = self.outlet.flush_some(), if self.outlet.is_waiting() => {
                    if flushed.is_ok() { Next::Look } else { Next::Broken }
                }
                _ = standing.changed() => Next::Standing,
                () = tokio::time::sleep_until(deadline) => Next::Deadline,
                _ = ticks.tick() => Next::Look,
            };
            let goes_on = match next {
                Next::Frame(frame) => self.hear(frame),
                Next::Done(done) => {
                    self.done(done);
                    true
                }
                Next::Standing => {
                    let standing = *standing.borrow_and_update();
                    self.standing_changed(standing);
                    true
                }
                Next::Deadline => self.deadline_passed(),
                Next::Look => self.is_alive(),
                Next::Broken => false,
            };
            if !goes_on {
                break;
            }
            self.catch_up();
            if let Some((code, reason)) = self.close.take().filter(|_| self.closing_until.is_none())
            {
                self.outlet.close();
                self.closing_until = Some(Instant::now() + CLOSE_TIMEOUT);
                let frame = CloseFrame { code: code.code().into(), reason: reason.into() };
                // A broken socket shows where it is read.
                let _ = socket.send(Message::Close(Some(frame))).await;
            }
        }
        self.end();
    }

    fn may_read(&self) -> bool {
        self.under_way.len() < MAX_UNDER_WAY && self.read_from <= Instant::now()
    }

    /// The next moment at which something must be looked at.
    fn deadline(&self) -> Instant {
        let far = self.heard + 10 * self.app.config.heartbeat;
        let hello = self.session.me().is_none().then(|| self.opened + HELLO_TIMEOUT);
        let reads = Some(self.read_from).filter(|from| *from > Instant::now());
        self.closing_until
            .or([hello, self.parting.deadline(), reads].into_iter().flatten().min())
            .unwrap_or(far)
    }

    /// Ends what should have ended by now. False if there is nothing left to wait for.
    fn deadline_passed(&mut self) -> bool {
        let now = Instant::now();
        if self.closing_until.is_some_and(|until| until <= now) {
            return false;
        }
        if !self.part(now) && self.session.me().is_none() && now - self.opened >= HELLO_TIMEOUT {
            self.close = Some((CloseCode::HelloTimeout, "no hello"));
        }
        true
    }

    /// Whether the close frame has been sent.
    pub(super) fn is_closing(&self) -> bool {
        self.closing_until.is_some()
    }

    /// Whether the client is still there, and reads what it is sent.
    fn is_alive(&mut self) -> bool {
        let now = Instant::now();
        let stalled = self.outlet.stalled_since();
        if stalled.is_some_and(|since| now - since > self.app.config.limits.stall) {
            self.app.metrics.stalled_closes.inc();
            return false;
        }
        if self.outlet.is_closed() && self.closing_until.is_none() {
            return false;
        }
        if self.session.me().is_some() && now - self.heard > self.app.config.heartbeat * 5 / 2 {
            // It may take its time to answer the close, but not with its lease renewed meanwhile.
            self.detach();
            self.close = Some((CloseCode::TryAgainLater, "silent"));
        }
        true
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
                self.note_send();
                self.apply(effects);
            }
            Ok(Message::Binary(_)) => {
                self.close = Some((CloseCode::Unsupported, "text frames only"))
            }
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
        self.outlet.put_reply(&wire::close_frame(code, reason));
        false
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        let is_hello = effects.iter().any(|effect| matches!(effect, Effect::Greet(_)));
        for effect in effects {
            match effect {
                Effect::Reply(frame) => self.reply(&frame),
                Effect::Greet(why) => self.count_hello(why),
                Effect::Enter(cursor) => self.enter(cursor),
                Effect::Exit(room) => self.exit(&room),
                Effect::Append(entry) => {
                    if mutants::active(Mutant::AckBeforeAppend) {
                        self.reply(&ack(entry.room.clone(), entry.n, None, false));
                    }
                    let log = self.app.rooms.log().clone();
                    let append = async move { Done::Appended(log.append_settled(&entry).await) };
                    self.under_way.push(Box::pin(append));
                }
                Effect::Typing(room) => self.typing(room),
                Effect::Pause(wait) => self.read_from = self.read_from.max(Instant::now() + wait),
                Effect::Bye => {
                    let rooms: Vec<_> = self.visits.in_rooms.keys().cloned().collect();
                    rooms.iter().for_each(|room| self.exit(room));
                }
                Effect::Close(code, reason) => self.close = Some((code, reason)),
            }
        }
        if is_hello {
            self.tell_status(self.app.lifecycle.is_delivering());
        }
    }

    pub(super) fn reply(&self, frame: &ServerFrame) {
        self.count_reply(frame);
        self.outlet.put_reply(&wire::text_frame(frame));
        if mutants::active(Mutant::SaysMore) {
            self.outlet.put_reply(&wire::text_frame(&ServerFrame::Unknown));
        }
    }

    fn typing(&mut self, room: String) {
        let now = Instant::now();
        let Some(me) = self.session.me().cloned() else { return };
        if self.typed.is_none_or(|typed| now - typed >= TYPING_EVERY) {
            self.typed = Some(now);
            let log = self.app.rooms.log().clone();
            self.under_way.push(Box::pin(async move {
                log.typing(&room, &me.member, &me.name).await;
                Done::Quiet
            }));
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Appended(outcome) => {
                if let Err(error) = &outcome {
                    error.note("a send");
                }
                let mut effects = self.session.appended(&outcome);
                if mutants::active(Mutant::AckBeforeAppend) {
                    effects.remove(0);
                }
                self.count_answered(&outcome);
                self.apply(effects);
            }
            Done::Entered(cursor, entered) => self.entered(cursor, entered),
            Done::Exited(room) => self.exited(&room),
            Done::Page { room, page } => self.page_read(&room, page),
            Done::Quiet => {}
        }
    }

    fn end(mut self) {
        self.outlet.close();
        self.detach();
        if self.parting.is_told() && !self.parting.forced {
            self.app.lifecycle.count_moved();
            self.app.metrics.moved.inc();
        }
    }
}
