//! The HTTP probe: a steady stream of requests through HAProxy, on kept-alive connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::{Client, Response};
use rollcall_protocol::ServerFrame;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::participant::{Phase, quiet};

const PER_SECOND: f64 = 100.0;
/// One `POST` goes out for so many `GET`s, at most; each waits for the one before.
const GETS_A_POST: u32 = 50;
/// An answer that takes longer is a failure.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Requests under way at a time; a server that answers none gets no more.
const AT_A_TIME: usize = 64;
const MAX_DETAILS: usize = 5;

/// What the probe saw.
#[derive(Debug, Default)]
pub struct Probed {
    pub requests: u64,
    pub failed: u64,
    /// Of requests that succeeded.
    pub micros: Vec<u32>,
    /// Acknowledged `POST`s: `n` and entry.
    pub acked: Vec<(u64, Option<rollcall_protocol::EntryId>)>,
    /// 1 if the last `POST` failed and was not settled.
    pub unknown: u64,
    /// The first failures, in words.
    pub details: Vec<String>,
}

impl Probed {
    fn count(&mut self, outcome: Result<Duration, String>) {
        self.requests += 1;
        match outcome {
            Ok(took) => self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
            Err(detail) => {
                self.failed += 1;
                if self.details.len() < MAX_DETAILS {
                    self.details.push(detail);
                }
            }
        }
    }
}

/// What is asked, and as whom.
#[derive(Debug, Clone)]
pub struct Probe {
    client: Client,
    messages: String,
    key: String,
}

impl Probe {
    /// The probe's name in the rooms.
    pub const NAME: &str = "Probe";

    /// Asks `url` for the history of `room`, and posts there with `key`.
    pub fn new(url: &str, room: &str, key: String) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIME_LIMIT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(8)
            .build()
            .context("cannot set up the HTTP probe")?;
        let messages = format!("{}/api/v1/rooms/{room}/messages", url.trim_end_matches('/'));
        Ok(Self { client, messages, key })
    }

    /// The probe's public ID: the first 16 hex digits of the key's SHA-256.
    pub fn member(&self) -> String {
        let digest = Sha256::digest(self.key.as_bytes());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Probes until the phase says to be quiet; requests under way are waited for.
    pub async fn run(self, phase: watch::Receiver<Phase>) -> Probed {
        let posts = self.clone().post_all(phase.clone());
        let (mut gets, posts) = tokio::join!(self.get_all(phase), posts);
        gets.requests += posts.requests;
        gets.failed += posts.failed;
        gets.micros.extend(posts.micros);
        gets.details.extend(posts.details);
        (gets.acked, gets.unknown) = (posts.acked, posts.unknown);
        gets
    }

    async fn get_all(self, mut phase: watch::Receiver<Phase>) -> Probed {
        let mut probed = Probed::default();
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
                    probed.count(outcome.unwrap_or_else(|error| Err(error.to_string())));
                }
                () = quiet(&mut phase) => break,
            }
        }
        while let Some(outcome) = gets.join_next().await {
            probed.count(outcome.unwrap_or_else(|error| Err(error.to_string())));
        }
        probed
    }

    async fn get(self) -> Result<Duration, String> {
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

    async fn post_all(self, mut phase: watch::Receiver<Phase>) -> Probed {
        let mut probed = Probed::default();
        let mut n = 1;
        loop {
            tokio::select! {
                () = sleep(Duration::from_secs_f64(f64::from(GETS_A_POST) / PER_SECOND)) => {}
                () = quiet(&mut phase) => return probed,
            }
            let started = Instant::now();
            let outcome = self.post(n).await;
            // After a failure the same number goes again, so that nothing is said twice.
            probed.unknown = u64::from(outcome.is_err());
            if let Ok(id) = outcome {
                probed.acked.push((n, id));
                n += 1;
            }
            probed.count(outcome.map(|_| started.elapsed()));
        }
    }

    async fn post(&self, n: u64) -> Result<Option<rollcall_protocol::EntryId>, String> {
        let body = json!({
            "client": self.key, "name": Self::NAME, "n": n, "text": format!("Still answering: {n}."),
        });
        let answer = self.client.post(&self.messages).json(&body).send().await;
        let answer = answer.map_err(|error| format!("POST: {}", causes(&error)))?;
        acknowledged(answer).await
    }
}

async fn acknowledged(answer: Response) -> Result<Option<rollcall_protocol::EntryId>, String> {
    let status = answer.status();
    let body = answer.text().await.map_err(|error| format!("POST body: {}", causes(&error)))?;
    if !status.is_success() {
        return Err(format!("POST: {status}: {body}"));
    }
    match serde_json::from_str(&body) {
        Ok(ServerFrame::Ack { id, .. }) => Ok(id),
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
