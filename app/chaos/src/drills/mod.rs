//! Drills: a deploy fails, or is made to, on the real stack under an audience; what must still be
//! true afterwards is checked, and what the operator saw is kept.

mod audience;
mod faults;
mod journal;
mod operators;
mod refusals;
mod releases;
mod scene;
mod stubborn;
mod tiers;
mod verdicts;
mod watch;

use std::time::Instant;

use futures_util::future::BoxFuture;
use serde::Serialize;

pub use scene::Scene;

use audience::{Audience, Promise};
use watch::Watch;

/// A drill.
pub struct Drill {
    /// What it is called.
    pub name: &'static str,
    /// What it must end in, in a line.
    pub summary: &'static str,
    /// Whether it is one of those that every test run has time for.
    pub quick: bool,
    /// Whether it is one of `all`. One that needs an image of another commit has to be asked for.
    pub usual: bool,
    promise: Promise,
    /// So many replicas serve at any moment.
    min_ready: usize,
    /// Does it, and returns the line that the operator saw.
    run: for<'a> fn(&'a Scene) -> BoxFuture<'a, anyhow::Result<String>>,
}

/// How a drill went: an entry of `drills.json`.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Which one.
    pub name: &'static str,
    /// Whether all that must hold held.
    pub passed: bool,
    /// How long it took, the audience's coming and going included.
    pub seconds: f64,
    /// Requests of the audience's probe that failed.
    pub requests_failed: u64,
    /// Of so many.
    pub requests: u64,
    /// Messages that somebody should have heard and did not.
    pub messages_lost: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Fewest replicas that HAProxy had at any moment.
    pub min_ready: usize,
    /// What the operator was told.
    pub line: String,
    /// Why it did not pass.
    pub failures: Vec<String>,
}

