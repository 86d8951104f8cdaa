//! Somebody at the page, in a real browser: what they say goes into its form, and what they see is read from its document.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rollcall_witness::member_of;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{Character, Phase, Place, Shared, browser::Browser, hash};
use crate::history::{Entered, Gone, Id, Op, What};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the page may take to be loaded and in the room; it tries again by itself.
const ENTERED: Duration = Duration::from_secs(60);
/// How long a page may take from the first byte to its first question.
const LOADED: Duration = Duration::from_secs(10);
const LENGTH: usize = 40;

/// Gives a name, which opens the chat. False while the page does not ask for one yet.
const JOIN: &str = "const form = document.getElementById('join');
    if (!form || form.hidden) return false;
    document.getElementById('name').value = arguments[0];
    form.requestSubmit();
    return true;";

/// Says something. True if the form took it.
const SAY: &str = "const text = document.getElementById('text');
    text.value = arguments[0];
    text.dispatchEvent(new Event('input', { bubbles: true }));
    document.getElementById('composer').requestSubmit();
    return text.value === '';";

/// All that a person sees: rows of the log and of what waits, in their order, and the words at the top.
const LOOK: &str = "const place = [...document.querySelectorAll('section[role=log]')]
      .find((it) => it.getAttribute('aria-label') === `Messages in ${arguments[0]}`);
    const rows = [...(place?.querySelectorAll('li') ?? [])].map((row) => ({
      id: row.dataset.id ?? null,
      text: row.querySelector('.text')?.textContent ?? null,
      state: row.dataset.state ?? null,
    }));
    const status = document.getElementById('status');
    const ended = document.getElementById('ended');
    const key = JSON.parse(sessionStorage.getItem('rollcall') ?? '{}').key ?? null;
    const join = document.getElementById('join');
    return {
      rows, key, asks: join !== null && !join.hidden,
      loaded: place?.classList.contains('loaded') ?? false,
      state: status?.dataset.state ?? '', notice: document.getElementById('notice')?.textContent ?? '',
      ended: ended && !ended.hidden ? document.getElementById('sentence').textContent : null,
      replica: document.getElementById('replica')?.textContent ?? '',
      release: document.getElementById('release')?.textContent ?? '',
    };";

#[derive(Debug, Deserialize)]
struct Seen {
    rows: Vec<Row>,
    key: Option<String>,
    /// For a name.
    asks: bool,
    loaded: bool,
    state: String,
    notice: String,
    ended: Option<String>,
    replica: String,
    release: String,
}

/// A line of the conversation: a message has an ID once it is in the log; a word of the page's own has no text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Row {
    id: Option<String>,
    text: Option<String>,
    state: Option<String>,
}

/// Sits at the page until the run is over.
///
/// # Errors
///
/// If there is no browser, or it dies: then nothing is known of the page.
pub async fn sit(
    shared: Arc<Shared>,
    character: Character,
    place: Arc<Place>,
    seed: u64,
) -> anyhow::Result<()> {
    let mut phase = shared.watch();
    let browser = Browser::start().await?;
    let room = character.rooms[0].clone();
    let mut person = Person {
        rng: StdRng::seed_from_u64(seed),
        reading: Reading::default(),
        pending: BTreeMap::new(),
        is_in: false,
        banner: String::new(),
        speaks_at: Instant::now(),
        shared,
        name: character.name,
        room,
        place,
        browser,
    };
    person.enter(character.rooms).await?;
    let done = tokio::select! {
        done = person.live() => done,
        _ = phase.wait_for(|phase| *phase == Phase::Over) => Ok(Gone::Dismissed),
    };
    person.leave(done).await
}

struct Person {
    shared: Arc<Shared>,
    name: String,
    room: String,
    place: Arc<Place>,
    browser: Browser,
    rng: StdRng,
    reading: Reading,
    /// What was said and is not known to be in the log, by its text.
    pending: BTreeMap<String, Op>,
    is_in: bool,
    /// What the page said first of its connection, if it says anything.
    banner: String,
    speaks_at: Instant,
}

