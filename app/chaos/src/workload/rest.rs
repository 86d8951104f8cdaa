//! Clients without a WebSocket: one posts, one follows an event stream.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{Client, Response, StatusCode};
use rollcall_client::new_key;
use rollcall_protocol::ServerFrame;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{ARCHIVE, Character, Phase, Place, Shared, ear::Ear};
use crate::history::{Entered, Gone, Id, Op, What};

/// How long a request may take; past it nobody knows what became of it.
const LIMIT: Duration = Duration::from_secs(3);
/// Pause before a request is made again.
const AGAIN: Duration = Duration::from_millis(250);
/// Of a post, in bytes.
const LENGTH: usize = 40;
/// When something is said again that was answered long ago.
const LONG_AFTER: Duration = Duration::from_secs(65);
/// A text longer than any may be: it must be refused, and never be shown.
const TOO_LONG: usize = 5_000;
/// One text in this many is that long.
const TOO_LONG_IN: u32 = 20;
/// Two heartbeats of a stream. One that was silent for longer when it ended was dead before.
const DEAF: Duration = Duration::from_secs(10);
/// Longer than HAProxy lets a stream be silent, on which a browser depends.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// Posts one message after the other, each until its outcome is known.
pub async fn post(shared: Arc<Shared>, character: Character, place: Arc<Place>, seed: u64) {
    let mut phase = shared.watch();
    let mut poster = Poster::new(shared, character);
    let mut rng = StdRng::seed_from_u64(seed);
    let client = poster.name.clone();
    let gone = |shared: &Shared| {
        shared.recorder.record(What::Gone { client: client.clone(), how: Gone::Dismissed });
    };
    while *phase.borrow() == Phase::Talking {
        place.pending.store(1, Relaxed);
        let length = if rng.random_ratio(1, TOO_LONG_IN) { TOO_LONG } else { LENGTH };
        let (op, text) = poster.shared.invoke(&poster.name, &poster.room, length);
        tokio::select! {
            () = poster.say(op, &text) => place.pending.store(0, Relaxed),
            _ = phase.wait_for(|phase| *phase == Phase::Over) => {
                let why = "the run ended before an answer".to_owned();
                poster.shared.recorder.record(What::Info { op, why });
                poster.shared.live.info.fetch_add(1, Relaxed);
                return gone(&poster.shared);
            }
        }
        let pause = Duration::from_millis(rng.random_range(500..2_500));
        let _quiet = timeout(pause, phase.wait_for(|phase| *phase != Phase::Talking)).await;
    }
    let _over = phase.wait_for(|phase| *phase == Phase::Over).await;
    gone(&poster.shared);
}

/// Posts a message, and after more than a minute the same again under the same number, whatever became of it: the log
/// must have it once. Not so if Redis' clock was set meanwhile, which ends the log's memory of numbers; then a program
/// must look into the log first (`protocol/README.md`), and this one knows what is there. Then the next.
pub async fn repeat(shared: Arc<Shared>, character: Character, place: Arc<Place>) {
    let mut phase = shared.watch();
    let mut poster = Poster::new(shared, character);
    while *phase.borrow() == Phase::Talking {
        place.pending.store(1, Relaxed);
        let clock_sets = poster.shared.clock_sets.load(Relaxed);
        let (op, text) = poster.shared.invoke(&poster.name, &poster.room, LENGTH);
        tokio::select! {
            () = poster.say(op, &text) => place.pending.store(0, Relaxed),
            _ = phase.wait_for(|phase| *phase == Phase::Over) => {
                let why = "the run ended before an answer".to_owned();
                poster.shared.recorder.record(What::Info { op, why });
                break;
            }
        }
        let goes_on =
            timeout(LONG_AFTER, phase.wait_for(|phase| *phase != Phase::Talking)).await.is_err();
        if goes_on && poster.shared.clock_sets.load(Relaxed) == clock_sets {
            poster.n -= 1;
            // Its first answer counts.
            let _again = poster.post(&text).await;
            poster.n += 1;
        }
    }
    let _over = phase.wait_for(|phase| *phase == Phase::Over).await;
    let Poster { shared, name, .. } = poster;
    shared.recorder.record(What::Gone { client: name, how: Gone::Dismissed });
}

/// Posts so many messages, and ends: nobody follows them.
pub async fn leave_behind(shared: Arc<Shared>, character: Character, count: usize) {
    let mut poster = Poster::new(shared, character);
    for _ in 0..count {
        let (op, text) = poster.shared.invoke(&poster.name, &poster.room, LENGTH);
        poster.say(op, &text).await;
    }
    let Poster { shared, name, .. } = poster;
    shared.recorder.record(What::Gone { client: name, how: Gone::Dismissed });
}

struct Poster {
    http: Client,
    key: String,
    shared: Arc<Shared>,
    name: String,
    room: String,
    n: u64,
}

impl Poster {
    fn new(shared: Arc<Shared>, Character { name, role, rooms, .. }: Character) -> Self {
        let (client, role, room) = (name.clone(), role.name().to_owned(), rooms[0].clone());
        shared.recorder.record(What::Began { client, role, rooms });
        Self { http: Client::new(), key: new_key(), shared, name, room, n: 1 }
    }

    async fn say(&mut self, op: Op, text: &str) {
        loop {
            match self.post(text).await {
                Some(Answer::Ok { id, duplicate }) => {
                    self.shared.recorder.record(What::Ok { op, id, duplicate });
                    self.shared.live.ok.fetch_add(1, Relaxed);
                    self.n += 1;
                    return;
                }
                Some(Answer::Fail(code)) => {
                    self.shared.recorder.record(What::Fail { op, code });
                    self.shared.live.fail.fetch_add(1, Relaxed);
                    return;
                }
                // The log lost what it knew of us; nothing of ours is on its way.
                Some(Answer::Expects(expected)) => self.n = expected,
                None => sleep(AGAIN).await,
            }
        }
    }

