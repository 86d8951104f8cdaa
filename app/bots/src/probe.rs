//! The HTTP probe: a steady stream of requests through HAProxy.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rollcall_checker::history::{Gone, What};
use rollcall_client::new_key;
use rollcall_protocol::{EntryId, ServerFrame};
use serde_json::json;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use url::Url;

use crate::{
    asker::{Answer, Asker},
    phase::{Phase, quiet},
    voice::Script,
};

const PER_SECOND: f64 = 100.0;
/// One `POST` goes out for so many `GET`s at most; each waits for the one before.
const GETS_A_POST: u32 = 50;
/// Requests under way at a time; a server that answers none gets no more.
const AT_A_TIME: usize = 64;
/// How often what is unknown at the end is asked once more, each after a pause of one `POST`.
const LAST_TRIES: u32 = 10;

/// What is asked, and as whom.
#[derive(Clone)]
pub struct Probe {
    asker: Asker,
    messages: Url,
    newest: Url,
    room: String,
    key: String,
    script: Script,
}

impl Probe {
    /// The probe's name in the rooms.
    pub const NAME: &str = "Probe";

    /// Asks `url` for the history of `room`, and posts there with a key of its own.
    pub fn new(asker: Asker, url: &str, room: &str, script: Script) -> anyhow::Result<Self> {
        let messages = format!("{}/api/v1/rooms/{room}/messages", url.trim_end_matches('/'));
        let (newest, messages) = (format!("{messages}?limit=5").parse()?, messages.parse()?);
        Ok(Self { asker, messages, newest, room: room.to_owned(), key: new_key(), script })
    }

    /// Probes until the phase says to be quiet; requests under way are waited for.
    pub async fn run(self, phase: watch::Receiver<Phase>) {
        let (client, role) = (Self::NAME.to_owned(), "poster".to_owned());
        let recorder = self.script.recorder.clone();
        recorder.record(What::Began { client, role, rooms: vec![self.room.clone()] });
        tokio::join!(self.clone().get_all(phase.clone()), self.post_all(phase));
        recorder.record(What::Gone { client: Self::NAME.to_owned(), how: Gone::Dismissed });
    }

    fn asked(&self, outcome: Result<Duration, String>, send: bool) {
        let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (ok, took) = (outcome.is_ok(), outcome.as_ref().map_or(0, |took| micros(*took)));
        self.script.recorder.record(What::Asked { ok, took, why: outcome.err(), send });
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
                    self.asked(outcome.unwrap_or_else(|error| Err(error.to_string())), false);
                }
                () = quiet(&mut phase) => break,
            }
        }
        while let Some(outcome) = gets.join_next().await {
            self.asked(outcome.unwrap_or_else(|error| Err(error.to_string())), false);
        }
    }

    async fn get(&self) -> Result<Duration, String> {
        let started = Instant::now();
        let answer = self.asker.ask(&self.newest, None).await;
        let Answer { status, .. } = answer.map_err(|error| format!("GET: {error}"))?;
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
                self.asked(outcome.as_ref().map(|_| started.elapsed()).map_err(Clone::clone), true);
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
        let answer = self.asker.ask(&self.messages, Some(&body)).await;
        acknowledged(&answer.map_err(|error| format!("POST: {error}"))?)
    }
}

fn acknowledged(Answer { status, body }: &Answer) -> Result<(Option<EntryId>, bool), String> {
    let told = String::from_utf8_lossy(body);
    if !status.is_success() {
        return Err(format!("POST: {status}: {told}"));
    }
    match serde_json::from_slice(body) {
        Ok(ServerFrame::Ack { id, duplicate, .. }) => Ok((id, duplicate)),
        _ => Err(format!("POST: not an ack: {told}")),
    }
}