impl Person {
    async fn enter(&mut self, rooms: Vec<String>) -> anyhow::Result<()> {
        let (client, role) = (self.name.clone(), "page".to_owned());
        self.shared.recorder.record(What::Began { client, role, rooms });
        let until = Instant::now() + ENTERED;
        loop {
            match self.join().await {
                Ok(true) => return Ok(()),
                // A fault may be in the way.
                Ok(false) => ensure!(Instant::now() < until, "the page never asked for a name"),
                Err(error) if Instant::now() > until => {
                    return Err(error.context("the page could not be opened"));
                }
                Err(_) => {}
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Opens the page and gives a name. False if it does not ask for one.
    async fn join(&self) -> anyhow::Result<bool> {
        // An address that differs only behind the `#` would not be loaded again.
        self.browser.open("about:blank").await?;
        self.browser.open(&format!("{}/#{}", self.shared.url, self.room)).await?;
        let until = Instant::now() + LOADED;
        while Instant::now() < until {
            if self.browser.run(JOIN, &[&self.name]).await?.as_bool() == Some(true) {
                return Ok(true);
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(false)
    }

    /// Looks and speaks until the service turns the page away.
    async fn live(&mut self) -> anyhow::Result<Gone> {
        loop {
            if let Some(how) = self.look().await? {
                return Ok(how);
            }
            let talking = *self.shared.watch().borrow() == Phase::Talking;
            if talking && self.is_in && Instant::now() >= self.speaks_at {
                self.speak().await?;
                let pause = self.rng.random_range(1_000..4_000);
                self.speaks_at = Instant::now() + Duration::from_millis(pause);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn speak(&mut self) -> anyhow::Result<()> {
        let (op, text) = self.shared.invoke(&self.name, &self.room, LENGTH);
        let is_taken = self.browser.run(SAY, &[&text]).await?.as_bool().unwrap_or_default();
        if is_taken {
            self.pending.insert(text, op);
        } else {
            // It never left the form.
            self.shared.recorder.record(What::Fail { op, code: "not-queued".to_owned() });
        }
        self.count_pending();
        Ok(())
    }

    /// How it ended, if it did.
    async fn look(&mut self) -> anyhow::Result<Option<Gone>> {
        let seen = self.browser.run(LOOK, &[&self.room]).await?;
        let seen: Seen =
            serde_json::from_value(seen).context("the page is another than expected")?;
        self.entered(&seen);
        self.told(&seen);
        for row in self.reading.news(&seen.rows) {
            self.read(&row);
        }
        for row in &seen.rows {
            self.settle(row);
        }
        self.count_pending();
        // A page that asks for a name again has forgotten who sat there.
        let is_over = seen.ended.is_some() || (seen.asks && self.is_in);
        Ok(is_over.then_some(Gone::Expelled))
    }

    /// It is a member once it is served and has the room's history.
    fn entered(&mut self, seen: &Seen) {
        let Some(key) = seen.key.as_ref().filter(|_| seen.loaded && seen.state == "serving") else {
            return;
        };
        if std::mem::replace(&mut self.is_in, true) {
            return;
        }
        let (client, room, why) = (self.name.clone(), self.room.clone(), "fresh".to_owned());
        let (replica, release) = (seen.replica.clone(), seen.release.clone());
        let member = member_of(key);
        self.shared.recorder.record(What::Connected { client, member, replica, release, why });
        let (client, how, present) = (self.name.clone(), Entered::Fresh, Vec::new());
        let newest = seen.rows.iter().rev().find_map(|row| row.id.as_ref()?.parse().ok());
        let cursor = newest.unwrap_or_default();
        self.shared.recorder.record(What::Joined { client, room, how, cursor, present });
    }

    /// What it says of its connection, when it begins to and when it ends; a countdown is no news.
    fn told(&mut self, seen: &Seen) {
        let banner = match (&seen.ended, seen.state.as_str()) {
            (Some(sentence), _) => sentence,
            (None, "waiting") => &seen.notice,
            _ => "",
        };
        if self.banner.is_empty() != banner.is_empty() {
            banner.clone_into(&mut self.banner);
            let (client, words) = (self.name.clone(), banner.to_owned());
            self.shared.recorder.record(What::Banner { client, words });
        }
    }

    fn read(&mut self, row: &Row) {
        let (client, room) = (self.name.clone(), self.room.clone());
        let Some(id) = row.id.as_ref().and_then(|id| id.parse::<Id>().ok()) else {
            return self.shared.recorder.record(What::Noted { client, room });
        };
        let hash = hash(row.text.as_deref().unwrap_or_default());
        self.shared.live.delivered(&hash, None);
        self.place.lock().insert(room.clone(), id);
        self.shared.recorder.record(What::Shown { client, room, id, hash });
    }

    /// The page says of a message of ours what became of it.
    fn settle(&mut self, row: &Row) {
        let (Some(text), Some(state)) = (&row.text, &row.state) else { return };
        let is_settled = matches!(state.as_str(), "sent" | "refused" | "unknown");
        let Some(op) = is_settled.then(|| self.pending.remove(text)).flatten() else { return };
        let (live, id) = (&self.shared.live, row.id.as_ref().and_then(|id| id.parse().ok()));
        let (count, what) = match state.as_str() {
            "sent" => (&live.ok, What::Ok { op, id, duplicate: false }),
            "refused" => (&live.fail, What::Fail { op, code: "refused".to_owned() }),
            // Part of the log is missing, and the page says that nobody knows.
            _ => (&live.info, What::Info { op, why: "the page does not know".to_owned() }),
        };
        count.fetch_add(1, Relaxed);
        self.shared.recorder.record(what);
    }

    fn count_pending(&self) {
        self.place.pending.store(self.pending.len() as u64, Relaxed);
    }

    async fn leave(self, done: anyhow::Result<Gone>) -> anyhow::Result<()> {
        for (_, op) in self.pending {
            let why = "the page was closed before an answer".to_owned();
            self.shared.recorder.record(What::Info { op, why });
        }
        let how = *done.as_ref().unwrap_or(&Gone::Vanished);
        self.shared.recorder.record(What::Gone { client: self.name, how });
        self.place.pending.store(0, Relaxed);
        self.place.lock().clear();
        self.browser.close().await;
        done.map(drop)
    }
}

/// How far the document has been read.
#[derive(Debug, Default)]
struct Reading {
    /// The log's rows when it was last looked at: messages by ID, words of the page's own by none.
    rows: Vec<Row>,
}

impl Reading {
    /// The rows that have come to the log since the last look. The page takes old ones away at the top; whatever else it
    /// changes among those that were read makes all of them news, for the checker to judge.
    fn news(&mut self, rows: &[Row]) -> Vec<Row> {
        let is_of_log =
            |row: &&Row| row.id.is_some() || (row.text.is_none() && row.state.is_none());
        let plain = |row: &Row| Row { state: None, ..row.clone() };
        let now: Vec<Row> = rows.iter().filter(is_of_log).map(plain).collect();
        let kept = (0..=self.rows.len()).find(|gone| now.starts_with(&self.rows[*gone..]));
        let known = self.rows.len() - kept.unwrap_or(self.rows.len());
        let news = now[known..].to_vec();
        self.rows = now;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: &[&str]) -> Vec<Row> {
        let row = |id: &&str| Row {
            id: (!id.is_empty()).then(|| (*id).to_owned()),
            text: (!id.is_empty()).then(|| format!("text of {id}")),
            state: None,
        };
        ids.iter().map(row).collect()
    }

    #[test]
    fn each_row_is_news_once_though_old_ones_go_at_the_top() {
        let mut reading = Reading::default();
        assert_eq!(reading.news(&rows(&["1-0", "2-0"])), rows(&["1-0", "2-0"]));
        assert_eq!(reading.news(&rows(&["1-0", "2-0", ""])), rows(&[""]));
        assert_eq!(reading.news(&rows(&["2-0", "", "3-0"])), rows(&["3-0"]));
        assert_eq!(reading.news(&rows(&["2-0", "", "3-0"])), rows(&[]));
    }

    #[test]
    fn what_a_page_changes_among_old_rows_is_news_again() {
        let mut reading = Reading::default();
        reading.news(&rows(&["1-0", "2-0"]));
        assert_eq!(reading.news(&rows(&["1-0", "3-0"])), rows(&["1-0", "3-0"]));
    }

    #[test]
    fn what_waits_to_be_sent_is_not_in_the_log_yet() {
        let waits =
            Row { id: None, text: Some("hello".to_owned()), state: Some("pending".to_owned()) };
        assert_eq!(Reading::default().news(&[waits]), []);
    }
}
