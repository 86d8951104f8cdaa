//! Accounts by way of REST, and sockets that come with a token.

use std::{collections::HashMap, net::SocketAddr};

use rollcall_protocol::ServerFrame;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{PATIENCE, Socket};

pub const KEY: &str = "an operator's key";
pub const PASSWORD: &str = "correct horse battery";
/// A replica whose addresses may sign in as fast as they can, and with a key.
pub const QUICK: [&str; 4] = ["--rate-sign-ins", "1000", "--api-key", KEY];

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// `name=value` of the cookie that it sets.
    pub fn cookie(&self) -> Option<&str> {
        self.headers.get("set-cookie")?.split(';').next()
    }
}

/// One request with headers of its own.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut reply = String::new();
    let read = stream.read_to_string(&mut reply);
    tokio::time::timeout(PATIENCE, read).await.expect("an answer").expect("an answer in UTF-8");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let headers = head.lines().skip(1).filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_lowercase(), value.to_owned()))
    });
    let body = serde_json::from_str(body).unwrap_or_default();
    Answer { status, headers: headers.collect(), body }
}

pub async fn register(address: SocketAddr, name: &str) -> Answer {
    let body = json!({ "name": name, "password": PASSWORD });
    ask(address, "POST", "/api/v1/accounts", &[], Some(&body)).await
}

pub async fn sign_in(address: SocketAddr, name: &str, password: &str) -> Answer {
    let body = json!({ "name": name, "password": password });
    ask(address, "POST", "/api/v1/sessions", &[], Some(&body)).await
}

/// Makes an account and signs in to it: its token.
pub async fn token_of(address: SocketAddr, name: &str) -> String {
    let made = register(address, name).await;
    assert_eq!(made.status, 201, "{made:?}");
    another_token_of(address, name).await
}

pub async fn another_token_of(address: SocketAddr, name: &str) -> String {
    let opened = sign_in(address, name, PASSWORD).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    opened.body["data"]["token"].as_str().expect("a token").to_owned()
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Opens a socket and says hello, perhaps with a token: what is answered first.
pub async fn arrive(
    address: SocketAddr,
    key: &str,
    name: &str,
    token: Option<&str>,
    rooms: &[&str],
) -> (Socket, ServerFrame) {
    let mut socket = Socket::open(address).await;
    let first = introduce(&mut socket, key, name, token, rooms).await;
    (socket, first)
}

pub async fn introduce(
    socket: &mut Socket,
    key: &str,
    name: &str,
    token: Option<&str>,
    rooms: &[&str],
) -> ServerFrame {
    let rooms: Vec<_> = rooms.iter().map(|room| json!({ "room": room })).collect();
    let mut hello = json!({ "type": "hello", "v": 1, "client": key, "name": name, "why": "fresh",
        "rooms": rooms });
    if let Some(token) = token {
        hello["token"] = token.into();
    }
    socket.say(&hello).await;
    socket.next().await.expect("an answer")
}

/// The same, and waits until the room is live. The member's ID.
pub async fn enter(
    address: SocketAddr,
    key: &str,
    name: &str,
    token: Option<&str>,
    room: &str,
) -> (Socket, String) {
    let (mut socket, first) = arrive(address, key, name, token, &[room]).await;
    let ServerFrame::Welcome { member, .. } = first else { panic!("{first:?}") };
    socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    (socket, member)
}

/// How others see somebody who says hello by that name.
pub async fn shown_as(address: SocketAddr, name: &str) -> String {
    let (_, first) = arrive(address, &super::key(), name, None, &[]).await;
    match first {
        ServerFrame::Welcome { name: Some(name), .. } => name,
        other => panic!("{other:?}"),
    }
}
