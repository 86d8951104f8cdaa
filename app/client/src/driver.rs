//! Carries out what the session decides: the client's one task.

use std::{collections::VecDeque, pin::Pin, time::Instant};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rollcall_protocol::{ClientFrame, EntryId, ServerFrame};
use tokio::sync::{mpsc, oneshot};

use crate::{
    config::Config,
    connection::{Connection, DialError, Welcome},
    error::{Loss, SendError},
    event::Event,
    link::LinkId,
    outbox::Change,
    session::{Effect, Session},
};

/// Closed connections whose farewell is awaited at a time; beyond that they are just dropped.
const MAX_CLOSING: usize = 4;

/// What a [`crate::Handle`] asks for.
pub(crate) enum Command {
    Send {
        room: String,
        text: String,
        change: Option<Change>,
        reply: oneshot::Sender<Result<u64, SendError>>,
    },
    Read {
        room: String,
        id: EntryId,
    },
    Join {
        room: String,
        after: Option<EntryId>,
    },
    Leave {
        room: String,
    },
    Typing {
        room: String,
    },
    Bye,
}

type Dialed = Result<(Connection, Welcome), DialError>;

enum Input {
    Command(Command),
    Dialed(Dialed),
    Read(LinkId, Result<ServerFrame, Loss>),
    Tick,
}

pub(crate) struct Driver {
    config: Config,
    session: Session,
    /// At most two: the serving one and, during a move, the next.
    connections: Vec<(LinkId, Connection)>,
    dial: Option<BoxFuture<'static, Dialed>>,
    closing: FuturesUnordered<BoxFuture<'static, ()>>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    /// What one input yielded and the caller has not taken. While there is something, no socket
    /// is read: a slow caller holds up its own connection, and nothing grows.
    untold: VecDeque<Event>,
    ended: bool,
}

impl Driver {
    pub fn new(
        config: Config,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let session = Session::new(&config, Instant::now());
        Self {
            config,
            session,
            connections: Vec::with_capacity(2),
            dial: None,
            closing: FuturesUnordered::new(),
            commands,
            events,
            untold: VecDeque::new(),
            ended: false,
        }
    }

    pub async fn run(mut self) {
        loop {
            self.carry_out();
            if self.ended && self.untold.is_empty() {
                break;
            }
            if self.step().await.is_none() {
                break; // nobody listens any more
            }
        }
        self.connections.drain(..).for_each(|(_, connection)| {
            self.closing.push(connection.close().boxed());
        });
        while self.closing.next().await.is_some() {}
    }

    /// Waits for one thing to happen and gives it to the session; none if nobody listens.
    async fn step(&mut self) -> Option<()> {
        let reading = self.untold.is_empty() && !self.ended;
        let wake_at = self.session.wake_at().filter(|_| reading);
        let input = tokio::select! {
            biased;
            permit = self.events.reserve(), if !self.untold.is_empty() => {
                permit.ok()?.send(self.untold.pop_front()?);
                return Some(());
            }
            () = self.events.closed() => return None,
            Some(command) = self.commands.recv(), if !self.ended => Input::Command(command),
            dialed = pending_dial(&mut self.dial), if self.dial.is_some() => Input::Dialed(dialed),
            (id, read) = next_frame(&mut self.connections), if reading => Input::Read(id, read),
            Some(()) = self.closing.next(), if !self.closing.is_empty() => return Some(()),
            () = sleep_until(wake_at), if wake_at.is_some() => Input::Tick,
        };
        match input {
            Input::Command(command) => self.command(command),
            Input::Dialed(dialed) => self.dialed(dialed),
            Input::Read(id, read) => self.read(id, read),
            Input::Tick => self.session.tick(Instant::now()),
        }
        Some(())
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.session.next_effect() {
            match effect {
                Effect::Emit(event) => self.untold.push_back(event),
                Effect::Write(id, frame) => self.write(id, &frame),
                Effect::Close(id) => self.close(id),
                Effect::Dial(hello) => {
                    let (url, limit) = (self.config.socket_url(), self.config.dial_limit);
                    self.dial =
                        Some(Connection::dial(url, self.config.tls.clone(), hello, limit).boxed());
                }
                Effect::End => {
                    self.ended = true;
                    while self.session.next_effect().is_some() {}
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Send { room, text, change, reply } => {
                let queued = match change {
                    None => self.session.send(&room, text, now),
                    Some(change) => self.session.change(&room, change, text, now),
                };
                // A caller that went away does not take its message back.
                let _gone = reply.send(queued);
            }
            Command::Read { room, id } => self.session.read(&room, id, now),
            Command::Join { room, after } => self.session.join(room, after, now),
            Command::Leave { room } => self.session.leave(&room, now),
            Command::Typing { room } => self.session.typing(room),
            Command::Bye => self.session.bye(now),
        }
    }

    fn dialed(&mut self, dialed: Dialed) {
        self.dial = None;
        let now = Instant::now();
        match dialed {
            Ok((connection, welcome)) => {
                if let Some(id) = self.session.dialed(Ok(welcome), now) {
                    self.connections.push((id, connection));
                }
            }
            Err(error) => {
                self.session.dialed(Err(error), now);
            }
        }
    }

    fn read(&mut self, id: LinkId, read: Result<ServerFrame, Loss>) {
        let now = Instant::now();
        match read {
            Ok(frame) => {
                self.session.frame(id, frame, now);
                // A socket that always has a frame must not starve the heartbeat.
                if self.session.wake_at().is_some_and(|at| at <= now) {
                    self.session.tick(now);
                }
            }
            Err(loss) => {
                self.close(id);
                self.session.lost(id, loss, now);
            }
        }
    }

    fn write(&mut self, id: LinkId, frame: &ClientFrame) {
        let connection = self.connections.iter_mut().find(|(known, _)| *known == id);
        if let Some(Err(loss)) = connection.map(|(_, connection)| connection.queue(frame)) {
            // The read side tells how a broken connection ended; a full buffer only shows here.
            tracing::debug!(%loss, "a frame could not be queued");
        }
    }

    fn close(&mut self, id: LinkId) {
        let Some(index) = self.connections.iter().position(|(known, _)| *known == id) else {
            return;
        };
        let (_, connection) = self.connections.swap_remove(index);
        if self.closing.len() < MAX_CLOSING {
            self.closing.push(connection.close().boxed());
        }
    }
}

async fn pending_dial(dial: &mut Option<BoxFuture<'static, Dialed>>) -> Dialed {
    match dial {
        Some(dial) => Pin::new(dial).await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The next frame of any connection.
async fn next_frame(
    connections: &mut [(LinkId, Connection)],
) -> (LinkId, Result<ServerFrame, Loss>) {
    match connections {
        [] => std::future::pending().await,
        [(id, connection)] => (*id, connection.next().await),
        [(first_id, first), (second_id, second), ..] => tokio::select! {
            read = first.next() => (*first_id, read),
            read = second.next() => (*second_id, read),
        },
    }
}
