//! A room as `text/event-stream`, for what cannot hold a WebSocket.

use std::{cell::Cell, collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use rollcall_protocol::{EntryId, ServerFrame};
use serde::Deserialize;
use tokio::sync::{
    Notify,
    mpsc::{self, error::SendTimeoutError},
    watch,
};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use super::{
    Admission, admit,
    api::{
        auth::ClientKeyParam,
        envelope::{Failure, Refused},
        extract::{Params, RoomParam, RoomPath},
        reader::Reader,
        retry,
    },
    leave::Leave,
};
use crate::{
    app::App,
    delivery::{Effect, Entry, Start, Visit},
    lifecycle::{Phase, Reason, Standing},
    mutants::{self, Mutant},
    people::{self, Stay},
    room::Frame,
    wire,
};

/// Events that wait for the reader.
const QUEUE: usize = 16;
/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The cursor to go on from; without it, and without `Last-Event-ID`, the stream begins at the head.
    #[param(inline)]
    after: Option<EntryId>,
}

/// A room as a stream of events: `message`, `live` and `gap`, each with the frame of that type as `data` and your cursor after
/// it as `id`.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/events",
    tag = "messages",
    params(
        RoomParam,
        EventsQuery,
        ("Last-Event-ID" = inline(Option<EntryId>), Header,
            description = "The cursor to go on from; goes before `after`. Empty, it says nothing."),
        ClientKeyParam
    ),
    responses(
        (status = 200, description = "The events, until the replica is replaced: then connect again.",
            body = String, content_type = "text/event-stream"),
        Refused
    )
)]
pub async fn events(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    room: Result<RoomPath, Failure>,
    query: Result<Params<EventsQuery>, Failure>,
) -> Response {
    let opened = async {
        let (RoomPath(room), Params(query)) = (room?, query?);
        open(&app, peer, &headers, &room, query.after).await
    };
    match opened.await {
        Ok(stream) => stream,
        Err(failure) => retry::refuse(&app, &headers, failure),
    }
}

async fn open(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    room: &str,
    after: Option<EntryId>,
) -> Result<Response, Failure> {
    let after = match headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?").trim()) {
        None | Some("") => after,
        Some(id) => {
            let bad = |error| Failure::bad("bad_cursor", format!("Last-Event-ID: {error}"));
            Some(id.parse().map_err(bad)?)
        }
    };
    let guard = admit(app, peer, headers)?;
    let (reader, stay) = Reader::arrive(app, headers).await?;
    let Entry { room, start, .. } = app.rooms.join(room, reader.visitor(), after).await?;
    let wake = Arc::new(Notify::new());
    let (visit, told) =
        Visit::begin(room, start, app.next_connection(), reader.visitor(), wake.clone())?;
    // A task of its own, because a body is only asked for more while its reader reads: a stream that
    // nobody reads must still end with its drain, or when it stalls.
    let (sender, receiver) = mpsc::channel(QUEUE);
    let follower = Follower::new(app.clone(), guard, reader, (visit, wake), (start, told));
    app.tasks.spawn(follower.run(sender, stay));
    // What says nothing for 2.5 of these is given up by HAProxy, since a browser never would.
    let heartbeat = KeepAlive::new().interval(app.config.heartbeat);
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(heartbeat).into_response())
}

/// One event stream: it reads the ring when its room wakes it.
struct Follower {
    app: App,
    _guard: Admission,
    reader: Reader,
    visit: Visit,
    wake: Arc<Notify>,
    leave: Leave,
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
    /// Its reader's session is over, or they may not be here.
    Dismissed,
}

impl Follower {
    fn new(
        app: App,
        guard: Admission,
        reader: Reader,
        (visit, wake): (Visit, Arc<Notify>),
        (start, told): (Start, Vec<ServerFrame>),
    ) -> Self {
        app.metrics.connections.with_label_values(&["sse"]).inc();
        // An event stream has no `joined`; it begins with how soon to come back, and perhaps a gap.
        let cursor = start.cursor();
        let gap = told.into_iter().filter(|frame| matches!(frame, ServerFrame::Gap { .. }));
        let mut queue: VecDeque<_> =
            gap.map(|gap| event("gap", cursor, &wire::json(&gap))).collect();
        queue.push_front(Event::default().retry(retry::RECONNECT));
        Self { leave: Leave::new(&app), app, _guard: guard, reader, visit, wake, queue }
    }

    async fn run(mut self, body: mpsc::Sender<io::Result<Event>>, mut stay: Option<Stay>) {
        let ended = loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = body.closed() => Err(Ended::Left),
                _ = people::dismissed(&mut stay) => Err(Ended::Dismissed),
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
                () = deadline_passed(self.leave.standing()) => Err(Ended::Cut),
                _ = people::dismissed(&mut stay) => Err(Ended::Dismissed),
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

    fn count(&mut self, ended: Ended) {
        match ended {
            Ended::Moved(reason) => self.leave.moved(reason),
            Ended::Cut => {
                self.app.lifecycle.count_forced();
                self.app.metrics.forced_closes.inc();
                self.leave.otherwise();
            }
            Ended::Stalled => {
                self.app.metrics.stalled_closes.inc();
                self.leave.otherwise();
            }
            Ended::Left => {}
            Ended::Dismissed => self.leave.otherwise(),
        }
    }

    /// The next event.
    async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            // The room may be another by now, and the reader no one of it.
            if self.is_barred() {
                return Err(Ended::Dismissed);
            }
            match self.advance() {
                Some(cursor) => self.read_page(cursor).await?,
                None if self.queue.is_empty() => self.wait().await?,
                None => {}
            }
        }
    }

    fn is_barred(&self) -> bool {
        let room = self.visit.room();
        self.reader.visitor().barred_from(&room.name, &room.about()).is_some()
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
        self.leave.wait(&self.wake).await.map_err(Ended::Moved)
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
