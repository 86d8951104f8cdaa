//! Somebody who reads the history of rooms by HTTP, page by page from the newest message back.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use reqwest::{Client, StatusCode};
use rollcall_protocol::Message;
use rollcall_witness::hash_of;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::{Character, Phase, Shared};
use crate::history::{Gone, What};

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(3);
/// Messages of a page, and pages of a reading.
const PAGE: usize = 7;
const PAGES: usize = 4;

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
}

/// Reads until the run is over.
pub async fn read(shared: Arc<Shared>, character: Character, seed: u64) {
    let Character { name, role, rooms, .. } = character;
    let (client, role) = (name.clone(), role.name().to_owned());
    shared.recorder.record(What::Began { client, role, rooms: vec![] });
    let (http, mut phase) = (Client::new(), shared.watch());
    let mut rng = StdRng::seed_from_u64(seed);
    let read = async {
        loop {
            let room = rooms.choose(&mut rng).cloned().unwrap_or_default();
            reading(&shared, &http, &name, &room).await;
            sleep(Duration::from_millis(rng.random_range(500..1_500))).await;
        }
    };
    tokio::select! {
        () = read => {}
        _ = phase.wait_for(|phase| *phase == Phase::Over) => {}
    }
    shared.recorder.record(What::Gone { client: name, how: Gone::Dismissed });
}

/// One reading, and what it came to: the pages in the log's order. One that a fault interrupts ends there.
async fn reading(shared: &Shared, http: &Client, name: &str, room: &str) {
    shared.recorder.record(What::Reading { client: name.to_owned(), room: room.to_owned() });
    let mut pages = Vec::new();
    let mut before = None;
    while pages.len() < PAGES {
        let Some(page) = page(shared, http, room, before.as_deref()).await else { break };
        let Some(oldest) = page.first() else { break };
        before = Some(oldest.id.to_string());
        pages.push(page);
    }
    for message in pages.into_iter().rev().flatten() {
        shared.recorder.record(What::Read {
            client: name.to_owned(),
            room: room.to_owned(),
            id: message.id.into(),
            prev: message.prev.into(),
            n: message.n,
            hash: hash_of(&message),
            member: message.member,
        });
    }
}

async fn page(
    shared: &Shared,
    http: &Client,
    room: &str,
    before: Option<&str>,
) -> Option<Vec<Message>> {
    let before = before.map(|id| format!("&before={id}")).unwrap_or_default();
    let url = format!("{}/api/v1/rooms/{room}/messages?limit={PAGE}{before}", shared.url);
    let answer = timeout(LIMIT, http.get(url).send()).await.ok()?.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    Some(timeout(LIMIT, answer.json::<Page>()).await.ok()?.ok()?.messages)
}
