//! Which connections here are whose, so that they end when a session does, or when somebody may not be here any more.
//!
//! Replicas tell each other over the feeds, which is quick; and each looks up all who are here again from time to time, and
//! whenever the feeds may have missed something, which is sure.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rollcall_protocol::{EntryId, Mark};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    accounts::{Accounts, Dismissed, Seen, Standing},
    log::{Control, Log, LogError},
};

/// How often all who are here are looked up.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// When to try again what could not be looked up.
const RETRY: Duration = Duration::from_secs(1);
/// A hello that a change overtakes is looked up again so often; then the next look at all will do.
pub const TRIES: usize = 3;

/// [`Control::what`] of a connection that has to end.
const CLOSE: &str = "close";
const BANNED: &str = "banned";
const SIGNED_OUT: &str = "signed_out";
const ROLE: &str = "role";

/// [`Control::what`] of how far somebody has read; its detail is the ID.
const READ: &str = "read";
/// What one of a person's devices read may wait for so many others; what is beyond that is not told.
const READS: usize = 16;

/// How far somebody has read a room, on another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadUpTo {
    /// The room's name.
    pub room: String,
    /// The last message that they read.
    pub id: EntryId,
}

impl ReadUpTo {
    /// What replicas tell each other of it.
    #[must_use]
    pub fn control(&self, member: &str) -> Control {
        let (room, what) = (self.room.clone(), READ.to_owned());
        Control { room, what, member: member.to_owned(), detail: self.id.to_string() }
    }

    fn read(control: &Control) -> Option<Self> {
        let id = control.detail.parse().ok().filter(|_| control.what == READ)?;
        Some(Self { room: control.room.clone(), id })
    }
}

/// What a connection is told of its person.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// It has to go.
    Dismissed(Dismissed),
    /// Another device read something.
    Read(ReadUpTo),
}

/// Who has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dismissal {
    /// A member, whatever they come with.
    Banned,
    /// All sessions of a member.
    SignedOutEverywhere,
    /// One session of a member, by its token's hash.
    SignedOut(String),
    /// All sessions of a member come again, since their role is another.
    Changed,
}

impl Dismissal {
    /// What replicas tell each other of it.
    fn control(&self, member: &str) -> Control {
        let detail = match self {
            Self::Banned => BANNED.to_owned(),
            Self::SignedOutEverywhere => SIGNED_OUT.to_owned(),
            Self::SignedOut(session) => format!("{SIGNED_OUT} {session}"),
            Self::Changed => ROLE.to_owned(),
        };
        let (what, member) = (CLOSE.to_owned(), member.to_owned());
        Control { room: String::new(), what, member, detail }
    }

    fn read(control: &Control) -> Option<Self> {
        if control.what != CLOSE {
            return None;
        }
        let (word, rest) = control.detail.split_once(' ').unwrap_or((&control.detail, ""));
        match (word, rest) {
            (BANNED, _) => Some(Self::Banned),
            (SIGNED_OUT, "") => Some(Self::SignedOutEverywhere),
            (SIGNED_OUT, session) => Some(Self::SignedOut(session.to_owned())),
            (ROLE, _) => Some(Self::Changed),
            _ => None,
        }
    }

    /// Whether it is about a connection with that session, and how that ends.
    fn ends(&self, session: Option<&str>) -> Option<Dismissed> {
        match self {
            Self::Banned => Some(Dismissed::Banned),
            Self::SignedOutEverywhere => session.map(|_| Dismissed::SignedOut),
            Self::SignedOut(ended) => (session? == ended).then_some(Dismissed::SignedOut),
            Self::Changed => session.map(|_| Dismissed::Changed),
        }
    }
}

/// The people who are here. Clones share the registry.
#[derive(Clone, Default)]
pub struct People {
    here: Arc<Mutex<Here>>,
    /// All are to be looked up again.
    doubt: Arc<Notify>,
}

#[derive(Default)]
struct Here {
    /// Member → their connections.
    members: HashMap<String, HashMap<u64, Connection>>,
    next: u64,
    /// How often somebody was dismissed: whoever was looked up before may be one of them.
    changes: u64,
}

struct Connection {
    session: Option<String>,
    role: Option<Mark>,
    tell: oneshot::Sender<Dismissed>,
    reads: mpsc::Sender<ReadUpTo>,
}

/// A connection's place among the people who are here, until it is dropped.
pub struct Stay {
    people: People,
    member: String,
    number: u64,
    told: Option<oneshot::Receiver<Dismissed>>,
    reads: mpsc::Receiver<ReadUpTo>,
}

impl Stay {
    /// Waits until it has to go; for ever if it has been told, or never is.
    pub async fn dismissed(&mut self) -> Dismissed {
        if let Some(told) = &mut self.told {
            let why = told.await;
            self.told = None;
            if let Ok(why) = why {
                return why;
            }
        }
        std::future::pending().await
    }

    async fn news(&mut self) -> News {
        let Self { told, reads, .. } = self;
        let dismissed = async {
            if let Some(told) = told
                && let Ok(why) = told.await
            {
                return why;
            }
            std::future::pending().await
        };
        tokio::select! {
            why = dismissed => {
                self.told = None;
                News::Dismissed(why)
            }
            Some(read) = reads.recv() => News::Read(read),
        }
    }
}

