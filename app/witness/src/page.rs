//! Somebody at the page, in a real browser: what they say goes into its form, and what they see is read from its document.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rollcall_checker::history::{Changed, Entered, Gone, Id, Op, Recorder, UNSAID, What};
use tokio::time::{Instant, sleep};

use crate::{
    browser::Browser,
    document::{CAME, Came, JOIN, LOOK, News, Reading, Room, Row, SAY, Seen},
    hash, member_of,
};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the page may take to be loaded and in the room; it tries again by itself.
const ENTERED: Duration = Duration::from_secs(60);
/// How long a page may take from the first byte to its first question.
const LOADED: Duration = Duration::from_secs(10);
/// By what the page comes over TLS.
const HTTP_2: &str = "h2";

/// Who sits where.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The service.
    pub url: String,
    /// The client's name, unique in a run.
    pub name: String,
    /// Where it speaks.
    pub room: String,
    /// The rooms that it is in, each of which the page shows. What was said there up to this was there before the run, and
    /// is none of its matter.
    pub rooms: BTreeMap<String, Id>,
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
    /// It has entered all of its rooms.
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
        readings: BTreeMap::new(),
        pending: BTreeMap::new(),
        is_connected: false,
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
    /// How far each room has been read. Those are absent which it has not entered.
    readings: BTreeMap<String, Reading>,
    /// What was said and is not known to be in the log, by its text.
    pending: BTreeMap<String, Op>,
    is_connected: bool,
    /// What the page said first of its connection, if it says anything.
    banner: String,
    speaks_at: Instant,
}

impl<C: Company> Person<C> {
    async fn enter(&mut self) -> anyhow::Result<()> {
        let (client, role) = (self.visit.name.clone(), "page".to_owned());
        let rooms = self.visit.rooms.keys().cloned().collect();
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
            let is_in = self.readings.contains_key(&self.visit.room);
            if self.company.is_talking() && is_in && Instant::now() >= self.speaks_at {
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
        let rooms: Vec<_> = self.visit.rooms.keys().collect();
        let seen = self.browser.run(LOOK, &[&serde_json::to_string(&rooms)?]).await?;
        let seen: Seen =
            serde_json::from_value(seen).context("the page is another than expected")?;
        self.entered(&seen);
        self.told(&seen);
        for Room { room, rows, .. } in &seen.rooms {
            let Some(reading) = self.readings.get_mut(room) else { continue };
            let News { new, changed } = reading.news(rows);
            new.iter().for_each(|row| self.read(room, row));
            changed.iter().for_each(|row| self.changed(room, row));
            for row in rows {
                self.settle(row);
            }
        }
        self.company.looked(self.pending.len());
        // A page that asks for a name again has forgotten who sat there.
        let is_over = seen.ended.is_some() || (seen.asks && self.is_connected);
        Ok(is_over.then_some(Gone::Expelled))
    }

    /// It is a member of a room once it is served and has the room's history.
    fn entered(&mut self, seen: &Seen) {
        let Some(key) = seen.key.as_ref().filter(|_| seen.state == "serving") else { return };
        let client = &self.visit.name;
        if !std::mem::replace(&mut self.is_connected, true) {
            let (client, why) = (client.clone(), "fresh".to_owned());
            let (replica, release) = (seen.replica.clone(), seen.release.clone());
            let connected =
                What::Connected { client, member: member_of(key), replica, release, why };
            self.company.recorder().record(connected);
        }
        for Room { room, rows, .. } in seen.rooms.iter().filter(|room| room.loaded) {
            if self.readings.contains_key(room) {
                continue;
            }
            let newest = rows.iter().rev().find_map(|row| row.id.as_ref()?.parse().ok());
            let (client, room) = (client.clone(), room.clone());
            self.readings.insert(room.clone(), Reading::default());
            let (how, cursor, present) = (Entered::Fresh, newest.unwrap_or_default(), Vec::new());
            self.company.recorder().record(What::Joined { client, room, how, cursor, present });
            if self.readings.len() == self.visit.rooms.len() {
                self.company.entered();
            }
        }
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

    fn read(&self, room: &str, row: &Row) {
        let (client, room) = (self.visit.name.clone(), room.to_owned());
        let since = self.visit.rooms.get(&room).copied().unwrap_or_default();
        let Some(id) = row.id.as_ref().and_then(|id| id.parse::<Id>().ok()) else {
            return self.company.recorder().record(What::Noted { client, room });
        };
        let hash = hash_of_row(row);
        self.company.shown(&room, id, &hash);
        if id > since {
            self.company.recorder().record(What::Shown { client, room, id, hash });
        }
    }

    fn changed(&self, room: &str, row: &Row) {
        let Some(id) = row.id.as_ref().and_then(|id| id.parse::<Id>().ok()) else { return };
        let since = self.visit.rooms.get(room).copied().unwrap_or_default();
        if id > since {
            let (client, room) = (self.visit.name.clone(), room.to_owned());
            let changed = Changed { client, room, id, hash: hash_of_row(row) };
            self.company.recorder().record(What::Changed(changed));
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

/// One that was removed has no text.
fn hash_of_row(row: &Row) -> String {
    let text = row.text.as_deref().unwrap_or_default();
    if text.is_empty() { UNSAID.to_owned() } else { hash(text) }
}
