//! The server as a process of its own.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{PATIENCE, http};

/// A server process, killed when dropped.
pub struct Process {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    child: Child,
    /// What it says, which waits for nobody.
    unread: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    /// Starts the server with these variables, and waits until it is ready.
    pub async fn start(variables: &[(&str, &str)]) -> Self {
        let process = Self::launch(variables).await;
        process.wait_ready().await;
        process
    }

    pub async fn wait_ready(&self) {
        let ready = async {
            while http(self.public, "GET", "/readyz", None).await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the server is ready");
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        let id = self.child.id().expect("a running process");
        std::fs::read_dir(format!("/proc/{id}/task")).expect("its threads").count()
    }

    /// Starts the server on free ports, and waits until it listens.
    pub async fn launch(variables: &[(&str, &str)]) -> Self {
        Self::launch_unread(variables).await.read()
    }

    /// As [`Self::launch`], but nobody reads what it says from then on.
    pub async fn launch_unread(variables: &[(&str, &str)]) -> Self {
        Self::launch_by(Command::new(env!("CARGO_BIN_EXE_rollcall-server")), variables).await
    }

    /// What it has said up to a line with these words, without the line that says where it listens.
    pub async fn said_until(&mut self, words: &str) -> Vec<String> {
        let lines = self.unread.as_mut().expect("lines that nobody has read");
        let mut said = Vec::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            said.push(line.expect("in time").expect("UTF-8").expect("a server that runs on"));
            if said.last().is_some_and(|line| line.contains(words)) {
                return said;
            }
        }
    }

    /// What it says later does not fill the pipe.
    fn read(mut self) -> Self {
        let lines = self.unread.take();
        tokio::spawn(async move {
            let Some(mut lines) = lines else { return };
            while let Ok(Some(_)) = lines.next_line().await {}
        });
        self
    }

    /// As [`Self::start`], after a shell has said `first` to itself, such as `ulimit -n 128`.
    pub async fn start_after(first: &str, variables: &[(&str, &str)]) -> Self {
        let mut shell = Command::new("sh");
        let server = env!("CARGO_BIN_EXE_rollcall-server");
        shell.arg("-c").arg(format!("{first} && exec {server}"));
        let process = Self::launch_by(shell, variables).await.read();
        process.wait_ready().await;
        process
    }

    async fn launch_by(mut command: Command, variables: &[(&str, &str)]) -> Self {
        let mut child = command
            .env_remove("REDIS_URL")
            .envs([("PORT", "0"), ("ADMIN_PORT", "0"), ("LOG_FORMAT", "json")])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let found = tokio::time::timeout(PATIENCE, addresses(&mut lines)).await;
        let [public, admin] = found.expect("the server says where it listens");
        Self { public, admin, child, unread: Some(lines) }
    }

    /// Sends it a signal, such as `-TERM`.
    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("a running process").to_string();
        let kill = Command::new("kill").args([signal, &id]).status().await;
        assert!(kill.expect("kill").success());
    }

    /// Waits for its end.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let exit = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        exit.expect("the process ends").expect("its status").code()
    }
}

/// The addresses in the line that says them.
async fn addresses(lines: &mut Lines<BufReader<ChildStdout>>) -> [SocketAddr; 2] {
    loop {
        let line = lines.next_line().await.expect("UTF-8").expect("a server that runs on");
        let found = line.split("http://").skip(1).filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next()?.parse().ok()
        });
        if let [public, admin] = found.collect::<Vec<_>>()[..] {
            return [public, admin];
        }
    }
}
