//! Sending by POST, beside whatever listens.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::sync::mpsc;

use super::{Heard, Who};
use crate::support::ask::{Answer, try_ask};

/// A request without an answer goes again after this.
const AGAIN_MS: u64 = 100;
const LIMIT: Duration = Duration::from_secs(5);

/// The requests that are under way at one replica, and their answers.
pub struct Posts {
    address: SocketAddr,
    who: Who,
    answers: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
}

impl Posts {
    pub fn at(address: SocketAddr, who: &Who) -> Self {
        Self { address, who: who.clone(), answers: mpsc::channel(16) }
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Heard {
        self.answers.1.recv().await.expect("the sender is here")
    }

    pub fn say(&self, n: u64, text: &str) {
        let Who { key, name, room } = &self.who;
        let body = json!({ "client": key, "name": name, "n": n, "text": text }).to_string();
        let line = format!("POST /api/v1/rooms/{room}/messages");
        let (address, answers) = (self.address, self.answers.0.clone());
        tokio::spawn(async move {
            let head = [&*line, "host: x", "content-type: application/json"];
            let asked = tokio::time::timeout(LIMIT, try_ask(address, &head, body.as_bytes())).await;
            let _ = answers.send(heard(n, asked.ok().flatten())).await;
        });
    }
}

fn heard(n: u64, answer: Option<Answer>) -> Heard {
    let Some(answer) = answer else { return Heard::Again(n, AGAIN_MS) };
    let body = answer.json();
    match answer.status {
        200 => {
            assert_eq!(body["data"]["n"], n, "{body}");
            Heard::Taken(n)
        }
        429 | 500.. => Heard::Again(n, body["error"]["retry_ms"].as_u64().unwrap_or(AGAIN_MS)),
        status => panic!("{status}: {body}"),
    }
}
