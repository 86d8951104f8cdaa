//! A room as `text/event-stream`, for what cannot hold a WebSocket.

use std::{cell::Cell, collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{
        ConnectInfo, Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use rollcall_protocol::{EntryId, ErrorCode, ServerFrame};
use serde::Deserialize;
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::SendTimeoutError},
        watch,
    },
    time::Instant,
};

use tokio_stream::wrappers::ReceiverStream;

use super::{Admission, admit, error::Refusal};
use crate::{
    app::App,
    delivery::{Effect, Entry, Start, Visit},
    lifecycle::{Asked, Gone, ISOLATED_SPREAD, Nudge, Phase, Reason, Standing},
    mutants::{self, Mutant},
    room::Frame,
    session::check_room,
    wire,
};

/// Events that wait for the reader.
const QUEUE: usize = 16;
/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);
/// What a browser waits before it connects again; its own default is some seconds.
const RECONNECT: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
pub struct EventsQuery {
    after: Option<EntryId>,
}

/// `GET /api/v1/rooms/{room}/events`
pub async fn events(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    room: Result<Path<String>, PathRejection>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (Path(room), Query(query)) = (room?, query?);
    let bad = |code, detail| Refusal::error(StatusCode::BAD_REQUEST, code, detail);
    check_room(&room).map_err(|detail| bad(ErrorCode::BadRoom, detail))?;
    let after = match headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default()) {
        None => query.after,
        Some(id) => Some(id.parse().map_err(|e| bad(ErrorCode::BadFrame, format!("{e}")))?),
    };
    let guard = admit(&app, peer, &headers)?;
    let Entry { room, start, .. } = app.rooms.join(&room, None, false, after).await?;
    let wake = Arc::new(Notify::new());
    let (visit, told) = Visit::begin(room, start, app.next_connection(), None, wake.clone());
    // A task of its own, because a body is only asked for more while its reader reads: a stream that
    // nobody reads must still end with its drain, or when it stalls.
    let (sender, receiver) = mpsc::channel(QUEUE);
    let follower = Follower::new(app.clone(), guard, visit, wake, start, told);
    app.tasks.spawn(follower.run(sender));
    // What says nothing for 2.5 of these is given up by HAProxy, since a browser never would.
    let heartbeat = KeepAlive::new().interval(app.config.heartbeat);
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(heartbeat).into_response())
}

/// One event stream: it reads the ring when its room wakes it.
struct Follower {
    app: App,
    _guard: Admission,
    visit: Visit,
    wake: Arc<Notify>,
    standing: watch::Receiver<Standing>,
    opened: Instant,
    leaves_at: Option<Instant>,
    asked: Asked,
    /// Its moment, if a nudge has asked it to go.
    nudged_at: Option<Instant>,
    queue: VecDeque<Event>,
}

/// Why an event stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// At its own moment in a drain or a nudge: its reader comes back.
    Moved(Reason),
    /// At the drain's deadline, or because the replica stopped, with events still to come.
    Cut,
    /// Its reader took nothing for too long.
    Stalled,
    /// Its reader went.
    Left,
}

impl Follower {
    fn new(
        app: App,
        guard: Admission,
        visit: Visit,
        wake: Arc<Notify>,
        start: Start,
        told: Vec<ServerFrame>,
    ) -> Self {
        app.metrics.connections.with_label_values(&["sse"]).inc();
        // An event stream has no `joined`; it begins with how soon to come back, and perhaps a gap.
        let cursor = start.cursor();
        let gap = told.into_iter().filter(|frame| matches!(frame, ServerFrame::Gap { .. }));
        let mut queue: VecDeque<_> =
            gap.map(|gap| event("gap", cursor, &wire::json(&gap))).collect();
        queue.push_front(Event::default().retry(RECONNECT));
        Self {
            standing: app.lifecycle.standing(),
            app,
            _guard: guard,
            visit,
            wake,
            opened: Instant::now(),
            leaves_at: None,
            asked: Asked::default(),
            nudged_at: None,
            queue,
        }
    }

