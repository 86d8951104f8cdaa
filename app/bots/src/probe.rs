//! The HTTP probe: a steady stream of requests through HAProxy, on kept-alive connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::{Client, Response};
use rollcall_checker::history::{Gone, What};
use rollcall_protocol::{EntryId, ServerFrame};
use serde_json::json;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    phase::{Phase, quiet},
    voice::Script,
};

const PER_SECOND: f64 = 100.0;
/// One `POST` goes out for so many `GET`s at most; each waits for the one before.
const GETS_A_POST: u32 = 50;
/// An answer that takes longer is a failure.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Requests under way at a time; a server that answers none gets no more.
const AT_A_TIME: usize = 64;
/// How often what is unknown at the end is asked once more, each after a pause of one `POST`.
const LAST_TRIES: u32 = 10;

/// What is asked, and as whom.
#[derive(Debug, Clone)]
pub struct Probe {
    client: Client,
    messages: String,
    room: String,
    key: String,
    script: Script,
}

impl Probe {
    /// The probe's name in the rooms.
    pub const NAME: &str = "Probe";

    /// Asks `url` for the history of `room`, and posts there with `key`.
    pub fn new(url: &str, room: &str, key: String, script: Script) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIME_LIMIT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(8)
            .build()
            .context("cannot set up the HTTP probe")?;
        let messages = format!("{}/api/v1/rooms/{room}/messages", url.trim_end_matches('/'));
        Ok(Self { client, messages, room: room.to_owned(), key, script })
    }

    /// Probes until the phase says to be quiet; requests under way are waited for.
    pub async fn run(self, phase: watch::Receiver<Phase>) {
        let (client, role) = (Self::NAME.to_owned(), "poster".to_owned());
        let recorder = self.script.recorder.clone();
        recorder.record(What::Began { client, role, rooms: vec![self.room.clone()] });
        tokio::join!(self.clone().get_all(phase.clone()), self.post_all(phase));
        recorder.record(What::Gone { client: Self::NAME.to_owned(), how: Gone::Dismissed });
    }

    fn asked(&self, outcome: Result<Duration, String>) {
        let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (ok, took) = (outcome.is_ok(), outcome.as_ref().map_or(0, |took| micros(*took)));
        self.script.recorder.record(What::Asked { ok, took, why: outcome.err() });
    }

    async fn get_all(self, mut phase: watch::Receiver<Phase>) {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let mut gets = JoinSet::new();
        let mut pace = interval(Duration::from_secs_f64(1.0 / PER_SECOND));
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _tick = pace.tick() => {
                    let Ok(place) = places.clone().acquire_owned().await else { break };
                    let probe = self.clone();
                    gets.spawn(async move {
                        let outcome = probe.get().await;
                        drop(place);
                        outcome
                    });
                }
                Some(outcome) = gets.join_next() => {
                    self.asked(outcome.unwrap_or_else(|error| Err(error.to_string())));
                }
                () = quiet(&mut phase) => break,
            }
        }
        while let Some(outcome) = gets.join_next().await {
            self.asked(outcome.unwrap_or_else(|error| Err(error.to_string())));
        }
    }

    async fn get(&self) -> Result<Duration, String> {
        let started = Instant::now();
        let answer = self.client.get(format!("{}?limit=5", self.messages)).send().await;
        let answer = answer.map_err(|error| format!("GET: {}", causes(&error)))?;
        let status = answer.status();
        // The body counts: an answer cut short is no answer.
        answer.bytes().await.map_err(|error| format!("GET body: {}", causes(&error)))?;
        if !status.is_success() {
            return Err(format!("GET: {status}"));
        }
        Ok(started.elapsed())
    }

    async fn post_all(self, mut phase: watch::Receiver<Phase>) {
        let pause = Duration::from_secs_f64(f64::from(GETS_A_POST) / PER_SECOND);
        for n in 1.. {
            tokio::select! {
                () = sleep(pause) => {}
                () = quiet(&mut phase) => return,
            }
            let words = format!("Still answering: {n}.");
            let (op, text) = self.script.invoke(Self::NAME, &self.room, &words);
            let mut tries = 0;
            // After a failure the same number goes again, so that nothing is said twice.
            let outcome = loop {
                let started = Instant::now();
                let outcome = self.post(n, &text).await;
                self.asked(outcome.as_ref().map(|_| started.elapsed()).map_err(Clone::clone));
                let is_over = !matches!(*phase.borrow(), Phase::Talk);
                tries += u32::from(is_over);
                if outcome.is_ok() || tries > LAST_TRIES {
                    break outcome;
                }
                sleep(pause).await;
            };
            self.script.recorder.record(match outcome {
                Ok((id, duplicate)) => What::Ok { op, id: id.map(Into::into), duplicate },
                Err(why) => What::Info { op, why },
            });
        }
    }

    /// The entry, if the server still knew, and whether an earlier try had put it there.
    async fn post(&self, n: u64, text: &str) -> Result<(Option<EntryId>, bool), String> {
        let body = json!({ "client": self.key, "name": Self::NAME, "n": n, "text": text });
        let answer = self.client.post(&self.messages).json(&body).send().await;
        let answer = answer.map_err(|error| format!("POST: {}", causes(&error)))?;
        acknowledged(answer).await
    }
}

async fn acknowledged(answer: Response) -> Result<(Option<EntryId>, bool), String> {
    let status = answer.status();
    let body = answer.text().await.map_err(|error| format!("POST body: {}", causes(&error)))?;
    if !status.is_success() {
        return Err(format!("POST: {status}: {body}"));
    }
    match serde_json::from_str(&body) {
        Ok(ServerFrame::Ack { id, duplicate, .. }) => Ok((id, duplicate)),
        _ => Err(format!("POST: not an ack: {body}")),
    }
}

/// reqwest's own words do not name the cause.
fn causes(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}
