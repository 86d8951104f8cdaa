//! An event stream, read as a browser's `EventSource` reads it.

use std::net::SocketAddr;

use rollcall_protocol::ServerFrame;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
};

use super::PATIENCE;

/// One request's event stream.
pub struct Events {
    lines: Lines<BufReader<TcpStream>>,
    /// What a browser would come back with.
    pub last_id: Option<String>,
    /// How long it would wait before that, ms.
    pub retry: Option<String>,
}

impl Events {
    /// Asks for a room's events, after the last ID of the stream before if there was one.
    pub async fn open(address: SocketAddr, room: &str, last_id: Option<String>) -> Self {
        let after = last_id.iter().map(|id| format!("last-event-id: {id}\r\n")).collect::<String>();
        Self::ask(address, room, last_id, &after).await
    }

    /// The same from now on, as whoever has a token.
    pub async fn open_as(address: SocketAddr, room: &str, token: &str) -> Self {
        Self::ask(address, room, None, &format!("authorization: Bearer {token}\r\n")).await
    }

    async fn ask(address: SocketAddr, room: &str, last_id: Option<String>, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let request = format!(
            "GET /api/v1/rooms/{room}/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        Self { lines: BufReader::new(stream).lines(), last_id, retry: None }
    }

    /// The next frame; none once the stream has ended.
    pub async fn next(&mut self) -> Option<ServerFrame> {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.expect("a line in time").expect("an unbroken stream")?;
            // What is no field of an event belongs to HTTP.
            match line.split_once(": ") {
                Some(("id", id)) => self.last_id = Some(id.to_owned()),
                Some(("retry", wait)) => self.retry = Some(wait.to_owned()),
                Some(("data", json)) => return Some(serde_json::from_str(json).expect("a frame")),
                _ => {}
            }
        }
    }

    /// Waits for a line that is a comment and nothing else: a heartbeat.
    pub async fn heartbeat(&mut self) {
        let is_one = |line: &Option<String>| line.as_deref().is_some_and(|it| it.trim_end() == ":");
        let heard =
            async { while !is_one(&self.lines.next_line().await.expect("an unbroken stream")) {} };
        tokio::time::timeout(PATIENCE / 3, heard).await.expect("a heartbeat in time");
    }

    /// All frames up to and with the first that `wanted` picks.
    pub async fn until(&mut self, wanted: impl Fn(&ServerFrame) -> bool) -> Vec<ServerFrame> {
        let mut frames = Vec::new();
        while !frames.last().is_some_and(&wanted) {
            frames.push(self.next().await.expect("a stream that goes on"));
        }
        frames
    }
}
