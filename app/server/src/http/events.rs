//! A room as `text/event-stream`, for what cannot hold a WebSocket.

use std::{collections::VecDeque, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

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
use futures_util::StreamExt;
use rollcall_protocol::{EntryId, ErrorCode, ServerFrame};
use serde::Deserialize;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};

use super::{admit, error::Refusal};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    app::App,
    lifecycle::{ConnectionGuard, Phase},
    log::splice,
    room::{Frame, Listener, Out, Pull, Room, Start},
    session::{check_room, gap_frame},
    socket::{open_page, wire},
};

/// Entries of one log page.
const PAGE: usize = 128;
/// Events that wait for the reader.
const QUEUE: usize = 16;
const RETRY: Duration = Duration::from_millis(500);

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
    let guard = admit(&app, peer, &headers)
        .map_err(|status| Refusal::error(status, ErrorCode::Unavailable, "not here, not now"))?;
    let (room, start) = app.rooms.join(&room, None, after).await?;
    // A task of its own, because a body is only asked for more while its reader reads: a stream that
    // nobody reads must still end with its drain, or when it stalls.
    let (sender, receiver) = mpsc::channel(QUEUE);
    let follower = Follower::new(app.clone(), guard, room, start);
    app.tasks.spawn(follower.run(sender));
    // What says nothing for 2.5 of these is given up by HAProxy, since a browser never would.
    let heartbeat = KeepAlive::new().interval(app.config.heartbeat);
    let events = ReceiverStream::new(receiver).map(Ok::<_, Infallible>);
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

/// One event stream: a listener that reads the ring when the room wakes it.
struct Follower {
    app: App,
    _guard: ConnectionGuard,
    id: u64,
    room: Arc<Room>,
    listener: Arc<Listener>,
    wake: Arc<Notify>,
    phase: watch::Receiver<Phase>,
    leaves_at: Option<Instant>,
    queue: VecDeque<Event>,
    told_live: bool,
}

impl Follower {
    fn new(app: App, guard: ConnectionGuard, room: Arc<Room>, start: Start) -> Self {
        let (cursor, gap) = match start {
            Start::Fresh(cursor) | Start::Resumed(cursor) => (cursor, None),
            Start::Gap { after, gap } => (gap.resumes_at, Some(gap_event(&room.name, after, gap))),
        };
        let wake = Arc::new(Notify::new());
        let listener = Arc::new(Listener::new(cursor, Out::Wake(wake.clone())));
        let id = app.next_connection();
        room.attach(id, listener.clone(), None);
        app.metrics.connections.with_label_values(&["sse"]).inc();
        Self {
            phase: app.lifecycle.phase(),
            app,
            _guard: guard,
            id,
            room,
            listener,
            wake,
            leaves_at: None,
            queue: gap.into_iter().collect(),
            told_live: false,
        }
    }

    async fn run(mut self, body: mpsc::Sender<Event>) {
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = body.closed() => None,
            };
            let Some(event) = event else { return };
            let stall = self.app.config.limits.stall;
            let sent = tokio::select! {
                sent = body.send_timeout(event, stall) => sent.is_ok(),
                () = deadline_passed(self.phase.clone()) => false,
            };
            if !sent {
                self.app.metrics.stalled_closes.inc();
                return;
            }
        }
    }

    /// The next event; none once the replica has drained.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            match self.pull() {
                Pull::NeedPage(cursor) => self.read_page(cursor).await,
                Pull::Live | Pull::Full if !self.queue.is_empty() => {}
                Pull::Live | Pull::Full => self.wait().await?,
            }
        }
    }

    fn pull(&mut self) -> Pull {
        let Self { room, listener, queue, told_live, .. } = self;
        let mut taken = Vec::new();
        let take = |frame: &Frame| {
            taken.push(message_event(frame));
            true
        };
        let mut live = None;
        let pull = room.pull(listener, take, |id, _| live = Some(id));
        queue.extend(taken);
        if let Some(id) = live.filter(|_| !std::mem::replace(told_live, true)) {
            let live = ServerFrame::Live { room: room.name.clone(), id };
            queue.push_back(event("live", id, &wire::json(&live)));
        }
        pull
    }

    async fn read_page(&mut self, cursor: EntryId) {
        let log = self.app.rooms.log();
        let Ok(page) = log.read_after(&self.room.name, cursor, PAGE).await else {
            return tokio::time::sleep(RETRY).await;
        };
        let (gap, entries, at_log_end) = open_page(&self.room, cursor, page);
        if let Some(gap) = gap {
            self.queue.push_back(gap_event(&self.room.name, cursor, gap));
        }
        let frames: Vec<_> = entries.into_iter().map(Frame::new).collect();
        self.queue.extend(frames.iter().map(message_event));
        let resumes_at = gap.map_or(cursor, |gap| gap.resumes_at);
        let reached = frames.last().map_or(resumes_at, |frame| frame.id);
        self.listener.place().reached(reached, at_log_end);
    }

    /// Until there may be something new. None when it is this stream's moment to end.
    async fn wait(&mut self) -> Option<()> {
        let phase = *self.phase.borrow_and_update();
        match phase {
            Phase::Draining(drain) if self.leaves_at.is_none() => {
                self.leaves_at = Some(Instant::now() + self.app.lifecycle.moment(drain));
            }
            Phase::Stopped => return None,
            _ => {}
        }
        let far = Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            () = self.wake.notified() => Some(()),
            _ = self.phase.changed() => Some(()),
            () = tokio::time::sleep_until(self.leaves_at.unwrap_or(far)) => {
                self.leaves_at.is_none().then_some(())
            }
        }
    }
}

/// Waits for the end of a drain, and for there to be one.
async fn deadline_passed(mut phase: watch::Receiver<Phase>) {
    loop {
        let deadline = match *phase.borrow_and_update() {
            Phase::Draining(drain) => Some(drain.deadline),
            Phase::Stopped => return,
            Phase::Starting | Phase::Ready => None,
        };
        let far = Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            () = tokio::time::sleep_until(deadline.unwrap_or(far)) => {
                if deadline.is_some() {
                    return;
                }
            }
            changed = phase.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.room.detach(self.id, None);
        self.app.metrics.connections.with_label_values(&["sse"]).dec();
        if self.app.lifecycle.is_draining() {
            self.app.lifecycle.count_moved();
        }
    }
}

fn message_event(frame: &Frame) -> Event {
    event("message", frame.id, &wire::payload(&frame.wire))
}

fn gap_event(room: &str, after: EntryId, gap: splice::Gap) -> Event {
    event("gap", gap.resumes_at, &wire::json(&gap_frame(room, after, gap)))
}

/// Each event names the cursor after it: a browser that heard nothing since comes back with that, and
/// without one it would begin anew at the head.
fn event(name: &str, cursor: EntryId, json: &[u8]) -> Event {
    let event = Event::default().event(name).id(cursor.to_string());
    event.data(String::from_utf8_lossy(json))
}
