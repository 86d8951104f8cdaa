//! Something is done to the stack under an audience, and both are judged.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::sleep;

use super::{
    Act, Scene,
    audience::{Audience, Promise, Report},
    watch::Watch,
};
use crate::cluster::docker::docker;

/// Into whatever is done, when HAProxy is killed to see that the audience notices.
const SPOILED_AFTER: Duration = Duration::from_secs(2);

/// So long an audience is asked at least, whatever is done takes less: among the messages of a few seconds one that took a
/// moment longer is more than one in a hundred.
const ASKED_FOR: Duration = Duration::from_secs(15);

/// What is done, and what must hold meanwhile.
pub(super) struct Trial {
    pub name: &'static str,
    pub promise: Promise,
    /// So many replicas serve at any moment.
    pub min_ready: usize,
    pub run: Act,
}

/// How a drill went, or a row of the table: an entry of `drills.json` or `tiers.json`.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Which one.
    pub name: &'static str,
    /// Whether all that must hold held.
    pub passed: bool,
    /// How long it took, the audience's coming and going included.
    pub seconds: f64,
    /// What the audience felt.
    #[serde(flatten)]
    pub felt: Felt,
    /// Fewest replicas that HAProxy had at any moment.
    pub min_ready: usize,
    /// What the operator was told.
    pub line: String,
    /// Why it did not pass.
    pub failures: Vec<String>,
}

/// The audience's figures, from before the change until all had come to rest after it.
#[derive(Debug, Default, Serialize)]
pub struct Felt {
    /// Messages that were sent.
    pub messages: u64,
    /// Messages that somebody should have heard and did not.
    pub messages_lost: u64,
    /// Messages that somebody heard twice.
    pub messages_twice: u64,
    /// Messages out of their order.
    pub messages_reordered: u64,
    /// Requests of the audience's probe.
    pub requests: u64,
    /// Of those, failed.
    pub requests_failed: u64,
    /// Of those that had a message, failed and taken when it went again, where that is allowed.
    pub sends_retried: u64,
    /// Connections that the service closed.
    pub forced: u64,
    /// Connections that ended without a close frame.
    pub abrupt: u64,
    /// How often each client moved, on average.
    pub moves_per_client: f64,
    /// How often the client moved that moved most.
    pub most_moves: u32,
    /// The longest time that a client was without service.
    pub silence_ms: f64,
    /// From a `send` until it was acknowledged, at most.
    pub slowest_send_ms: f64,
    /// From a `send` to its delivery, in 99 of 100.
    pub delivery_p99_ms: f64,
}

impl Outcome {
    /// What became of it if the stage could not be set, or nobody could be asked: nothing was proven.
    pub(super) fn not_held(name: &'static str, error: &anyhow::Error) -> Self {
        Self {
            name,
            passed: false,
            seconds: 0.0,
            felt: Felt::default(),
            min_ready: 0,
            line: String::new(),
            failures: vec![format!("{error:#}")],
        }
    }
}

impl Trial {
    /// Does it under an audience, and judges.
    ///
    /// # Errors
    ///
    /// If nobody came, or nobody could be asked: then nothing is proven either way.
    pub async fn hold(&self, scene: &Scene) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let audience = Audience::gather(scene, self.name, self.promise).await?;
        let watch = Watch::start(scene.haproxy_socket());
        let gathered = Instant::now();
        let (done, spoiled) = tokio::join!((self.run)(scene), spoil(scene));
        let done = match done {
            // However a deploy ends, it gives back what it held.
            Ok(line) => scene.expect_no_leftovers().await.map(|()| line),
            failed => failed,
        };
        sleep(ASKED_FOR.saturating_sub(gathered.elapsed())).await;
        let min_ready = watch.stop().await;
        let report = audience.dismiss().await?;
        let mut failures = report.broken(self.promise);
        spoiled?;
        match min_ready {
            None => failures.push("HAProxy never said how many replicas it has".to_owned()),
            Some(fewest) if fewest < self.min_ready => {
                failures.push(format!("only {fewest} replicas served, not {}", self.min_ready));
            }
            Some(_) => {}
        }
        let line = done.unwrap_or_else(|error| {
            failures.push(format!("{error:#}"));
            String::new()
        });
        if failures.is_empty() {
            report.forget();
        }
        Ok(Outcome {
            name: self.name,
            passed: failures.is_empty(),
            seconds: (began.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            felt: report.felt(),
            min_ready: min_ready.unwrap_or_default(),
            line,
            failures,
        })
    }
}

/// If the scene says so.
async fn spoil(scene: &Scene) -> anyhow::Result<()> {
    if scene.spoiled {
        sleep(SPOILED_AFTER).await;
        docker(&["restart", "--time", "0", &scene.stack.container("haproxy")]).await?;
    }
    Ok(())
}

impl Report {
    fn felt(&self) -> Felt {
        Felt {
            messages: self.messages_sent,
            messages_lost: self.lost,
            messages_twice: self.duplicated,
            messages_reordered: self.reordered,
            requests: self.requests,
            requests_failed: self.failed_requests,
            sends_retried: self.retried_sends,
            forced: self.forced_closes,
            abrupt: self.abrupt_closes,
            moves_per_client: self.moves_per_client,
            most_moves: self.most_moves,
            silence_ms: self.silence_ms.max,
            slowest_send_ms: self.send_ms.max,
            delivery_p99_ms: self.delivery_ms.p99,
        }
    }
}
