//! Somebody at the page, in a real browser: what they say goes into its form, and what they see is read from its document.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rollcall_checker::history::{Entered, Gone, Id, Op, Recorder, What};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::{browser::Browser, hash, member_of};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the page may take to be loaded and in the room; it tries again by itself.
const ENTERED: Duration = Duration::from_secs(60);
/// How long a page may take from the first byte to its first question.
const LOADED: Duration = Duration::from_secs(10);
/// By what the document came, and whether the browser takes its origin for a safe one.
const CAME: &str = "return {
      protocol: performance.getEntriesByType('navigation')[0]?.nextHopProtocol ?? '', safe: isSecureContext,
    };";

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

/// How the document came.
#[derive(Debug, Deserialize)]
struct Came {
    protocol: String,
    safe: bool,
}

/// A line of the conversation: a message has an ID once it is in the log; a word of the page's own has no text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Row {
    id: Option<String>,
    text: Option<String>,
    state: Option<String>,
}

/// By what the page comes over TLS.
const HTTP_2: &str = "h2";

/// Who sits where.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The service.
    pub url: String,
    /// The client's name, unique in a run.
    pub name: String,
    /// Its room.
    pub room: String,
    /// What was said up to here was there before the run, and is none of its matter.
    pub since: Id,
    /// Over TLS: whose certificates the browser believes whoever signed them; SHA-256 of their public keys in base64.
    pub keys: Vec<String>,
    /// When it says something is made of this.
    pub seed: u64,
}

/// Those of a run among whom somebody sits at the page.
pub trait Company: Send + Sync {
    /// Where everything is written down.
    fn recorder(&self) -> &Recorder;
    /// Has something to be said, and writes down that it will be: the operation and its text, which no other has, and
    /// which neither begins nor ends in white space.
    fn invoke(&self, client: &str, room: &str) -> (Op, String);
    /// Whether everybody talks.
    fn is_talking(&self) -> bool;
    /// It has entered the room.
    fn entered(&self);
    /// The page shows a message.
    fn shown(&self, room: &str, id: Id, hash: &str);
    /// One of its operations has an outcome.
    fn settled(&self, outcome: &What);
    /// So many of them have none. Told after each look at the page.
    fn looked(&self, pending: usize);
}

/// Sits at the page until the run is over.
///
/// # Errors
///
/// If there is no browser, or it dies: then nothing is known of the page.
pub async fn sit<C: Company>(
    company: Arc<C>,
    visit: Visit,
    over: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let browser = Browser::start(&visit.keys).await?;
    let mut person = Person {
        rng: StdRng::seed_from_u64(visit.seed),
        reading: Reading::default(),
        pending: BTreeMap::new(),
        is_in: false,
        banner: String::new(),
        speaks_at: Instant::now(),
        company,
        visit,
        browser,
    };
    person.enter().await?;
    let done = tokio::select! {
        done = person.live() => done,
        () = over => Ok(Gone::Dismissed),
    };
    person.leave(done).await
}

