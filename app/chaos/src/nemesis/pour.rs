//! What fills Redis: posts of many clients, none of which does more than it may. Bounded in number and in time.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use rollcall_client::new_key;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::scene::Scene;

/// How the flood's rooms begin. None of them is of the workload.
pub const PREFIX: &str = "fill-";
/// Loops that post long texts, into so many rooms.
const LONG: usize = 32;
const ROOMS: usize = 16;
/// Loops that post short texts, each under a key of its own.
const FRESH: usize = 8;
/// Loops that post long texts into rooms that nobody else is in, each only once.
const NEW: usize = 8;
/// Bytes of a long text: the longest that is taken is 4,096.
const TEXT: usize = 4_000;
/// Never more posts than this, answered or not.
const MOST: u64 = 60_000;
/// So many that Redis or a limit kept out are proof enough that it was as full as it gets.
const KEPT_OUT: u64 = 500;
/// A slow machine may pour for this many times as long as the fault lasts, until Redis is full.
const PATIENCE: u32 = 6;
const LIMIT: Duration = Duration::from_secs(3);
/// The pause of a client that was refused: about what it is told.
const REFUSED: Duration = Duration::from_millis(100);

/// What became of the posts.
#[derive(Debug, Default)]
pub struct Poured {
    taken: AtomicU64,
    limited: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
}

impl Poured {
    fn all(&self) -> u64 {
        [&self.taken, &self.limited, &self.refused, &self.unknown]
            .map(|it| it.load(Relaxed))
            .iter()
            .sum()
    }

    /// Whether so many were kept out that Redis was as full as it gets.
    pub fn was_kept_out(&self) -> bool {
        self.limited.load(Relaxed) + self.refused.load(Relaxed) >= KEPT_OUT
    }
}

impl fmt::Display for Poured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [taken, limited, refused, unknown] =
            [&self.taken, &self.limited, &self.refused, &self.unknown].map(|it| it.load(Relaxed));
        write!(
            f,
            "poured: {taken} posts taken, {limited} told to wait, {refused} refused, {unknown} unknown"
        )
    }
}

/// Pours as long as the fault lasts, and longer until Redis is `full`.
pub async fn pour(scene: &Scene<'_>, full: &AtomicBool) -> Poured {
    let began = Instant::now();
    let poured = Poured::default();
    let (http, step) = (Client::new(), scene.step);
    let more = || {
        let is_over =
            began.elapsed() >= scene.hold && (full.load(Relaxed) || poured.was_kept_out());
        !is_over && began.elapsed() < PATIENCE * scene.hold && poured.all() < MOST
    };
    let long = |number: usize| {
        let (http, poured, key) = (&http, &poured, new_key());
        async move {
            let mut n = 1;
            while more() {
                let room = format!("{PREFIX}{step}-{}", number % ROOMS);
                n += u64::from(post(scene, http, poured, &room, &key, n, TEXT).await);
            }
        }
    };
    let fresh = |number: usize| {
        let (http, poured) = (&http, &poured);
        async move {
            while more() {
                let room = format!("{PREFIX}{step}-{}", number % ROOMS);
                post(scene, http, poured, &room, &new_key(), 1, 1).await;
            }
        }
    };
    let new = |number: usize| {
        let (http, poured) = (&http, &poured);
        async move {
            for room in 0.. {
                if !more() {
                    break;
                }
                let room = format!("{PREFIX}{step}-new-{number}-{room}");
                post(scene, http, poured, &room, &new_key(), 1, TEXT).await;
            }
        }
    };
    let (longs, freshs, news) = (
        join_all((0..LONG).map(long)),
        join_all((0..FRESH).map(fresh)),
        join_all((0..NEW).map(new)),
    );
    tokio::join!(longs, freshs, news);
    poured
}

/// Each flooded room → how long after the flood it took until a message was taken. `limit` where none was in that time.
pub async fn rooms_to_write(scene: &Scene<'_>, limit: Duration) -> Vec<(String, Duration)> {
    let (http, ignored, began) = (Client::new(), Poured::default(), Instant::now());
    let until_taken = |number: usize| {
        let (http, ignored) = (&http, &ignored);
        async move {
            let room = format!("{PREFIX}{}-{number}", scene.step);
            let key = new_key();
            while began.elapsed() < limit {
                if post(scene, http, ignored, &room, &key, 1, 10).await {
                    return (room, began.elapsed());
                }
                sleep(REFUSED).await;
            }
            (room, limit)
        }
    };
    join_all((0..ROOMS).map(until_taken)).await
}

/// Whether it was taken. One that was not is to be posted again with the same number.
async fn post(
    scene: &Scene<'_>,
    http: &Client,
    poured: &Poured,
    room: &str,
    key: &str,
    n: u64,
    length: usize,
) -> bool {
    let url = format!("{}/api/v1/rooms/{room}/messages", scene.stack.url());
    let body = json!({ "client": key, "name": "filler", "n": n, "text": "x".repeat(length) });
    let answer = http.post(url).timeout(LIMIT).json(&body).send().await;
    let count = match answer.map(|answer| answer.status()) {
        Ok(StatusCode::OK) => &poured.taken,
        Ok(StatusCode::TOO_MANY_REQUESTS) => &poured.limited,
        Ok(_) => &poured.refused,
        Err(_) => &poured.unknown,
    };
    count.fetch_add(1, Relaxed);
    let is_taken = std::ptr::eq(count, &poured.taken);
    if !is_taken {
        sleep(REFUSED).await;
    }
    is_taken
}
