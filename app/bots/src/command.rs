//! The command under test, as a child process that never outlives us.

use std::{process::ExitStatus, process::Stdio, time::Duration};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

use crate::live;

/// How long a child may take to clean up after an interrupt before it is killed.
const CLEANUP: Duration = Duration::from_secs(10);

/// How long its last lines may take to come.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running command, in a process group of its own so that all it started can be reached.
pub struct Running {
    child: Child,
    group: Option<Pid>,
    printing: JoinSet<()>,
}

impl Running {
    /// Starts it; what it prints goes where ours goes, line by line: ours come between its, and the picture stays below.
    pub fn start(command: &[String]) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut printing = JoinSet::new();
        child.stdout.take().map(|out| printing.spawn(pass_on(out, live::tell)));
        child.stderr.take().map(|out| printing.spawn(pass_on(out, live::say)));
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, group, printing })
    }

    /// Waits for its end. Dropping the future loses nothing.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self.child.wait().await.context("lost sight of the command")?;
        // What it left running may hold its output open.
        let printed = async { while self.printing.join_next().await.is_some() {} };
        let _all = timeout(LAST_WORDS, printed).await;
        Ok(status)
    }

    /// Interrupts the whole group, then kills what is left of it.
    pub async fn stop(mut self) {
        self.signal(Signal::SIGINT);
        if timeout(CLEANUP, self.child.wait()).await.is_err() {
            tracing::warn!("the command did not end in {CLEANUP:?} and is killed");
        }
        self.signal(Signal::SIGKILL);
        // It is dead by now or will be at once; waiting reaps it.
        let _reaped = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        // Fails if the group is gone already, which is what is wanted.
        let _gone = self.group.map(|group| killpg(group, signal));
    }
}

async fn pass_on(output: impl AsyncRead + Unpin, print: fn(&str)) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        print(&line);
    }
}
