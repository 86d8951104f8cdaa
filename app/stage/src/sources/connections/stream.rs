//! One slot's stream of connections: `GET /connections` of whatever runs there.

use std::{future::Future, net::SocketAddr, time::Duration};

use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::mpsc::error::SendError, time::timeout};

use super::Place;
use crate::event::Is;

/// A replica answers at once, or does not run.
const CONNECTED: Duration = Duration::from_secs(1);
/// A replica that runs says something every second.
const SILENT: Duration = Duration::from_secs(5);
/// One event has at most so many bytes.
const EVENT_BYTES: usize = 8 * 1024 * 1024;

/// What a slot tells.
#[derive(Debug)]
pub enum News {
    /// What runs there, and how it is.
    Process(Process),
    /// From here on all connections are told that are there.
    Anew,
    /// Some of them.
    Here(Vec<Here>),
    /// That was all of them.
    Complete,
    /// What became of connections.
    Changes(Vec<Change>),
    /// Nothing runs there, or it cannot be reached.
    Gone,
}

/// What runs in a slot.
#[derive(Debug, Deserialize)]
pub struct Process {
    /// Its release.
    pub release: String,
    /// `starting`, `ready`, `draining` or `stopped`.
    pub phase: String,
}

/// A connection that is there at the beginning.
#[derive(Debug, Deserialize)]
pub struct Here {
    /// Its number.
    pub number: u64,
    /// Whose it is.
    pub member: String,
    /// What others call them.
    pub name: String,
    /// Whether it is live.
    pub live: bool,
    /// Until its moment to move, if it was told to.
    pub in_ms: Option<u64>,
}

/// What became of one.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// What.
    pub is: Is,
    /// Of which.
    pub number: u64,
    /// Whose it is, if it is new.
    #[serde(default)]
    pub member: String,
    /// What others call them.
    #[serde(default)]
    pub name: String,
    /// Until its moment to move, when it is told to.
    pub in_ms: Option<u64>,
    /// How long ago.
    #[serde(default)]
    pub ago_ms: u64,
}

type Refused = SendError<(Place, News)>;

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing runs there.
    Gone,
    /// Perhaps it goes on: this one was too slow, or heard nothing for too long.
    Unsure,
}

/// Follows what runs there to its end.
///
/// # Errors
///
/// If nobody listens any more.
pub async fn follow<Sent>(
    address: SocketAddr,
    tell: impl Fn(News) -> Sent,
) -> Result<Ended, Box<Refused>>
where
    Sent: Future<Output = Result<(), Refused>>,
{
    let client = Client::builder().connect_timeout(CONNECTED).no_proxy().build();
    let Ok(client) = client else { return Ok(Ended::Gone) };
    let asked = client.get(format!("http://{address}/connections")).send();
    let Ok(Ok(mut answer)) = timeout(SILENT, asked).await else { return Ok(Ended::Gone) };
    if !answer.status().is_success() {
        return Ok(Ended::Gone);
    }
    tell(News::Anew).await.map_err(Box::new)?;
    let mut waiting = Waiting::default();
    loop {
        match timeout(SILENT, answer.chunk()).await {
            Ok(Ok(Some(bytes))) => waiting.bytes.extend_from_slice(&bytes),
            Ok(Ok(None) | Err(_)) => return Ok(Ended::Gone),
            Err(_) => return Ok(Ended::Unsure),
        }
        while let Some(event) = waiting.next_event() {
            if event.starts_with("event: reload") {
                return Ok(Ended::Unsure);
            }
            if let Some(news) = read(&event) {
                tell(news).await.map_err(Box::new)?;
            }
        }
        if waiting.bytes.len() > EVENT_BYTES {
            return Ok(Ended::Unsure);
        }
    }
}

/// What has come and was not read yet.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// No event ends before here: what comes in thousands of parts is looked through once.
    searched: usize,
}

impl Waiting {
    /// Takes an event off the front, if all of it is there.
    fn next_event(&mut self) -> Option<String> {
        let new = &self.bytes[self.searched..];
        let Some(end) = new.windows(2).position(|two| two == b"\n\n") else {
            self.searched = self.bytes.len().saturating_sub(1);
            return None;
        };
        let event: Vec<_> = self.bytes.drain(..self.searched + end + 2).collect();
        self.searched = 0;
        Some(String::from_utf8_lossy(&event).into_owned())
    }
}

fn read(event: &str) -> Option<News> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    let data = field("data: ")?;
    match field("event: ")? {
        "replica" => json(data).map(News::Process),
        "complete" => Some(News::Complete),
        "here" => json(data).map(News::Here),
        "changes" => json(data).map(News::Changes),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(data: &str) -> Option<T> {
    serde_json::from_str(data)
        .inspect_err(|error| tracing::warn!(%error, data, "not understood"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_whole_and_what_is_not_known_is_passed_over() {
        let bytes = b": \n\nevent: replica\ndata: {\"replica\":\"r1\",\"release\":\"1\",\"phase\":\"ready\"}\n\nevent: ch".to_vec();
        let mut waiting = Waiting { bytes, searched: 0 };
        let mut read_next = || waiting.next_event().map(|event| read(&event));
        assert!(matches!(read_next(), Some(None)), "a heartbeat");
        assert!(
            matches!(read_next(), Some(Some(News::Process(Process { release, .. }))) if release == "1")
        );
        assert!(read_next().is_none(), "half an event");
        for part in ["anges\ndata: []\n", "\nevent: "] {
            waiting.bytes.extend_from_slice(part.as_bytes());
        }
        assert!(matches!(waiting.next_event(), Some(event) if event.starts_with("event: changes")));
        assert!(waiting.next_event().is_none());
    }
}