/// All drills, in an order that spares time: what rolls comes first, and leaves something kept.
pub const DRILLS: &[Drill] = &[
    Drill {
        name: "rollback",
        summary: "no canary, the kept containers, at most half the time of the roll forward",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(releases::rollback(scene)),
    },
    Drill {
        name: "two-releases",
        summary: "beside a release that says more than this one knows, and back: nothing lost",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(releases::beside_each_other(scene)),
    },
    Drill {
        name: "release-before",
        summary: "from the release before to this one and back, with both beside each other: nothing lost",
        quick: false,
        usual: false,
        promise: Promise::Unnoticed { rolls: 4 },
        min_ready: 3,
        run: |scene| Box::pin(releases::from_the_one_before(scene)),
    },
    Drill {
        name: "proxy",
        summary: "HAProxy's configuration by a reload, its container by a handover, and back: one move each",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 3 },
        min_ready: 3,
        run: |scene| Box::pin(tiers::proxy(scene)),
    },
    Drill {
        name: "scale",
        summary: "a fourth replica comes and goes: one move each",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(tiers::scale(scene)),
    },
    Drill {
        name: "rebalance",
        summary: "a replica that died comes back empty, and rebalance.yml gives it its share",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 2,
        run: |scene| Box::pin(tiers::rebalance(scene)),
    },
    Drill {
        name: "bad-image",
        summary: "an image that does not exist is refused before the first drain",
        quick: true,
        usual: true,
        promise: Promise::Untouched,
        min_ready: 3,
        run: |scene| Box::pin(refusals::bad_image(scene)),
    },
    Drill {
        name: "same-release",
        summary: "changed=0, no drain, at most 10 s",
        quick: true,
        usual: true,
        promise: Promise::Untouched,
        min_ready: 3,
        run: |scene| Box::pin(refusals::same_release(scene)),
    },
    Drill {
        name: "check-mode",
        summary: "--check --diff prints the plan per replica and changes nothing",
        quick: true,
        usual: true,
        promise: Promise::Untouched,
        min_ready: 3,
        run: |scene| Box::pin(refusals::check_mode(scene)),
    },
    Drill {
        name: "pre-deploy-hook",
        summary: "a failing pre-deploy stops the deploy before the first drain",
        quick: true,
        usual: true,
        promise: Promise::Untouched,
        min_ready: 3,
        run: |scene| Box::pin(refusals::pre_deploy_hook(scene)),
    },
    Drill {
        name: "stale-lock",
        summary: "a lock from another host stops the deploy, naming whose it is; unlock.yml frees it",
        quick: false,
        usual: true,
        promise: Promise::Untouched,
        min_ready: 3,
        run: |scene| Box::pin(operators::stale_lock(scene)),
    },
    Drill {
        name: "two-at-once",
        summary: "the second stops at the lock, naming owner, host, release and time",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 1 },
        min_ready: 3,
        run: |scene| Box::pin(operators::two_at_once(scene)),
    },
    Drill {
        name: "never-ready",
        summary: "the old slots serve, all is as before, at most rollcall_start_timeout_seconds + 15 s",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 0 },
        min_ready: 3,
        run: |scene| Box::pin(verdicts::never_ready(scene)),
    },
    Drill {
        name: "dies-in-hold",
        summary: "a release that crashes in its first seconds: the same",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 3,
        run: |scene| Box::pin(verdicts::dies_in_hold(scene)),
    },
    Drill {
        name: "fails-on-second",
        summary: "the replica that is rolled already is put back to the container it had",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(verdicts::fails_on_second(scene)),
    },
    Drill {
        name: "no-auto-rollback",
        summary: "-e auto_rollback=false leaves what is rolled; rollback.yml -e release=… takes it back",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(verdicts::left_to_be_looked_at(scene)),
    },
    Drill {
        name: "put-back-fails",
        summary: "nothing is left to put the first replica back to: what serves there stays",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 1 },
        min_ready: 3,
        run: |scene| Box::pin(verdicts::put_back_fails(scene)),
    },
    Drill {
        name: "bad-canary-errors",
        summary: "5 % errors: caught on the first replica, undone in 5 s, refused next time",
        quick: true,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 3,
        run: |scene| Box::pin(verdicts::canary(scene, "five-percent-errors")),
    },
    Drill {
        name: "bad-canary-slow",
        summary: "ten times slower: the same",
        quick: false,
        usual: true,
        promise: Promise::Slower { rolls: 0 },
        min_ready: 3,
        run: |scene| Box::pin(verdicts::canary(scene, "ten-times-slower")),
    },
    Drill {
        name: "forced",
        summary: "a release that is marked bad is rolled out with -e force=true, and asks no canary",
        quick: false,
        usual: true,
        promise: Promise::Slower { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(verdicts::forced(scene)),
    },
    Drill {
        name: "stuck-client",
        summary: "a client that never moves is closed at the deadline and counted; the roll goes on",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 1 },
        min_ready: 3,
        run: |scene| Box::pin(stubborn::client(scene)),
    },
    Drill {
        name: "ignores-sigterm",
        summary: "a release that ignores SIGTERM is killed, and said so; the roll goes on",
        quick: false,
        usual: true,
        promise: Promise::Unnoticed { rolls: 2 },
        min_ready: 3,
        run: |scene| Box::pin(stubborn::release(scene)),
    },
    Drill {
        name: "interrupted",
        summary: "Ctrl-C at a random moment; the same command again repairs and completes",
        quick: true,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 3,
        run: |scene| Box::pin(operators::interrupted(scene)),
    },
    Drill {
        name: "killed",
        summary: "SIGKILL of the playbook at a random moment; the same command again repairs and completes",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 3,
        run: |scene| Box::pin(operators::killed(scene)),
    },
    Drill {
        name: "haproxy-reloaded-mid-roll",
        summary: "it completes or goes back; nothing is lost",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 3,
        run: |scene| Box::pin(faults::haproxy_reloaded(scene)),
    },
    Drill {
        name: "haproxy-away-mid-roll",
        summary: "the turn that needs it fails, what was rolled goes back, the lock is free",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        // A HAProxy that is not there serves nobody.
        min_ready: 0,
        run: |scene| Box::pin(faults::haproxy_away(scene)),
    },
    Drill {
        name: "replica-killed-mid-roll",
        summary: "what was rolled goes back, or with rollcall_min_ready=2 it completes",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 2,
        run: |scene| Box::pin(faults::replica_killed(scene)),
    },
    Drill {
        name: "frozen-replica",
        summary: "it runs and answers nothing: site.yml starts it anew, and only it",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        min_ready: 2,
        run: |scene| Box::pin(faults::replica_frozen(scene)),
    },
    Drill {
        name: "redis-restarted-mid-roll",
        summary: "it completes or goes back; nothing is lost",
        quick: false,
        usual: true,
        promise: Promise::NothingLost,
        // Without Redis no replica is ready, and none should be.
        min_ready: 0,
        run: |scene| Box::pin(faults::redis_restarted(scene)),
    },
];

impl Drill {
    /// What became of it if the stage could not be set, or nobody could be asked: nothing was proven.
    #[must_use]
    pub fn not_held(&self, error: &anyhow::Error) -> Outcome {
        Outcome {
            name: self.name,
            passed: false,
            seconds: 0.0,
            requests_failed: 0,
            requests: 0,
            messages_lost: 0,
            messages: 0,
            min_ready: 0,
            line: String::new(),
            failures: vec![format!("{error:#}")],
        }
    }

    /// Provokes it under an audience, and judges.
    ///
    /// # Errors
    ///
    /// If the stage could not be set: then nothing is proven either way.
    pub async fn conduct(&self, scene: &Scene) -> anyhow::Result<Outcome> {
        scene.come_to_rest().await?;
        let began = Instant::now();
        let audience = Audience::gather(scene, self.name, self.promise).await?;
        let watch = Watch::start(scene.haproxy_socket());
        let done = match (self.run)(scene).await {
            // However a deploy ends, it gives back what it held.
            Ok(line) => scene.expect_no_leftovers().await.map(|()| line),
            failed => failed,
        };
        let min_ready = watch.stop().await;
        let report = audience.dismiss().await?;
        let mut failures = report.broken();
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
            requests_failed: report.failed_requests,
            requests: report.requests,
            messages_lost: report.lost,
            messages: report.messages_sent,
            min_ready: min_ready.unwrap_or_default(),
            line,
            failures,
        })
    }
}
