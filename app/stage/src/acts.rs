//! What a speaker may have done from the page: commands, each on a key. The page asks; this process does it, one at a time.

use std::{collections::HashSet, path::Path, process::Stdio, sync::Arc};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::{
    process::Command,
    sync::{Mutex, mpsc},
};

use crate::{
    event::{Act, End, What},
    key,
};

/// Keys that the page has for itself.
const TAKEN: [char; 2] = ['b', 'n'];

/// An act.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What the page asks for.
    pub name: String,
    /// On which key.
    pub key: char,
    /// What the hall reads while it goes on.
    #[serde(skip_serializing)]
    words: String,
    /// And when it is over.
    #[serde(skip_serializing, default)]
    done: String,
    /// A program and its arguments.
    #[serde(skip_serializing)]
    command: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    act: Vec<Known>,
}

/// All acts. Clones share them.
#[derive(Clone)]
pub struct Acts {
    known: Arc<[Known]>,
    /// Held while one goes on.
    turn: Arc<Mutex<()>>,
    out: mpsc::Sender<What>,
}

/// Why an act does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such act.
    Unknown,
    /// Another one goes on.
    Busy,
}

impl Acts {
    /// Reads the acts from a TOML file; without one there are none. What happens is told to `out`.
    ///
    /// # Errors
    ///
    /// If the file has none that can be done.
    pub fn read(path: Option<&Path>, out: mpsc::Sender<What>) -> anyhow::Result<Self> {
        let known = match path {
            Some(path) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read the acts in {shown}"))?;
                parse(&text).with_context(|| format!("the acts in {shown}"))?
            }
            None => Vec::new(),
        };
        Ok(Self { known: known.into(), turn: Arc::default(), out })
    }

    /// Those that there are.
    #[must_use]
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// Begins an act, which goes on by itself: also when the stage ends. Its program is told which replica was voted for.
    ///
    /// # Errors
    ///
    /// If it does not begin.
    pub fn begin(&self, name: &str, voted: Option<String>) -> Result<(), Refused> {
        let known = self.known.iter().find(|known| known.name == name).ok_or(Refused::Unknown)?;
        let turn = self.turn.clone().try_lock_owned().map_err(|_| Refused::Busy)?;
        let (known, out) = (known.clone(), self.out.clone());
        tokio::spawn(async move {
            perform(known, voted.unwrap_or_default(), out).await;
            drop(turn);
        });
        Ok(())
    }
}

/// Where a program finds the replica that was voted for; empty if none was.
const VOTED: &str = "VOTED";

async fn perform(
    Known { name, words, done, command, .. }: Known,
    voted: String,
    out: mpsc::Sender<What>,
) {
    let told = |is, words| What::Act(Act { act: name.clone(), is, words });
    // Nobody is told if the stage has ended.
    let _told = out.send(told(End::Begin, words)).await;
    let mut program = Command::new(&command[0]);
    program.args(&command[1..]).env(VOTED, voted).env_remove(key::VARIABLE).stdin(Stdio::null());
    let ended = program.status().await;
    let words = match ended {
        Ok(status) if status.success() => done,
        Ok(status) => format!("{name} failed: {status}"),
        Err(error) => format!("{name} failed: {error}"),
    };
    let _told = out.send(told(End::End, words)).await;
}

fn parse(text: &str) -> anyhow::Result<Vec<Known>> {
    let File { act: known } = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        anyhow::anyhow!("line {line}: {}", error.message())
    })?;
    let (mut names, mut keys) = (HashSet::new(), HashSet::from(TAKEN));
    for Known { name, key, command, .. } in &known {
        ensure!(!command.is_empty(), "{name} has no command");
        ensure!(names.insert(name), "{name} is there twice");
        if !keys.insert(*key) {
            bail!("{name}: the key {key} is taken");
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLL: &str = "[[act]]\nname = 'roll'\nkey = 'r'\nwords = 'Rolling'\ndone = 'Rolled'\n";

    fn acts(text: &str) -> (Acts, mpsc::Receiver<What>) {
        let (out, told) = mpsc::channel(4);
        (Acts { known: parse(text).expect("acts").into(), turn: Arc::default(), out }, told)
    }

    async fn next(told: &mut mpsc::Receiver<What>) -> (End, String) {
        match told.recv().await {
            Some(What::Act(Act { is, words, .. })) => (is, words),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn one_act_at_a_time_is_done_and_told() {
        // It waits until it is read from, which a test decides.
        let fifo = std::env::temp_dir().join(format!("rollcall-stage-act-{}", std::process::id()));
        let made = Command::new("mkfifo").arg(&fifo).status().await.expect("mkfifo");
        assert!(made.success());
        let (acts, mut told) =
            acts(&format!("{ROLL}command = ['sh', '-c', 'echo > {}']\n", fifo.display()));
        assert_eq!(acts.begin("rool", None), Err(Refused::Unknown));
        assert_eq!(acts.begin("roll", None), Ok(()));
        assert_eq!(next(&mut told).await, (End::Begin, "Rolling".to_owned()));
        assert_eq!(acts.begin("roll", None), Err(Refused::Busy));
        tokio::fs::read(&fifo).await.expect("it is written to");
        assert_eq!(next(&mut told).await, (End::End, "Rolled".to_owned()));
        std::fs::remove_file(&fifo).expect("it was there");
    }

    #[tokio::test]
    async fn an_act_that_fails_says_so() {
        for (command, words) in [("['false']", "exit status: 1"), ("['/nowhere']", "No such file")]
        {
            let (acts, mut told) = acts(&format!("{ROLL}command = {command}\n"));
            acts.begin("roll", None).expect("it begins");
            next(&mut told).await;
            let (is, told) = next(&mut told).await;
            assert!(is == End::End && told.starts_with("roll failed: "), "{told}");
            assert!(told.contains(words), "{told}");
        }
    }

    #[tokio::test]
    async fn an_act_knows_which_replica_was_voted_for() {
        for (voted, is) in [(Some("r2".to_owned()), "r2"), (None, "")] {
            let (acts, mut told) =
                acts(&format!("{ROLL}command = ['sh', '-c', '[ \"$VOTED\" = \"{is}\" ]']\n"));
            acts.begin("roll", voted).expect("it begins");
            next(&mut told).await;
            assert_eq!(next(&mut told).await, (End::End, "Rolled".to_owned()));
        }
    }

    #[test]
    fn each_fault_is_one_plain_line() {
        let command = "command = ['true']\n";
        for (text, words) in [
            (ROLL.to_owned(), "line 1: missing field `command`"),
            (format!("{ROLL}{command}sppeed = 1\n"), "line 7: unknown field `sppeed`"),
            (format!("{ROLL}command = []\n"), "roll has no command"),
            (format!("{ROLL}{command}{ROLL}{command}"), "roll is there twice"),
            (format!("{}{command}", ROLL.replace("'r'", "'b'")), "roll: the key b is taken"),
        ] {
            let refused = format!("{:#}", parse(&text).expect_err("refused"));
            assert!(refused.starts_with(words) && !refused.contains('\n'), "{refused}");
        }
    }
}
