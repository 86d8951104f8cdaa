//! Real parts for the server's tests: a Redis process, replicas, sockets.

// Each test binary uses a part of this.
#![allow(dead_code)]

pub mod accounts;
pub mod ask;
pub mod events;
pub mod logs;
pub mod process;
mod redis;
pub mod rooms;
pub mod stage;
pub mod ways;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use rollcall_protocol::{EntryId, Message, PresenceEvent, ServerFrame};
use rollcall_server::{Listeners, config::Config};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, client::IntoClientRequest, http::HeaderName, protocol::CloseFrame},
};
use tokio_util::sync::CancellationToken;

pub use redis::Redis;

/// Nothing that these tests wait for takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A replica inside the test's own process.
pub struct Replica {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    stop: CancellationToken,
    pub task: JoinHandle<anyhow::Result<()>>,
}

impl Replica {
    /// Starts a replica, with settings as on the command line, and waits until it is ready.
    pub async fn start(redis: Option<&Redis>, settings: &[&str]) -> Self {
        let replica = Self::launch(redis.map(Redis::url).as_deref(), settings).await;
        replica.wait_ready().await;
        replica
    }

    pub async fn launch(redis_url: Option<&str>, settings: &[&str]) -> Self {
        let mut words = vec!["rollcall-server", "--port", "0", "--admin-port", "0"];
        words.extend(redis_url.into_iter().flat_map(|url| ["--redis-url", url]));
        words.extend(settings);
        let config = Config::parse_from(words);
        let listeners = Listeners::bind(&config).await.expect("free ports");
        let (public, admin) = (listeners.public.local_addr(), listeners.admin.local_addr());
        let stop = CancellationToken::new();
        let run = rollcall_server::run(config, listeners, stop.clone().cancelled_owned());
        Self {
            public: public.expect("an address"),
            admin: admin.expect("an address"),
            stop,
            task: tokio::spawn(run),
        }
    }

    pub async fn wait_ready(&self) {
        self.wait_readyz(200).await;
    }

