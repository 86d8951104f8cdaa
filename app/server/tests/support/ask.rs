//! One HTTP request as bytes, and its whole answer.

use std::net::SocketAddr;

use rollcall_protocol::Message;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::PATIENCE;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer that ends with its connection.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let answer = Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() };
        // One that was cut is none.
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        let is_whole = length.is_none_or(|length: usize| answer.body.len() >= length);
        (is_whole || answer.body.is_empty()).then_some(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}: {self:?}"))
    }

    /// The code of an error in the envelope.
    pub fn code(&self) -> String {
        let body = self.json();
        body["error"]["code"].as_str().unwrap_or_else(|| panic!("no code in {body}")).to_owned()
    }
}

/// One request; none if there was no whole answer. `head` is its first line and headers, without those of the connection and
/// the body.
pub async fn try_ask(address: SocketAddr, head: &[&str], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut request = format!("{} HTTP/1.1\r\nconnection: close\r\n", head.first()?);
    for line in &head[1..] {
        request += &format!("{line}\r\n");
    }
    if !body.is_empty() {
        request += &format!("content-length: {}\r\n", body.len());
    }
    let mut bytes = (request + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await.ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.ok()?;
    Answer::parse(&reply)
}

/// As [`try_ask`], of a server that is there.
pub async fn ask(address: SocketAddr, head: &[&str], body: &[u8]) -> Answer {
    let asked = tokio::time::timeout(PATIENCE, try_ask(address, head, body)).await;
    asked.expect("an answer in time").unwrap_or_else(|| panic!("no answer to {head:?}"))
}

/// A GET with nothing special.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &[&format!("GET {path}"), "host: x"], b"").await
}

/// A POST of JSON.
pub async fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    let head = [&*format!("POST {path}"), "host: x", "content-type: application/json"];
    ask(address, &head, body.to_string().as_bytes()).await
}

/// A room's newest messages.
pub async fn history(address: SocketAddr, room: &str) -> Vec<Message> {
    let answer = get(address, &format!("/api/v1/rooms/{room}/messages")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.json()["data"]["messages"].take()).expect("messages")
}