    async fn run(mut self, body: mpsc::Sender<io::Result<Event>>) {
        let ended = loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = body.closed() => Err(Ended::Left),
            };
            let event = match event {
                Ok(event) => event,
                Err(ended) => break ended,
            };
            let stall = self.app.config.limits.stall;
            let sent = tokio::select! {
                sent = body.send_timeout(Ok(event), stall) => sent.map_err(|error| match error {
                    SendTimeoutError::Timeout(_) => Ended::Stalled,
                    SendTimeoutError::Closed(_) => Ended::Left,
                }),
                () = deadline_passed(self.standing.clone()) => Err(Ended::Cut),
            };
            if let Err(ended) = sent {
                break ended;
            }
        };
        if mutants::active(Mutant::StreamCut) && matches!(ended, Ended::Moved(_)) {
            // Nobody may be there to be cut.
            let _ = body.send(Err(io::Error::other("cut"))).await;
        }
        self.count(ended);
    }

    fn count(&self, ended: Ended) {
        match ended {
            Ended::Moved(reason) => {
                self.app.metrics.moved.with_label_values(&[reason.name()]).inc();
                if reason == Reason::Drain {
                    self.app.lifecycle.count_moved();
                }
            }
            Ended::Cut => {
                self.app.lifecycle.count_forced();
                self.app.metrics.forced_closes.inc();
            }
            Ended::Stalled => self.app.metrics.stalled_closes.inc(),
            Ended::Left => {}
        }
        if self.asked.is_asked() {
            let moved = matches!(ended, Ended::Moved(_) | Ended::Left);
            let how = if moved { Gone::Moved } else { Gone::Otherwise };
            self.app.lifecycle.count_nudged(how);
        }
    }

    /// The next event.
    async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            match self.advance() {
                Some(cursor) => self.read_page(cursor).await?,
                None if self.queue.is_empty() => self.wait().await?,
                None => {}
            }
        }
    }

    /// Fills the queue as far as it goes; a cursor if a page of the log is needed.
    fn advance(&mut self) -> Option<EntryId> {
        let Self { visit, queue, .. } = self;
        let queued = Cell::new(0);
        visit.advance(
            || queued.get() < QUEUE,
            |effect| {
                queue.extend(events_of(visit, &effect));
                queued.set(queue.len());
            },
        )
    }

    async fn read_page(&mut self, cursor: EntryId) -> Result<(), Ended> {
        let Ok(page) = self.app.rooms.read_page(self.visit.room(), cursor).await else {
            // A log that is away is no reason to stay when it is time to go.
            let waited = tokio::time::timeout(RETRY, self.wait()).await;
            self.visit.not_read();
            return waited.unwrap_or(Ok(()));
        };
        let Self { visit, queue, .. } = self;
        // All of it: a page is bounded.
        visit.page(&page, || true, |effect| queue.extend(events_of(visit, &effect)));
        Ok(())
    }

    /// Until there may be something new, or it is this stream's moment to end.
    async fn wait(&mut self) -> Result<(), Ended> {
        let standing = *self.standing.borrow_and_update();
        match standing.phase {
            Phase::Draining(drain) if self.leaves_at.is_none() => {
                self.leaves_at = Some(Instant::now() + self.app.lifecycle.moment(drain.spread));
            }
            Phase::Draining(_) => {}
            Phase::Stopped => return Err(Ended::Moved(Reason::Drain)),
            Phase::Starting | Phase::Ready => {
                self.leaves_at = self.leaves_at.filter(|_| standing.others_serve);
                if standing.others_serve && self.leaves_at.is_none() {
                    self.leaves_at =
                        Some(Instant::now() + self.app.lifecycle.moment(ISOLATED_SPREAD));
                }
                self.nudge(standing);
            }
        }
        let why = if standing.others_serve { Reason::Isolated } else { Reason::Drain };
        let moments = [(self.leaves_at, why), (self.nudged_at, Reason::Rebalance)];
        let first = moments.into_iter().filter_map(|(at, why)| Some((at?, why)));
        let first = first.min_by_key(|(at, _)| *at);
        let moment = async {
            match first {
                Some((at, why)) => {
                    tokio::time::sleep_until(at).await;
                    why
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wake.notified() => Ok(()),
            _ = self.standing.changed() => Ok(()),
            why = moment => Err(Ended::Moved(why)),
        }
    }

    /// Finds out whether a nudge asks this stream to go, and when.
    fn nudge(&mut self, standing: Standing) {
        let lifecycle = &self.app.lifecycle;
        let moment = |nudge: &Nudge| lifecycle.nudge_moment(nudge);
        if let Some(moment) = self.asked.ask(standing.nudge, self.opened, moment) {
            self.nudged_at = Some(Instant::now() + moment);
        }
    }
}

/// Waits for the end of a drain, and for there to be one.
async fn deadline_passed(mut standing: watch::Receiver<Standing>) {
    loop {
        let deadline = match standing.borrow_and_update().phase {
            Phase::Draining(drain) => Some(drain.deadline),
            Phase::Stopped => return,
            Phase::Starting | Phase::Ready => None,
        };
        let passed = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passed => return,
            changed = standing.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.visit.end();
        self.app.metrics.connections.with_label_values(&["sse"]).dec();
    }
}

/// What an event stream tells of an effect. It knows no members.
fn events_of(visit: &Visit, effect: &Effect) -> Vec<Event> {
    match effect {
        Effect::Frames(frames) => frames.iter().map(message_event).collect(),
        Effect::Gap { gap, .. } => told_event(visit, effect, "gap", gap.resumes_at),
        Effect::Live(id) => told_event(visit, effect, "live", *id),
        Effect::Members | Effect::State => Vec::new(),
    }
}

fn told_event(visit: &Visit, effect: &Effect, name: &str, cursor: EntryId) -> Vec<Event> {
    visit.told(effect).iter().map(|frame| event(name, cursor, &wire::json(frame))).collect()
}

fn message_event(frame: &Frame) -> Event {
    event("message", frame.id, &wire::payload(&frame.wire))
}

/// Each event names the cursor after it: a browser that heard nothing since comes back with that, and
/// without one it would begin anew at the head.
fn event(name: &str, cursor: EntryId, json: &[u8]) -> Event {
    let event = Event::default().event(name).id(cursor.to_string());
    event.data(String::from_utf8_lossy(json))
}
