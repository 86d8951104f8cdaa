//! The list of rooms as an event stream: what changes in it, once a second at most.

use std::{collections::BTreeSet, convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
        mpsc,
    },
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    envelope::Failure,
    reader::Reader,
    retry::RECONNECT,
    room_info::{RoomInfo, visible},
};
use crate::{
    app::App,
    http::{Admission, admit, leave::Leave},
    lifecycle::Reason,
    people::{self, Stay},
};

/// Rooms that changed are told together.
const EVERY: Duration = Duration::from_secs(1);
/// Of more than these at once, the rest is told later.
const MOST: usize = 100;
/// Rooms that wait to be told; beyond that the reader is to read the list anew.
const MOST_WAITING: usize = 1000;
/// Rooms that are looked up at once.
const AT_ONCE: usize = 16;
/// Events that wait for the reader.
const QUEUE: usize = 16;

/// One reader of the list.
struct News {
    app: App,
    _admission: Admission,
    reader: Reader,
    /// None of somebody that is not known.
    stay: Option<Stay>,
    spoken_in: Receiver<String>,
    waiting: BTreeSet<String>,
    leave: Leave,
}

/// What a reader waits for.
enum Next {
    Spoken(Result<String, RecvError>),
    Due,
    Leaves(Reason),
    Dismissed,
    Gone,
}

/// Opens a stream: an event `room` for each room that changes, and `reload` when the list is to be read anew.
///
/// # Errors
/// 429 and 503, as for any connection that lasts.
pub fn open(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    (reader, stay): (Reader, Option<Stay>),
) -> Result<Response, Failure> {
    let admission = admit(app, peer, headers)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let news = News {
        spoken_in: app.rooms.directory().follow(),
        waiting: BTreeSet::new(),
        leave: Leave::new(app),
        _admission: admission,
        reader,
        stay,
        app: app.clone(),
    };
    app.tasks.spawn(news.run(sender));
    let heartbeat = KeepAlive::new().interval(app.config.heartbeat);
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(heartbeat).into_response())
}

impl News {
    async fn run(mut self, body: mpsc::Sender<Result<Event, Infallible>>) {
        self.app.metrics.connections.with_label_values(&["rooms"]).inc();
        let mut told = body.try_send(Ok(Event::default().retry(RECONNECT))).is_ok();
        let mut due = Instant::now() + EVERY;
        while told {
            told = match self.next(due, &body).await {
                Next::Spoken(Ok(room)) => {
                    self.waiting.insert(room);
                    true
                }
                Next::Spoken(Err(RecvError::Lagged(_))) => self.reload(&body).await,
                Next::Due => {
                    due = Instant::now() + EVERY;
                    self.tell(&body).await
                }
                Next::Leaves(reason) => {
                    self.leave.moved(reason);
                    false
                }
                // Its reader may come back as who they are then.
                Next::Dismissed => {
                    self.leave.otherwise();
                    false
                }
                Next::Spoken(Err(RecvError::Closed)) | Next::Gone => false,
            };
        }
        self.app.metrics.connections.with_label_values(&["rooms"]).dec();
    }

    async fn next(&mut self, due: Instant, body: &mpsc::Sender<Result<Event, Infallible>>) -> Next {
        // Nothing wakes it but its own moment.
        let nobody = Notify::new();
        let leave = async {
            loop {
                if let Err(reason) = self.leave.wait(&nobody).await {
                    return reason;
                }
            }
        };
        tokio::select! {
            spoken = self.spoken_in.recv() => Next::Spoken(spoken),
            () = sleep_until(due), if !self.waiting.is_empty() => Next::Due,
            reason = leave => Next::Leaves(reason),
            _ = people::dismissed(&mut self.stay) => Next::Dismissed,
            () = body.closed() => Next::Gone,
        }
    }

    /// Whether the reader is still there.
    async fn reload(&mut self, body: &mpsc::Sender<Result<Event, Infallible>>) -> bool {
        self.waiting.clear();
        self.send(body, Event::default().event("reload").data("{}")).await
    }

    async fn tell(&mut self, body: &mpsc::Sender<Result<Event, Infallible>>) -> bool {
        if self.waiting.len() > MOST_WAITING {
            return self.reload(body).await;
        }
        let names: Vec<_> = self.waiting.iter().take(MOST).cloned().collect();
        self.waiting.retain(|name| !names.contains(name));
        let rooms: Vec<RoomInfo> = stream::iter(names)
            .map(|name| visible(&self.app, name, self.reader.visitor()))
            .buffered(AT_ONCE)
            // One that cannot be looked up now is told when somebody speaks there again.
            .filter_map(|room| std::future::ready(room.ok().flatten()))
            .collect()
            .await;
        for room in rooms {
            let Ok(event) = Event::default().event("room").json_data(room) else { continue };
            if !self.send(body, event).await {
                return false;
            }
        }
        true
    }

    /// Whether the reader took it; one that takes nothing for too long has gone.
    async fn send(&self, body: &mpsc::Sender<Result<Event, Infallible>>, event: Event) -> bool {
        body.send_timeout(Ok(event), self.app.config.limits.stall).await.is_ok()
    }
}
