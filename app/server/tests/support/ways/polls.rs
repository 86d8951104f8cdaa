//! By long-polling and POST.

use std::{collections::VecDeque, future::Future, net::SocketAddr, pin::Pin, time::Duration};

use rollcall_protocol::EntryId;
use serde_json::Value;

use super::{Heard, Way, Who, posts::Posts};
use crate::support::ask::{Answer, try_ask};

/// How long the server is asked to wait, s, and how long a client waits for it.
const WAIT: u64 = 10;
const LIMIT: Duration = Duration::from_secs(WAIT + 5);

type Asked = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

pub struct Polls {
    address: SocketAddr,
    room: String,
    cursor: EntryId,
    /// The request that is under way.
    asked: Asked,
    /// What came with the last answer, and was not heard yet.
    unheard: VecDeque<Heard>,
    posts: Posts,
}

fn poll(address: SocketAddr, room: &str, after: EntryId, wait: u64) -> Asked {
    let line = format!("GET /api/v1/rooms/{room}/messages?after={after}&wait={wait}&limit=7");
    Box::pin(async move {
        let head = [&*line, "host: x"];
        let asked = try_ask(address, &head, b"");
        tokio::time::timeout(LIMIT, asked).await.ok().flatten()
    })
}

impl Polls {
    /// What an answer says; false if it says nothing that helps.
    fn take(&mut self, answer: Option<Answer>) -> bool {
        let Some(answer) = answer.filter(|answer| answer.status == 200) else { return false };
        let Value::Object(mut data) = answer.json()["data"].take() else { panic!("{answer:?}") };
        let mut take = |field: &str| data.remove(field).unwrap_or_default();
        if let gap @ Value::Object(_) = take("gap") {
            let id = |field: &str| gap[field].as_str().and_then(|id| id.parse().ok()).expect("ID");
            let reason = serde_json::from_value(gap["reason"].clone()).expect("a reason");
            let (after, resumes_at) = (id("after"), id("resumes_at"));
            self.unheard.push_back(Heard::Gap { after, resumes_at, reason });
        }
        for message in take("messages").as_array().expect("messages") {
            let message = serde_json::from_value(message.clone()).expect("a message");
            self.unheard.push_back(Heard::Message(message));
        }
        if take("live") == Value::Bool(true) {
            self.unheard.push_back(Heard::Live);
        }
        self.cursor = take("cursor").as_str().and_then(|id| id.parse().ok()).expect("a cursor");
        true
    }
}

impl Way for Polls {
    async fn open(address: SocketAddr, who: &Who, after: EntryId) -> Option<Self> {
        let mut polls = Self {
            address,
            room: who.room.clone(),
            cursor: after,
            asked: Box::pin(std::future::pending()),
            unheard: VecDeque::new(),
            posts: Posts::at(address, who),
        };
        let first = poll(address, &who.room, after, 0).await;
        if !polls.take(first) {
            return None;
        }
        polls.asked = poll(address, &who.room, polls.cursor, WAIT);
        Some(polls)
    }

    async fn hear(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.unheard.pop_front() {
                return heard;
            }
            let answer = tokio::select! {
                answer = self.posts.answer() => return answer,
                answer = &mut self.asked => answer,
            };
            if !self.take(answer) {
                return Heard::Ended;
            }
            self.asked = poll(self.address, &self.room, self.cursor, WAIT);
        }
    }

    async fn say(&mut self, n: u64, text: &str) {
        self.posts.say(n, text);
    }

    async fn close(self) {}
}
