//! The roll call: what the bots write when they have ended and the checker has judged.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use tokio::{fs, sync::mpsc};

use crate::event::{Verdict, What};

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The report of `rollcall-bots`, as far as the stage shows it.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(default)]
    promises: Vec<Promise>,
}

#[derive(Debug, Deserialize)]
struct Promise {
    name: String,
    held: bool,
}

/// Tells each verdict that is written from now on, for as long as somebody listens: what is there already is of a run
/// that nobody here has seen.
pub async fn follow(path: PathBuf, out: mpsc::Sender<What>) {
    let mut told = written(&path).await;
    while !out.is_closed() {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = written(&path).await;
        if now == told {
            continue;
        }
        // One that is half written is not JSON yet.
        let Some(verdict) = fs::read(&path).await.ok().and_then(|text| read(&text)) else {
            continue;
        };
        told = now;
        if out.send(What::Verdict(verdict)).await.is_err() {
            return;
        }
    }
}

/// When it was written last, if it was.
async fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).await.ok()?.modified().ok()
}

fn read(text: &[u8]) -> Option<Verdict> {
    let Report { verdict, promises } = serde_json::from_slice(text).ok()?;
    let broken = promises.into_iter().filter(|promise| !promise.held).map(|promise| promise.name);
    Some(Verdict { broken: broken.collect(), ..verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{ "ok": false, "promise": "show", "clients": 300, "absent": 0, "messages_sent": 1204, "deliveries": 120400,
        "lost": 12, "duplicated": 1, "reordered": 0, "moves": 600, "skipped": { "forgetful": 12 },
        "promises": [{ "name": "lost", "figure": 12, "bound": 0, "held": false }, { "name": "absent", "figure": 0, "bound": 0, "held": true }] }"#;

    #[tokio::test]
    async fn only_what_is_written_from_now_on_is_told_and_only_when_it_is_whole() {
        let path = std::env::temp_dir()
            .join(format!("rollcall-stage-verdict-{}.json", std::process::id()));
        std::fs::write(&path, REPORT.replace("1204", "7")).expect("an old report");
        let (out, mut told) = mpsc::channel(4);
        let following = tokio::spawn(follow(path.clone(), out));
        tokio::time::sleep(2 * LOOK_EVERY).await;
        std::fs::write(&path, &REPORT[..80]).expect("half of a report");
        tokio::time::sleep(2 * LOOK_EVERY).await;
        assert!(told.try_recv().is_err(), "nothing whole is new");
        std::fs::write(&path, REPORT).expect("a report");
        let Some(What::Verdict(verdict)) = told.recv().await else { panic!("a verdict") };
        assert_eq!((verdict.ok, verdict.messages, verdict.doubled), (false, 1_204, 1));
        assert_eq!((verdict.skipped["forgetful"], verdict.broken), (12, vec!["lost".to_owned()]));
        following.abort();
        std::fs::remove_file(&path).expect("it was there");
    }
}
