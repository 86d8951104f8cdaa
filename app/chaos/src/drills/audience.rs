//! The audience of a drill: `rollcall-bots run`, whose command lasts as long as the drill does.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use super::Scene;

const CLIENTS: &str = "60";
/// To connect all of them, and a moment in which nothing happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the audience must not notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing moved at all.
    Untouched,
    /// Rolls: nobody loses a request or a connection, or is seen to leave; and nobody moves more often
    /// than there were whole rolls, about.
    Unnoticed {
        /// So many, the parts of one that stopped or was undone counted as one.
        rolls: u32,
    },
    /// Something dies: nothing is lost, and everybody is back in the end.
    NothingLost,
}

/// Moves a client and a roll: one, and a few who were unlucky.
const MOVES: f64 = 1.1;

/// Clients that talk while a drill goes on.
pub struct Audience {
    bots: Child,
    /// The command waits until this file is gone.
    curtain: PathBuf,
    report: PathBuf,
}

/// What they say of it.
#[derive(Debug, Default, Deserialize)]
pub struct Report {
    pub lost: u64,
    pub messages_sent: u64,
    pub requests: u64,
    pub failed_requests: u64,
    duplicated: u64,
    reordered: u64,
    phantoms: u64,
    unproven: u64,
    gaps: u64,
    absent: u64,
    failed_sends: u64,
    leave_join_flaps: u64,
    forced_closes: u64,
    abrupt_closes: u64,
    moves_per_client: f64,
    details: Vec<String>,
}

impl Audience {
    /// Returns when all are live and the drill may begin.
    pub async fn gather(scene: &Scene) -> anyhow::Result<Self> {
        let (curtain, report) = (scene.file("drill.curtain"), scene.file("drill-audience.json"));
        let _stale = fs::remove_file(&report);
        let _stale = fs::remove_file(&curtain);
        // The curtain rises with the command, when all are live, and falls with the drill.
        let wait =
            format!("touch '{0}'; while [ -e '{0}' ]; do sleep 0.1; done", curtain.display());
        let redis = format!("redis://{}:6379", scene.stack.redis_address());
        let mut command = Command::new(&scene.bots);
        command
            .args(["run", "--url", &scene.stack.url(), "--redis", &redis, "--clients", CLIENTS])
            .args(["--promise", "roll", "--baseline-seconds", "1", "--report"])
            .arg(&report)
            .args(["--", "sh", "-c", &wait])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut bots = command.spawn().context("no rollcall-bots; scripts/build?")?;
        let until = Instant::now() + PATIENCE;
        while !curtain.exists() {
            if bots.try_wait()?.is_some() || Instant::now() > until {
                let _ended = bots.start_kill();
                let ended = bots.wait_with_output().await?;
                bail!("the audience did not gather: {}", String::from_utf8_lossy(&ended.stderr));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { bots, curtain, report })
    }

    /// Ends the command and hears what they have to say.
    pub async fn dismiss(self) -> anyhow::Result<Report> {
        fs::remove_file(&self.curtain)?;
        // Its verdict is for a roll that succeeds; the drill's own is made from the figures.
        let ended = self.bots.wait_with_output().await?;
        let told = || format!("the audience: {}", String::from_utf8_lossy(&ended.stderr).trim());
        let text = fs::read_to_string(&self.report).with_context(told)?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Report {
    /// What was promised and did not hold, in words.
    pub fn broken(&self, promise: Promise) -> Vec<String> {
        let mut none = vec![
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("phantoms", self.phantoms),
            ("unproven", self.unproven),
            ("gaps", self.gaps),
            ("clients absent", self.absent),
            ("failed sends", self.failed_sends),
        ];
        if promise != Promise::NothingLost {
            none.extend([
                ("failed requests", self.failed_requests),
                ("leaves and joins of who was there all the time", self.leave_join_flaps),
                ("forced closes", self.forced_closes),
                ("abrupt closes", self.abrupt_closes),
            ]);
        }
        let broken = none.into_iter().filter(|(_, count)| *count > 0);
        let mut words: Vec<String> =
            broken.map(|(what, count)| format!("{count} {what}")).collect();
        words.extend(self.restless(promise));
        // Who says and asks nothing cannot lose anything.
        for (what, count) in [("messages", self.messages_sent), ("requests", self.requests)] {
            if count == 0 {
                words.push(format!("no {what} at all: nothing is proven"));
            }
        }
        if !words.is_empty() {
            words.extend(self.details.iter().take(3).cloned());
        }
        words
    }

    fn restless(&self, promise: Promise) -> Option<String> {
        let most = match promise {
            Promise::Untouched => 0.0,
            Promise::Unnoticed { rolls } => MOVES * f64::from(rolls),
            // Who loses a connection comes back, as often as that happens.
            Promise::NothingLost => f64::INFINITY,
        };
        let moves = self.moves_per_client;
        (moves > most).then(|| format!("{moves:.2} moves a client, more than {most:.1}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Promise, Report};

    fn heard() -> Report {
        Report { messages_sent: 500, requests: 900, moves_per_client: 1.02, ..Report::default() }
    }

    const ROLL: Promise = Promise::Unnoticed { rolls: 1 };

    #[test]
    fn a_roll_may_move_everybody_once_and_nobody_twice() {
        assert_eq!(heard().broken(ROLL), Vec::<String>::new());
        let twice = Report { moves_per_client: 2.0, ..heard() };
        assert_eq!(twice.broken(ROLL), ["2.00 moves a client, more than 1.1"]);
        assert_eq!(twice.broken(Promise::Unnoticed { rolls: 2 }), Vec::<String>::new());
        assert_eq!(twice.broken(Promise::NothingLost), Vec::<String>::new());
        assert_eq!(heard().broken(Promise::Untouched).len(), 1);
    }

    #[test]
    fn what_may_not_be_is_broken_under_every_promise_and_a_flap_only_where_nobody_dies() {
        for promise in [ROLL, Promise::NothingLost] {
            let report = Report { phantoms: 1, unproven: 2, ..heard() };
            assert_eq!(report.broken(promise), ["1 phantoms", "2 unproven"]);
        }
        let flapped = Report { leave_join_flaps: 2, ..heard() };
        assert_eq!(flapped.broken(ROLL).len(), 1);
        assert_eq!(flapped.broken(Promise::NothingLost), Vec::<String>::new());
    }

    #[test]
    fn a_silent_audience_proves_nothing() {
        assert_eq!(Report::default().broken(Promise::NothingLost).len(), 2);
    }
}