/// Waits for what a connection is to be told; for ever while nobody knows whose it is.
pub async fn news(stay: &mut Option<Stay>) -> News {
    match stay {
        Some(stay) => stay.news().await,
        None => std::future::pending().await,
    }
}

/// Waits until a connection has to go; for ever while nobody knows whose it is.
pub async fn dismissed(stay: &mut Option<Stay>) -> Dismissed {
    match stay {
        Some(stay) => stay.dismissed().await,
        None => std::future::pending().await,
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut here = self.people.here();
        if let Some(connections) = here.members.get_mut(&self.member) {
            connections.remove(&self.number);
            if connections.is_empty() {
                here.members.remove(&self.member);
            }
        }
    }
}

impl People {
    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be asked before somebody is looked up.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.here().changes
    }

    /// Somebody came, who was looked up after [`Self::changes`] said `since`. None if that may no longer be true.
    #[must_use]
    pub fn arrive(&self, since: u64, seen: &Seen, role: Option<Mark>) -> Option<Stay> {
        let mut here = self.here();
        if here.changes != since {
            return None;
        }
        let number = here.next;
        here.next += 1;
        let (tell, told) = oneshot::channel();
        let (read, reads) = mpsc::channel(READS);
        let connection = Connection { session: seen.session.clone(), role, tell, reads: read };
        here.members.entry(seen.member.clone()).or_default().insert(number, connection);
        let (people, member) = (self.clone(), seen.member.clone());
        Some(Stay { people, member, number, told: Some(told), reads })
    }

    /// How many connections are here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.here().members.values().map(HashMap::len).sum()
    }

    /// A replica told something.
    pub fn hear(&self, control: &Control) {
        if let Some(read) = ReadUpTo::read(control) {
            let here = self.here();
            let devices = here.members.get(&control.member).into_iter().flatten();
            // One that has not taken what came before is told later, by what comes then.
            devices.for_each(|(_, device)| drop(device.reads.try_send(read.clone())));
            return;
        }
        let Some(dismissal) = Dismissal::read(control) else { return };
        let mut here = self.here();
        here.changes += 1;
        let Some(connections) = here.members.get_mut(&control.member) else { return };
        let ended: Vec<(u64, Dismissed)> = connections
            .iter()
            .filter_map(|(number, one)| Some((*number, dismissal.ends(one.session.as_deref())?)))
            .collect();
        for (number, why) in ended {
            // It may be ending by itself.
            let _ = connections.remove(&number).map(|one| one.tell.send(why));
        }
        if connections.is_empty() {
            here.members.remove(&control.member);
        }
    }

    /// What replicas told each other may be missing.
    pub fn doubt(&self) {
        self.here().changes += 1;
        self.doubt.notify_one();
    }

    /// Ends connections on all replicas, here at once.
    ///
    /// # Errors
    /// If the others may not have been told: they notice when they next look.
    pub async fn dismiss(
        &self,
        log: &Log,
        member: &str,
        dismissal: &Dismissal,
    ) -> Result<(), LogError> {
        let control = dismissal.control(member);
        self.hear(&control);
        log.tell_control(&control).await
    }

    /// Looks up all who are here from time to time, until cancelled by dropping.
    pub async fn keep(&self, accounts: &Accounts) {
        loop {
            let _ = tokio::time::timeout(LOOK_EVERY, self.doubt.notified()).await;
            while let Err(error) = self.look(accounts).await {
                error.note("a look at the people who are here");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Looks up all who are here, and ends the connections of those who may not be.
    ///
    /// # Errors
    /// If the accounts cannot be reached.
    pub async fn look(&self, accounts: &Accounts) -> Result<(), LogError> {
        let (seen, roles) = self.seen();
        let standing = accounts.standing(&seen).await?;
        for ((seen, role), standing) in seen.iter().zip(roles).zip(standing) {
            let dismissal = match (standing, &seen.session) {
                (Standing::Banned, _) => Dismissal::Banned,
                (Standing::SignedOut, Some(session)) => Dismissal::SignedOut(session.clone()),
                (Standing::Welcome(now), Some(_)) if now != role => Dismissal::Changed,
                (Standing::Welcome(_) | Standing::SignedOut, _) => continue,
            };
            self.hear(&dismissal.control(&seen.member));
        }
        Ok(())
    }

    /// Each member's sessions here, once, and the role that they came with.
    fn seen(&self) -> (Vec<Seen>, Vec<Option<Mark>>) {
        let here = self.here();
        let all = here.members.iter().flat_map(|(member, connections)| {
            let mut sessions: Vec<_> =
                connections.values().map(|one| (one.session.clone(), one.role)).collect();
            sessions.sort_by(|one, other| one.0.cmp(&other.0));
            sessions.dedup_by(|one, other| one.0 == other.0);
            let seen = |(session, role)| (Seen { member: member.clone(), session }, role);
            sessions.into_iter().map(seen).collect::<Vec<_>>()
        });
        all.unzip()
    }
}

#[cfg(test)]
mod tests;
