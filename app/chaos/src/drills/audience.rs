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

/// Findings of the checker told in words.
const DETAILS: usize = 5;
/// The longest silence where the other of two machines takes over.
const ELSEWHERE_MS: f64 = 2_000.0;
/// To connect all of them, and a moment in which nothing happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the audience must not notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing moved at all.
    Untouched,
    /// Rolls: nobody loses a request or a connection, is seen to leave, waits, or moves more often than there were rolls.
    /// A turn that is undone after its clients have moved is another roll for them.
    Unnoticed {
        /// So many.
        rolls: u32,
    },
    /// The same of a release that is known to be slow.
    Slower {
        /// So many.
        rolls: u32,
    },
    /// The store changes: nobody moves, and what is sent waits for two seconds at most.
    Held,
    /// A replica dies: nothing is lost, and its clients are elsewhere within a second.
    Killed,
    /// Something dies: nothing is lost, and everybody is back in the end.
    NothingLost,
    /// The machine of HAProxy dies: the same, and everybody is at the other within two seconds.
    Elsewhere,
}

impl Promise {
    /// As `rollcall-bots run` is told it, and how many rolls.
    fn arguments(self) -> (&'static str, u32) {
        match self {
            Self::Untouched => ("quiet", 0),
            Self::Unnoticed { rolls } => ("roll", rolls),
            Self::Slower { rolls } => ("slow-roll", rolls),
            Self::Held => ("store", 0),
            Self::Killed => ("kill", 0),
            Self::NothingLost | Self::Elsewhere => ("outage", 0),
        }
    }
}

/// Clients that talk while a drill goes on.
pub struct Audience {
    bots: Child,
    /// The command waits until this file is gone.
    curtain: PathBuf,
    report: PathBuf,
    /// Kept if the drill is not passed.
    history: PathBuf,
}

/// What they say of it: the checker's verdict on their history.
#[derive(Debug, Default, Deserialize)]
pub struct Report {
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub messages_sent: u64,
    pub requests: u64,
    pub failed_requests: u64,
    pub retried_sends: u64,
    pub forced_closes: u64,
    pub abrupt_closes: u64,
    pub moves_per_client: f64,
    pub most_moves: u32,
    pub silence_ms: Spread,
    pub send_ms: Spread,
    pub delivery_ms: Spread,
    ok: bool,
    promises: Vec<Held>,
    details: Vec<String>,
    #[serde(skip)]
    history: PathBuf,
}

/// Of some times, milliseconds.
#[derive(Debug, Default, Deserialize)]
pub struct Spread {
    pub p99: f64,
    pub max: f64,
}

#[derive(Debug, Deserialize)]
struct Held {
    name: String,
    figure: f64,
    held: bool,
}

impl Audience {
    /// Returns when all are live and the drill may begin.
    pub async fn gather(scene: &Scene, name: &str, promise: Promise) -> anyhow::Result<Self> {
        let (curtain, report) = (scene.file("drill.curtain"), scene.file("drill-audience.json"));
        let history = scene.file(&format!("drill-{name}.jsonl"));
        let _stale = fs::remove_file(&report);
        let _stale = fs::remove_file(&curtain);
        // The curtain rises with the command, when all are live, and falls with the drill.
        let wait =
            format!("touch '{0}'; while [ -e '{0}' ]; do sleep 0.1; done", curtain.display());
        let redis = format!("redis://{}:6379", scene.stack.redis_address());
        let (promise, rolls) = promise.arguments();
        let mut command = match &scene.stack.machines {
            None => Command::new(&scene.bots),
            Some(machines) => {
                let (script, word) = machines.client();
                let mut there = Command::new(script);
                there.arg(word).arg(&scene.bots);
                there
            }
        };
        command
            .args(["run", "--url", &scene.stack.url(), "--redis", &redis])
            .args(scene.crowd.arguments())
            .args(["--promise", promise, "--rolls", &rolls.to_string(), "--baseline-seconds", "1"])
            .args(["--project", &scene.stack.place.project, "--history"])
            .arg(&history)
            .arg("--report")
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
        Ok(Self { bots, curtain, report, history })
    }

    /// Ends the command and hears what they have to say.
    pub async fn dismiss(self) -> anyhow::Result<Report> {
        fs::remove_file(&self.curtain)?;
        let ended = self.bots.wait_with_output().await?;
        let told = || format!("the audience: {}", String::from_utf8_lossy(&ended.stderr).trim());
        let text = fs::read_to_string(&self.report).with_context(told)?;
        let report: Report = serde_json::from_str(&text)?;
        Ok(Report { history: self.history, ..report })
    }
}

impl Report {
    /// What was promised and did not hold, in words.
    pub fn broken(&self, promise: Promise) -> Vec<String> {
        let silence = self.silence_ms.max;
        if self.ok && promise == Promise::Elsewhere && silence > ELSEWHERE_MS {
            return vec![format!("silence_ms.max: {silence}, at most {ELSEWHERE_MS}")];
        }
        if self.ok {
            return Vec::new();
        }
        let broken = self.promises.iter().filter(|promise| !promise.held);
        let broken = broken.map(|Held { name, figure, .. }| format!("{name}: {figure}"));
        let words = broken.chain(self.details.iter().take(DETAILS).cloned());
        words.chain([format!("the history is {}", self.history.display())]).collect()
    }

    /// Nobody needs the history of a drill that was passed.
    pub fn forget(&self) {
        // If it stays, it does no harm.
        let _gone = fs::remove_file(&self.history);
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Promise, Report, Spread};

    #[test]
    fn what_the_checker_found_broken_is_told_with_its_figure_and_where_to_look() {
        let held = |name: &str, held| Held { name: name.to_owned(), figure: 2.0, held };
        let promises = vec![held("lost", true), held("moves_per_client", false)];
        let details = vec!["restless: Guest 3 …".to_owned()];
        let report = Report { promises, details, history: "a.jsonl".into(), ..Report::default() };
        let told = ["moves_per_client: 2", "restless: Guest 3 …", "the history is a.jsonl"];
        assert_eq!(report.broken(Promise::Killed), told);
        let late = Spread { p99: 2_500.0, max: 2_500.0 };
        let report = Report { ok: true, silence_ms: late, ..report };
        assert_eq!(report.broken(Promise::NothingLost), Vec::<String>::new());
        assert_eq!(report.broken(Promise::Elsewhere), ["silence_ms.max: 2500, at most 2000"]);
    }
}