struct Person<C> {
    company: Arc<C>,
    visit: Visit,
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

impl<C: Company> Person<C> {
    async fn enter(&mut self) -> anyhow::Result<()> {
        let (client, role) = (self.visit.name.clone(), "page".to_owned());
        let rooms = vec![self.visit.room.clone()];
        self.company.recorder().record(What::Began { client, role, rooms });
        let until = Instant::now() + ENTERED;
        loop {
            match self.join().await {
                Ok(true) => return self.expect_safe().await,
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

    /// Over TLS the document came by HTTP/2, and what the page needs a safe origin for is there.
    async fn expect_safe(&self) -> anyhow::Result<()> {
        if !self.visit.url.starts_with("https:") {
            return Ok(());
        }
        let came: Came = serde_json::from_value(self.browser.run(CAME, &[]).await?)?;
        ensure!(came.protocol == HTTP_2, "the page came by {:?}, not {HTTP_2}", came.protocol);
        ensure!(came.safe, "the page's origin is not a safe one");
        Ok(())
    }

    /// Opens the page and gives a name. False if it does not ask for one.
    async fn join(&self) -> anyhow::Result<bool> {
        // An address that differs only behind the `#` would not be loaded again.
        self.browser.open("about:blank").await?;
        self.browser.open(&format!("{}/#{}", self.visit.url, self.visit.room)).await?;
        let until = Instant::now() + LOADED;
        while Instant::now() < until {
            if self.browser.run(JOIN, &[&self.visit.name]).await?.as_bool() == Some(true) {
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
            if self.company.is_talking() && self.is_in && Instant::now() >= self.speaks_at {
                self.speak().await?;
                let pause = self.rng.random_range(1_000..4_000);
                self.speaks_at = Instant::now() + Duration::from_millis(pause);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn speak(&mut self) -> anyhow::Result<()> {
        let (op, text) = self.company.invoke(&self.visit.name, &self.visit.room);
        let is_taken = self.browser.run(SAY, &[&text]).await?.as_bool().unwrap_or_default();
        if is_taken {
            self.pending.insert(text, op);
        } else {
            // It never left the form.
            let refused = What::Fail { op, code: "not-queued".to_owned() };
            self.company.recorder().record(refused.clone());
            self.company.settled(&refused);
        }
        self.company.looked(self.pending.len());
        Ok(())
    }

    /// How it ended, if it did.
    async fn look(&mut self) -> anyhow::Result<Option<Gone>> {
        let seen = self.browser.run(LOOK, &[&self.visit.room]).await?;
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
        self.company.looked(self.pending.len());
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
        let Visit { name, room, .. } = self.visit.clone();
        let (client, why) = (name.clone(), "fresh".to_owned());
        let (replica, release) = (seen.replica.clone(), seen.release.clone());
        let member = member_of(key);
        let connected = What::Connected { client, member, replica, release, why };
        self.company.recorder().record(connected);
        let (client, how, present) = (name, Entered::Fresh, Vec::new());
        let newest = seen.rows.iter().rev().find_map(|row| row.id.as_ref()?.parse().ok());
        let cursor = newest.unwrap_or_default();
        self.company.recorder().record(What::Joined { client, room, how, cursor, present });
        self.company.entered();
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
            let (client, words) = (self.visit.name.clone(), banner.to_owned());
            self.company.recorder().record(What::Banner { client, words });
        }
    }

    fn read(&mut self, row: &Row) {
        let Visit { name: client, room, since, .. } = self.visit.clone();
        let Some(id) = row.id.as_ref().and_then(|id| id.parse::<Id>().ok()) else {
            return self.company.recorder().record(What::Noted { client, room });
        };
        let hash = hash(row.text.as_deref().unwrap_or_default());
        self.company.shown(&room, id, &hash);
        if id > since {
            self.company.recorder().record(What::Shown { client, room, id, hash });
        }
    }

    /// The page says of a message of ours what became of it.
    fn settle(&mut self, row: &Row) {
        let (Some(text), Some(state)) = (&row.text, &row.state) else { return };
        let is_settled = matches!(state.as_str(), "sent" | "refused" | "unknown");
        let Some(op) = is_settled.then(|| self.pending.remove(text)).flatten() else { return };
        let id = row.id.as_ref().and_then(|id| id.parse().ok());
        let outcome = match state.as_str() {
            "sent" => What::Ok { op, id, duplicate: false },
            "refused" => What::Fail { op, code: "refused".to_owned() },
            // Part of the log is missing, and the page says that nobody knows.
            _ => What::Info { op, why: "the page does not know".to_owned() },
        };
        self.company.recorder().record(outcome.clone());
        self.company.settled(&outcome);
    }

    async fn leave(self, done: anyhow::Result<Gone>) -> anyhow::Result<()> {
        for (_, op) in self.pending {
            let why = "the page was closed before an answer".to_owned();
            self.company.recorder().record(What::Info { op, why });
        }
        let how = *done.as_ref().unwrap_or(&Gone::Vanished);
        self.company.recorder().record(What::Gone { client: self.visit.name, how });
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