    async fn post(&self, text: &str) -> Option<Answer> {
        let url = format!("{}/api/v1/rooms/{}/messages", self.shared.url, self.room);
        let body = json!({ "client": self.key, "name": self.name, "n": self.n, "text": text });
        let response = self.http.post(url).timeout(LIMIT).json(&body).send().await.ok()?;
        let status = response.status();
        match response.json().await.ok()? {
            ServerFrame::Ack { id: entry, duplicate, .. } => {
                Some(Answer::Ok { id: entry.map(Into::into), duplicate })
            }
            ServerFrame::Reject { expected: Some(expected), .. } => Some(Answer::Expects(expected)),
            // `retry_ms`, and whatever a 5xx says: not taken, or unknown. The same number goes again.
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => None,
            frame => Some(Answer::Fail(format!("{status}: {frame:?}"))),
        }
    }
}

enum Answer {
    Ok { id: Option<Id>, duplicate: bool },
    Fail(String),
    Expects(u64),
}

/// Follows a room's event stream, over as many requests as it takes: an archive from its first message, any other as a
/// browser does, which names no cursor before it was given one.
pub async fn follow(shared: Arc<Shared>, character: Character, place: Arc<Place>) {
    let mut phase = shared.watch();
    let room = character.rooms[0].clone();
    let (client, role) = (character.name.clone(), character.role.name().to_owned());
    shared.recorder.record(What::Began { client: client.clone(), role, rooms: character.rooms });
    let stream =
        Stream { http: Client::new(), ear: Ear { shared, place, name: client.clone(), room } };
    if stream.ear.room.starts_with(ARCHIVE) {
        stream.ear.moves_to(Id::default());
    }
    tokio::select! {
        () = stream.follow() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Over) => {}
    }
    stream.ear.shared.recorder.record(What::Gone { client, how: Gone::Dismissed });
}

struct Stream {
    http: Client,
    ear: Ear,
}

impl Stream {
    async fn follow(&self) {
        let mut down_since = None;
        loop {
            let cursor = self.ear.cursor();
            if let Some(response) = self.open(cursor).await {
                if let Some(since) = down_since.take() {
                    self.ear.back_after(Instant::elapsed(&since));
                }
                if let Some(cursor) = cursor {
                    self.ear.entered(Entered::Resumed, cursor);
                }
                let heard = self.read(response).await;
                down_since = Some(if heard.elapsed() > DEAF { heard } else { Instant::now() });
            }
            down_since.get_or_insert_with(Instant::now);
            sleep(AGAIN).await;
        }
    }

    async fn open(&self, cursor: Option<Id>) -> Option<Response> {
        let url = format!("{}/api/v1/rooms/{}/events", self.ear.shared.url, self.ear.room);
        let mut request = self.http.get(url);
        if let Some(cursor) = cursor {
            request = request.header("Last-Event-ID", cursor.to_string());
        }
        let response = timeout(LIMIT, request.send()).await.ok()?.ok()?;
        (response.status() == StatusCode::OK).then_some(response)
    }

    /// To its end. When it last said something.
    async fn read(&self, mut response: Response) -> Instant {
        let mut unread = Vec::new();
        let mut heard = Instant::now();
        loop {
            let chunk = match timeout(GIVEN_UP, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                // As a replica that drains ends it.
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    self.ear.cut(error.to_string());
                    break;
                }
                Err(_) => {
                    self.ear.cut(format!("silent for {GIVEN_UP:?}"));
                    break;
                }
            };
            heard = Instant::now();
            unread.extend_from_slice(&chunk);
            while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = unread.drain(..end + 2).collect();
                self.saw(&String::from_utf8_lossy(&event));
            }
        }
        heard
    }

    fn saw(&self, event: &str) {
        let fields: HashMap<&str, &str> =
            event.lines().filter_map(|line| line.split_once(": ")).collect();
        let Some(data) = fields.get("data") else { return };
        let frame = serde_json::from_str(data).ok();
        // Of any event, as a browser keeps it: where the next request begins.
        if let Some(cursor) = fields.get("id").and_then(|id| id.parse().ok()) {
            let before = self.ear.moves_to(cursor);
            if before.is_none() {
                self.ear.entered(Entered::Fresh, began_at(frame.as_ref(), cursor));
            }
        }
        match frame {
            Some(ServerFrame::Message(message)) => self.ear.message(message),
            Some(ServerFrame::Gap { after, resumes_at, reason, .. }) => {
                self.ear.gap(after, resumes_at, reason);
            }
            _ => {}
        }
    }
}

/// The cursor before the first event of a stream that named none. It may be a message: one that was sent while the
/// stream was being opened comes before `live`.
fn began_at(first: Option<&ServerFrame>, cursor_after_it: Id) -> Id {
    match first {
        Some(ServerFrame::Message(message)) => message.prev.into(),
        _ => cursor_after_it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_whose_first_event_is_a_message_began_before_it() {
        let frame = |json| serde_json::from_value::<ServerFrame>(json).expect("a frame");
        let message = frame(json!({
            "type": "message", "room": "den", "id": "7-0", "prev": "5-0", "member": "ann", "name": "Ann", "n": 1, "at": 7,
            "text": "hello"
        }));
        let live = frame(json!({ "type": "live", "room": "den", "id": "7-0" }));
        let after = Id { ms: 7, seq: 0 };
        assert_eq!(began_at(Some(&message), after), Id { ms: 5, seq: 0 });
        assert_eq!(began_at(Some(&live), after), after);
    }
}