    pub async fn wait_readyz(&self, status: u16) {
        let answers = async {
            while http(self.public, "GET", "/readyz", None).await.0 != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.expect("readiness changes");
    }

    pub async fn drain(&self, spread_ms: u64, deadline_ms: u64) -> Value {
        let body = json!({ "spread_ms": spread_ms, "deadline_ms": deadline_ms });
        let (status, body) = http(self.admin, "POST", "/drain", Some(&body)).await;
        assert_eq!(status, 200);
        serde_json::from_str(&body).expect("JSON")
    }

    pub async fn drain_status(&self) -> Value {
        serde_json::from_str(&http(self.admin, "GET", "/drain", None).await.1).expect("JSON")
    }

    /// Waits until the drain's state has `connections` left.
    pub async fn wait_connections(&self, connections: u64) -> Value {
        let answers = async {
            loop {
                let status = self.drain_status().await;
                if status["connections"] == connections {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.expect("connections change")
    }

    /// A metric's value; `name` with its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        metric(self.admin, name).await
    }

    /// As SIGTERM would.
    pub fn terminate(&self) {
        self.stop.cancel();
    }
}

/// One HTTP request: the status and the body.
pub async fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (u16, String) {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut reply = String::new();
    let read = stream.read_to_string(&mut reply);
    tokio::time::timeout(PATIENCE, read).await.expect("an answer").expect("an answer in UTF-8");
    let status = reply.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// The value of a metric of the replica whose admin listener this is; `name` with its labels.
pub async fn metric(admin: SocketAddr, name: &str) -> f64 {
    let (_, text) = http(admin, "GET", "/metrics", None).await;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).expect("that metric, and a number")
}

async fn small_buffer(address: SocketAddr) -> TcpStream {
    let tcp = TcpSocket::new_v4().expect("a socket");
    tcp.set_recv_buffer_size(4096).expect("a small buffer");
    tcp.connect(address).await.expect("the server listens")
}

/// An event stream that is asked for and not read.
pub async fn unread_events(address: SocketAddr, room: &str) -> TcpStream {
    let mut stream = small_buffer(address).await;
    let request = format!("GET /api/v1/rooms/{room}/events HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    stream
}

/// A client key that no other test has.
pub fn key() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("{:024x}{:08x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A socket that does only what the test says.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that came before an ack that was waited for: they are read next.
    passed: VecDeque<ServerFrame>,
}

impl Socket {
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address, None).await.expect("an upgrade")
    }

    pub async fn try_open(
        address: SocketAddr,
        origin: Option<&str>,
    ) -> Result<Self, tungstenite::Error> {
        let origin: Vec<_> = origin.into_iter().map(|origin| ("origin", origin)).collect();
        Self::try_open_with(address, &origin).await
    }

    /// The same with headers.
    pub async fn try_open_with(
        address: SocketAddr,
        headers: &[(&str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let url = format!("ws://{address}/api/v1/ws");
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header");
            request.headers_mut().insert(name, value.parse().expect("a header value"));
        }
        let (stream, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { stream, passed: VecDeque::new() })
    }

    /// As [`Self::join`], on a socket whose kernel keeps little for a reader that sleeps.
    pub async fn join_with_small_buffer(address: SocketAddr, key: &str, room: &str) -> Self {
        let mut socket = Self::open_with_small_buffer(address).await;
        socket.hello(key, "fresh", room, None).await;
        socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
        socket
    }

    /// Asks for everything after a cursor, and reads nothing of it.
    pub async fn stuck(address: SocketAddr, key: &str, room: &str, after: EntryId) -> Self {
        let mut socket = Self::open_with_small_buffer(address).await;
        socket.hello(key, "fresh", room, Some(after)).await;
        socket
    }

    async fn open_with_small_buffer(address: SocketAddr) -> Self {
        let stream = MaybeTlsStream::Plain(small_buffer(address).await);
        let url = format!("ws://{address}/api/v1/ws");
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await.expect("an upgrade");
        Self { stream, passed: VecDeque::new() }
    }

    /// Says hello, and enters one room; returns once it is live, with what came before.
    pub async fn join(
        address: SocketAddr,
        key: &str,
        room: &str,
        after: Option<EntryId>,
    ) -> (Self, Vec<ServerFrame>) {
        let mut socket = Self::open(address).await;
        socket.hello(key, "fresh", room, after).await;
        let frames = socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
        (socket, frames)
    }

    pub async fn hello(&mut self, key: &str, why: &str, room: &str, after: Option<EntryId>) {
        let rooms = json!([{ "room": room, "after": after }]);
        let name = format!("N{}", &key[24..]);
        let hello = json!({ "type": "hello", "v": 1, "client": key, "name": name, "why": why, "rooms": rooms });
        self.say(&hello).await;
    }

    pub async fn say(&mut self, frame: &Value) {
        self.say_raw(tungstenite::Message::text(frame.to_string())).await;
    }

    /// As [`Self::say`], on a socket that may be gone.
    pub async fn try_say(&mut self, frame: &Value) -> Option<()> {
        self.stream.send(tungstenite::Message::text(frame.to_string())).await.ok()
    }

    pub async fn say_raw(&mut self, message: tungstenite::Message) {
        self.stream.send(message).await.expect("an open socket");
    }

    /// Bytes that need not be a frame.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.expect("an open socket");
    }

    pub async fn send(&mut self, room: &str, n: u64, text: &str) {
        self.say(&json!({ "type": "send", "room": room, "n": n, "text": text })).await;
    }

    /// Sends, and waits for the ack. A message may come before its ack or after it: what comes before is read next.
    pub async fn send_acked(&mut self, room: &str, n: u64, text: &str) -> EntryId {
        self.send(room, n, text).await;
        let is_ack =
            |frame: &ServerFrame| matches!(frame, ServerFrame::Ack { n: acked, .. } if *acked == n);
        let mut frames = self.until(is_ack).await;
        let ack = frames.pop();
        self.passed.extend(frames);
        match ack {
            Some(ServerFrame::Ack { id: Some(id), .. }) => id,
            other => panic!("no ID in {other:?}"),
        }
    }

    /// The next frame, or how the socket was closed.
    pub async fn next(&mut self) -> Result<ServerFrame, Option<CloseFrame>> {
        if let Some(frame) = self.passed.pop_front() {
            return Ok(frame);
        }
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match next.expect("a frame in time") {
                Some(Ok(tungstenite::Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("a frame"));
                }
                Some(Ok(tungstenite::Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// All frames up to and with the first that `wanted` picks.
    pub async fn until(&mut self, wanted: impl Fn(&ServerFrame) -> bool) -> Vec<ServerFrame> {
        let mut frames = Vec::new();
        loop {
            let frame =
                self.next().await.unwrap_or_else(|close| panic!("{close:?} after {frames:?}"));
            let found = wanted(&frame);
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    /// The next `count` messages.
    pub async fn messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            if let ServerFrame::Message(message) = self.next().await.expect("an open socket") {
                messages.push(message);
            }
        }
        messages
    }

    /// Reads on until the server closes: the code, or none for a break.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(close) = self.next().await {
                return close.map(|frame| frame.code.into());
            }
        }
    }

    /// Answers nothing that was not asked: a ping, and its pong as a fence.
    pub async fn fence(&mut self, t: u64) -> Vec<ServerFrame> {
        self.say(&json!({ "type": "ping", "t": t })).await;
        self.until(|frame| *frame == ServerFrame::Pong { t }).await
    }

    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        while self.next().await.is_ok() {}
    }
}

/// Whether somebody is told to have left.
pub fn is_leave(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Presence { event: PresenceEvent::Leave, .. })
}

/// The messages among frames.
pub fn messages(frames: &[ServerFrame]) -> Vec<Message> {
    let messages = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Message(message) => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

/// Asserts that messages form one unbroken chain from `cursor`.
pub fn assert_chain(cursor: EntryId, messages: &[Message]) {
    let mut cursor = cursor;
    for message in messages {
        assert_eq!(message.prev, cursor, "the chain breaks before {message:?}");
        assert!(message.id > cursor);
        cursor = message.id;
    }
}
