//! The connections of this replica, as a stream for those who show them: who is here, and then ten times a second what became
//! of whom.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use rollcall_protocol::ErrorCode;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::api::envelope::Failure;
use crate::{
    app::App,
    register::{Change, Here, Is, Watcher, Who},
};

/// How often what happened is told.
const EVERY: Duration = Duration::from_millis(100);
/// A reader that hears nothing for a few of these knows that the replica is gone.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Connections in one event of those that are here at the beginning.
const PAGE: usize = 500;

/// `GET /connections`
pub async fn connections(State(app): State<App>) -> Response {
    let Some((here, watcher)) = app.register.watch() else {
        let (status, detail) = (StatusCode::SERVICE_UNAVAILABLE, "enough others watch already");
        return Failure::error(status, ErrorCode::Unavailable, detail).into_response();
    };
    let watching = Watching::new(app, watcher, &here);
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), watching))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

/// One reader of the stream.
struct Watching {
    app: App,
    watcher: Watcher,
    phase: &'static str,
    queue: VecDeque<Event>,
    ticks: Interval,
    is_over: bool,
}

/// The replica, and where it is in its life.
#[derive(Serialize)]
struct Replica<'a> {
    replica: &'a str,
    release: &'a str,
    phase: &'static str,
}

/// A connection that is here.
#[derive(Serialize)]
struct Known<'a> {
    number: u64,
    #[serde(flatten)]
    who: &'a Who,
    live: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_ms: Option<u64>,
}

/// What became of one.
#[derive(Serialize)]
struct Told<'a> {
    is: Is,
    number: u64,
    #[serde(flatten)]
    who: Option<&'a Who>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_ms: Option<u64>,
    ago_ms: u64,
}

impl Watching {
    fn new(app: App, watcher: Watcher, here: &[Here]) -> Self {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watching =
            Self { app, watcher, phase: "", queue: VecDeque::new(), ticks, is_over: false };
        watching.tell_phase();
        let now = Instant::now();
        for page in here.chunks(PAGE) {
            let page: Vec<_> = page.iter().map(|here| known(here, now)).collect();
            watching.queue.push_back(event("here", &page));
        }
        watching.queue.push_back(event("complete", &here.len()));
        watching
    }

    /// The next event. None if the replica has stopped and there is nothing more to tell, or the reader was too slow.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            self.ticks.tick().await;
            self.tell_phase();
            self.tell_changes();
        }
    }

    fn tell_phase(&mut self) {
        let phase = self.app.lifecycle.status().phase;
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        let (replica, release) = (&*self.app.config.replica, &*self.app.config.release);
        self.queue.push_back(event("replica", &Replica { replica, release, phase }));
    }

    fn tell_changes(&mut self) {
        match self.watcher.take() {
            Some(changes) if changes.is_empty() => self.is_over = self.phase == "stopped",
            Some(changes) => self.queue.push_back(event("changes", &told(&changes))),
            None => {
                self.is_over = true;
                self.queue.push_back(event("reload", &"too slow: look anew"));
            }
        }
    }
}

fn known(Here { number, who, live, goes_at }: &Here, now: Instant) -> Known<'_> {
    Known { number: *number, who, live: *live, in_ms: ms(*goes_at, now) }
}

fn told(changes: &[Change]) -> Vec<Told<'_>> {
    let now = Instant::now();
    let told = changes.iter().map(|Change { is, number, who, goes_at, at }| Told {
        is: *is,
        number: *number,
        who: who.as_deref(),
        // As it was when it was told.
        in_ms: ms(*goes_at, *at),
        ago_ms: now.duration_since(*at).as_millis() as u64,
    });
    told.collect()
}

fn ms(at: Option<Instant>, now: Instant) -> Option<u64> {
    Some(at?.saturating_duration_since(now).as_millis() as u64)
}

fn event(name: &str, told: &impl Serialize) -> Event {
    let json = serde_json::to_string(told).unwrap_or_default();
    Event::default().event(name).data(json)
}
