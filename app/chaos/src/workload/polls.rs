//! Clients that listen by long-polling: each answer has what came after the cursor, and is waited for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use rollcall_protocol::{EntryId, GapReason, Message};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::{Character, Phase, Place, Shared, ear::Ear};
use crate::history::{Entered, Gone, What};

/// How long the server is asked to wait, s.
const WAIT: u64 = 5;
/// How long a client waits for that.
const LIMIT: Duration = Duration::from_secs(WAIT + 4);
/// Pause before a request is made again that was not answered.
const AGAIN: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    messages: Vec<Message>,
    head: EntryId,
    cursor: Option<EntryId>,
    gap: Option<Gap>,
}

#[derive(Deserialize)]
struct Gap {
    after: EntryId,
    resumes_at: EntryId,
    reason: GapReason,
}

/// Follows a room from its head on, over as many requests as it takes.
pub async fn follow(shared: Arc<Shared>, character: Character, place: Arc<Place>) {
    let mut phase = shared.watch();
    let room = character.rooms[0].clone();
    let (client, role) = (character.name.clone(), character.role.name().to_owned());
    shared.recorder.record(What::Began { client: client.clone(), role, rooms: character.rooms });
    let poller =
        Poller { http: Client::new(), ear: Ear { shared, place, name: client.clone(), room } };
    tokio::select! {
        () = poller.follow() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Over) => {}
    }
    poller.ear.shared.recorder.record(What::Gone { client, how: Gone::Dismissed });
}

struct Poller {
    http: Client,
    ear: Ear,
}

impl Poller {
    async fn follow(&self) {
        let mut down_since = None;
        loop {
            let asked = Instant::now();
            let cursor = self.ear.cursor();
            let query = match cursor {
                Some(cursor) => format!("after={cursor}&wait={WAIT}"),
                None => "limit=1".to_owned(),
            };
            let Some(data) = self.ask(&query).await else {
                // A request that was waited for in vain was for nothing from its beginning on.
                let since = if asked.elapsed() >= LIMIT { asked } else { Instant::now() };
                down_since.get_or_insert(since);
                sleep(AGAIN).await;
                continue;
            };
            let back = down_since.take();
            if let Some(since) = back {
                self.ear.back_after(Instant::elapsed(&since));
            }
            match cursor {
                None => {
                    self.ear.moves_to(data.head.into());
                    self.ear.entered(Entered::Fresh, data.head.into());
                }
                Some(cursor) => {
                    if back.is_some() {
                        self.ear.entered(Entered::Resumed, cursor);
                    }
                    self.take(data);
                }
            }
        }
    }

    async fn ask(&self, query: &str) -> Option<Data> {
        let Ear { shared, room, .. } = &self.ear;
        let url = format!("{}/api/v1/rooms/{room}/messages?{query}", shared.url);
        let asked = async {
            let response = self.http.get(url).send().await.ok()?;
            let is_answer = response.status() == StatusCode::OK;
            if is_answer { response.json::<Answer>().await.ok() } else { None }
        };
        timeout(LIMIT, asked).await.ok().flatten().map(|answer| answer.data)
    }

    fn take(&self, data: Data) {
        if let Some(Gap { after, resumes_at, reason }) = data.gap {
            self.ear.moves_to(resumes_at.into());
            self.ear.gap(after, resumes_at, reason);
        }
        for message in data.messages {
            self.ear.moves_to(message.id.into());
            self.ear.message(message);
        }
        if let Some(cursor) = data.cursor {
            self.ear.moves_to(cursor.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicU64, Ordering},
    };

    use clap::Parser;
    use rollcall_server::{Listeners, config::Config};
    use tokio::sync::watch;

    use super::*;
    use crate::{
        history::{self, Recorder},
        workload::{Live, Role, rest},
    };

    #[test]
    fn an_answer_of_either_kind_is_read() {
        let page = r#"{"data":{"messages":[],"head":"7-0"},"messages":[],"head":"7-0"}"#;
        let page: Answer = serde_json::from_str(page).expect("a page");
        assert_eq!((page.data.head, page.data.cursor), (EntryId::new(7, 0), None));
        let polled = r#"{"data":{"messages":[],"head":"9-0","cursor":"8-0","live":false,
            "gap":{"after":"1-0","resumes_at":"8-0","reason":"trimmed"}}}"#;
        let polled: Answer = serde_json::from_str(polled).expect("a page");
        assert_eq!(polled.data.gap.map(|gap| gap.resumes_at), polled.data.cursor);
    }

    /// A real server with its log in memory: its address.
    async fn server() -> String {
        let config = Config::parse_from(["test", "--port", "0", "--admin-port", "0"]);
        let listeners = Listeners::bind(&config).await.expect("free ports");
        let url = format!("http://{}", listeners.public.local_addr().expect("an address"));
        tokio::spawn(rollcall_server::run(config, listeners, std::future::pending()));
        while !reqwest::get(format!("{url}/readyz")).await.is_ok_and(|it| it.status() == 200) {
            sleep(Duration::from_millis(20)).await;
        }
        url
    }

    fn character(role: Role) -> Character {
        let (name, rooms) = (role.name().to_owned(), vec!["den".to_owned()]);
        Character { name, role, rooms, after: Duration::ZERO }
    }

    fn written(path: &Path) -> Vec<What> {
        history::read(path).expect("a history").into_iter().map(|record| record.what).collect()
    }

    #[tokio::test]
    async fn what_is_said_comes_to_a_poller_in_order_and_once() {
        let name = format!("rollcall-polls-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let shared = Arc::new(Shared {
            url: server().await,
            recorder: Recorder::create(&path).expect("a file"),
            live: Live::default(),
            phase: watch::Sender::new(Phase::Talking),
            ops: AtomicU64::new(0),
            clock_sets: AtomicU64::new(0),
        });
        let place = Arc::new(Place::default());
        let poller = tokio::spawn(follow(shared.clone(), character(Role::Poller), place.clone()));
        let heard = |count: u64| {
            let (shared, place) = (shared.clone(), place.clone());
            async move {
                while place.lock().is_empty()
                    || shared.live.deliveries.load(Ordering::Relaxed) < count
                {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        };
        timeout(LIMIT, heard(0)).await.expect("it has entered");
        rest::leave_behind(shared.clone(), character(Role::Poster), 5).await;
        timeout(LIMIT, heard(5)).await.expect("it has heard everything");
        shared.phase.send_replace(Phase::Over);
        poller.await.expect("no panic");
        shared.recorder.finish().expect("a written history");
        let history = written(&path);
        let seen: Vec<_> = history
            .iter()
            .filter_map(|what| match what {
                What::Message { client, n, .. } => Some((client.as_str(), *n)),
                _ => None,
            })
            .collect();
        assert_eq!(seen, (1..=5).map(|n| ("poller", n)).collect::<Vec<_>>());
        assert!(
            !history.iter().any(|what| matches!(what, What::Silence { .. } | What::Lost { .. }))
        );
        let _ = std::fs::remove_file(&path);
    }
}
