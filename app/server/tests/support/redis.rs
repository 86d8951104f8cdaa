//! A real Redis of the test's own.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

use super::PATIENCE;

/// A Redis server of the test's own, ended when dropped.
pub struct Redis {
    pub port: u16,
    /// Bound as long as this lives, and not listening: the server may listen there, and nobody else is given the port while
    /// it does not.
    held: Vec<TcpSocket>,
    folder: PathBuf,
    /// What is preloaded, so that its clock can be set and its power fail; none if they cannot.
    faults: Option<PathBuf>,
    /// More of its settings, as on its command line.
    settings: Vec<String>,
    process: Option<Child>,
}

/// `redis-server`, or whatever else this names, such as another version's, or Valkey's.
fn program() -> String {
    std::env::var("ROLLCALL_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

impl Redis {
    pub async fn start() -> Self {
        let mut redis = Self::reserve().await;
        redis.launch().await;
        redis
    }

    /// More settings, for its next start.
    pub fn set(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(|&word| word.to_owned()));
    }

    /// The same as a replica of another, once it has all of it.
    pub async fn start_replica_of(primary: &Self) -> Self {
        let redis = Self::start().await;
        redis.follow(primary).await;
        redis
    }

    /// Becomes a replica of another, and returns once it has all of it.
    pub async fn follow(&self, primary: &Self) {
        self.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
        primary.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
        self.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]).await;
        let own = format!("port={},state=online", self.port);
        primary.until_it_says(&["INFO", "replication"], &own).await;
        self.until_it_says(&["INFO", "replication"], "master_link_status:up").await;
    }

    /// Waits until the reply to a command has `text` in it.
    pub async fn until_it_says(&self, words: &[&str], text: &str) {
        let says = async {
            while !self.command(words).await.contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, says).await;
        waited.unwrap_or_else(|_| panic!("{words:?} never answers {text}"));
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// The same, with a clock that can be set and a power that can fail.
    pub async fn start_with_faults() -> Self {
        let mut redis = Self::reserve().await;
        let (library, source) = (redis.folder.join("faults.so"), "../../docker/redis-faults.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(compiled.expect("cc, with which cargo links").success());
        redis.faults = Some(library);
        redis.launch().await;
        redis
    }

    /// Sets the clock so many seconds ahead of this machine's.
    pub fn set_clock_ahead(&self, seconds: u64) {
        std::fs::write(self.folder.join("ahead"), seconds.to_string()).expect("its file");
    }

    /// A port and a folder, but no server yet.
    pub async fn reserve() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("rollcall-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let (held, settings) = (Vec::new(), Vec::new());
        let mut redis = Self { port: 0, held, folder, faults: None, settings, process: None };
        redis.port = redis.hold_port();
        redis
    }

    /// One more port that nobody else is given.
    pub fn hold_port(&mut self) -> u16 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        self.held.push(socket);
        port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Another way to it, whose answers come in pieces of at most `piece` bytes, each `pause` after the one before.
    pub async fn slow_url(&self, piece: usize, pause: Duration) -> String {
        let way = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (address, port) = (way.local_addr().expect("an address"), self.port);
        tokio::spawn(async move {
            while let Ok((near, _)) = way.accept().await {
                tokio::spawn(carry(near, port, piece, pause));
            }
        });
        format!("redis://{address}")
    }

    /// A connection of redis-rs, for replies of any length.
    pub async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("an address");
        client.get_multiplexed_async_connection().await.expect("Redis answers")
    }

    /// Loads the functions that the release before issue 15 calls.
    pub async fn load_release_before(&self) {
        let library = include_str!("before-15.lua");
        let loaded = self.command(&["FUNCTION", "LOAD", library]).await;
        assert!(loaded.contains("rollcall_v2"), "{loaded}");
    }

    /// Starts the server, with the data of the one before.
    pub async fn launch(&mut self) {
        let mut command = Command::new(program());
        if let Some(library) = &self.faults {
            command.env("LD_PRELOAD", library).env("CLOCK_AHEAD", self.folder.join("ahead"));
            // That looks for its files in its working directory.
            command.env("POWER_LOST", self.power_lost()).current_dir(&self.folder);
        }
        let child = command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.settings)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed: ./scripts/setup --dev");
        self.process = Some(child);
        let answers = async {
            while self.try_command(&["PING"]).await.is_none_or(|reply| !reply.starts_with("+PONG"))
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.expect("Redis answers");
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our own process");
            process.wait().expect("our own process");
        }
    }

    /// How long the file is that the server writes to.
    pub fn written(&self) -> u64 {
        std::fs::metadata(self.file()).expect("its file").len()
    }

    /// What the server wrote to its file.
    pub fn append_only_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.file()).expect("its file")).into_owned()
    }

    /// Kills the server; what it wrote after the first `kept` bytes is lost.
    pub fn lose_tail(&mut self, kept: u64) {
        self.kill();
        let file = std::fs::OpenOptions::new().write(true).open(self.file()).expect("its file");
        file.set_len(kept).expect("a shorter file");
    }

    /// Kills the server, and starts it with what it had fsynced: the rest is lost, as when the power fails.
    pub async fn lose_power(&mut self) {
        self.kill();
        std::fs::write(self.power_lost(), "").expect("a file");
        self.launch().await;
        assert!(!self.power_lost().exists(), "its files were not cut");
    }

    fn power_lost(&self) -> PathBuf {
        self.folder.join("power-lost")
    }

    fn file(&self) -> PathBuf {
        self.folder.join("appendonlydir/appendonly.aof.1.incr.aof")
    }

    /// Stops (`true`) or continues the process, as a machine that hangs would.
    pub fn pause(&self, paused: bool) {
        let process = self.process.as_ref().expect("a running Redis");
        let signal = if paused { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, &process.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// One command, and the start of its raw reply.
    pub async fn command(&self, words: &[&str]) -> String {
        self.try_command(words).await.expect("Redis answers")
    }

    async fn try_command(&self, words: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut reply = vec![0; 64 * 1024];
        let length = stream.read(&mut reply).await.ok()?;
        Some(String::from_utf8_lossy(&reply[..length]).into_owned())
    }

    /// The key of a room's log.
    pub async fn log_key(&self, room: &str) -> String {
        let keys = self.command(&["KEYS", &format!("*:room:{room}:log")]).await;
        keys.lines().find(|line| line.starts_with('{')).expect("a room log").to_owned()
    }
}

async fn carry(mut near: TcpStream, port: u16, piece: usize, pause: Duration) -> io::Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
    let ((mut asks, mut hears), (mut answers, mut is_asked)) = (near.split(), far.split());
    let slowly = async {
        let mut bytes = vec![0; piece];
        loop {
            let length = answers.read(&mut bytes).await?;
            if length == 0 {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            hears.write_all(&bytes[..length]).await?;
        }
    };
    tokio::select! {
        end = slowly => end,
        end = io::copy(&mut asks, &mut is_asked) => end.map(drop),
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
