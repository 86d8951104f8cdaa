//! The members of rooms, on any replica: seats of connections here, one lease for all of them there.
//!
//! The lease is the replica's: each process is an **incarnation** with a name that no other has, and renews one lease,
//! four times in its length. Members are held by incarnations. A member leaves with its last connection, if that says
//! so; a connection that closes without a word keeps its member for the length of a lease, so that a move or a
//! reconnect is invisible; and when an incarnation's lease was not renewed, the others end what it held.
//!
//! Whatever the store may have lost is told to it again before anybody is believed gone ([`Pulse`]).

mod compare;
mod entry;
mod keep;
mod local;
mod memory;
pub(crate) mod pulse;
mod redis;
mod store;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use rollcall_protocol::{EntryId, Member};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::Instant,
};
use tracing::warn;

use self::{
    local::{Local, Task},
    pulse::{Pulse, incarnation_lease},
};
pub use self::{memory::MemoryPresence, redis::RedisPresence, store::Store};
use crate::log::LogError;

/// Rooms of which the store is told something at once.
const ROOMS_AT_ONCE: usize = 16;

/// Who was in a room at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Feed events up to this ID are part of it.
    pub at: EntryId,
    /// Member → name.
    pub members: BTreeMap<String, String>,
    /// Members that are not in it are gone. Otherwise the store may have lost members, and they have yet to be told again.
    pub is_whole: bool,
}

/// The presence of this replica's connections, and of everybody else. Clones share it.
#[derive(Clone)]
pub struct Presence(Arc<Inner>);

struct Inner {
    store: Store,
    lease: Duration,
    /// A std mutex, as the next: held for a moment's bookkeeping, never over an await.
    pulse: Mutex<Pulse>,
    local: Mutex<Local>,
    /// One renewal at a time; when the last one ended, and how it failed if it did.
    renewing: AsyncMutex<Option<(Instant, Option<LogError>)>>,
    /// The store has yet to be told something.
    owed: Notify,
}

/// A connection's place in a room. Dropped, it keeps the member for the length of a lease.
pub struct Seat {
    presence: Presence,
    room: String,
    member: String,
    has_left: bool,
}

impl Presence {
    /// Nobody yet, on the replica of this name; `lease` is also the store's. Needs [`Presence::keep`].
    #[must_use]
    pub fn new(store: Store, replica: &str, lease: Duration) -> Self {
        Self(Arc::new(Inner {
            store,
            lease,
            pulse: Mutex::new(Pulse::new(replica, incarnation_lease(lease))),
            local: Mutex::default(),
            renewing: AsyncMutex::default(),
            owed: Notify::new(),
        }))
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.0.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.0.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each open room should be compared with the store ([`Presence::compare`]).
    #[must_use]
    pub fn compare_every(&self) -> Duration {
        self.0.lease / 2
    }

    /// The replicas that live, by name, as the last renewal of this one's lease told.
    #[must_use]
    pub fn replicas(&self) -> Vec<String> {
        let pulse = self.pulse();
        let bare =
            |holder: &String| Some(holder.strip_prefix("on-")?.rsplit_once('-')?.0.to_owned());
        pulse.living().iter().filter_map(bare).collect()
    }

    /// Seats a connection in a room. If its member is new there, the room is told.
    ///
    /// A store that refuses writes is no error: it is told later.
    ///
    /// # Errors
    /// If the store does not answer. The member may have been told to be there; then it is for the length of a lease.
    pub async fn enter(&self, room: &str, member: &Member) -> Result<Seat, LogError> {
        let since = Instant::now();
        let line = self.local().arrive(room, member);
        let seat = Seat {
            presence: self.clone(),
            room: room.to_owned(),
            member: member.member.clone(),
            has_left: false,
        };
        match self.tell_entered(&seat, line, since).await {
            Ok(()) | Err(LogError::Refused(_)) => Ok(seat),
            Err(error) => Err(error),
        }
    }

    async fn tell_entered(
        &self,
        seat: &Seat,
        line: Arc<AsyncMutex<()>>,
        since: Instant,
    ) -> Result<(), LogError> {
        if self.pulse().is_stale() {
            let renewed = self.renew().await;
            renewed.inspect_err(|error| self.local().not_entered(&seat.room, error.clone()))?;
        }
        let _turn = line.lock().await;
        while !self.local().is_told(&seat.room, &seat.member) {
            // One call told of all who waited, and failed for all.
            if let Some(error) = self.local().failed_since(&seat.room, since) {
                return Err(error);
            }
            self.tell_next(&seat.room).await?;
        }
        Ok(())
    }

    /// Who is in a room.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn snapshot(&self, room: &str) -> Result<Snapshot, LogError> {
        let present = self.0.store.present(room).await?;
        Ok(Snapshot { at: present.at, members: present.members(), is_whole: true })
    }

    /// Ends what ran out of some members. False if it is not the time to.
    async fn reap(
        &self,
        room: &str,
        dead: &[String],
        members: &[String],
    ) -> Result<bool, LogError> {
        let Some(asked) = self.pulse().asks() else { return Ok(false) };
        let now = self.0.store.reap(room, asked, dead, members).await?;
        Ok(self.pulse().answered(asked, now))
    }

    async fn tell_owed(&self) {
        let owed = self.local().take_owed();
        stream::iter(owed)
            .for_each_concurrent(ROOMS_AT_ONCE, async |(room, line)| {
                let _turn = line.lock().await;
                // The lease tells of an outage.
                let _ = self.tell_all(&room).await;
            })
            .await;
    }

    /// Tells the store all that it has yet to be told of a room, whose line the caller has.
    async fn tell_all(&self, room: &str) -> Result<(), LogError> {
        while self.tell_next(room).await? {}
        Ok(())
    }

    /// Tells the store one thing. False if there is nothing to tell.
    async fn tell_next(&self, room: &str) -> Result<bool, LogError> {
        let Some((task, epoch)) = self.local().next_task(room) else { return Ok(false) };
        let told = self.tell(room, &task, epoch).await;
        if let Err(error) = &told {
            let mut local = self.local();
            match task {
                Task::Enter(_) => local.not_entered(room, error.clone()),
                Task::Part(_) | Task::Leave(_) => local.owe(room),
            }
        }
        told.map(|()| true)
    }

    async fn tell(&self, room: &str, task: &Task, epoch: u64) -> Result<(), LogError> {
        let (holder, is_stale) = {
            let pulse = self.pulse();
            (pulse.holder().to_owned(), pulse.is_stale())
        };
        if is_stale {
            return Err(LogError::Refused("this replica's lease is not renewed".into()));
        }
        let lingering = self.0.store.tell(room, &holder, task).await?;
        let mut local = self.local();
        match task {
            Task::Enter(members) => local.entered(room, members, epoch),
            Task::Part(members) => local.parted(room, members, &lingering, self.0.lease),
            Task::Leave(members) => local.left(room, members),
        }
        Ok(())
    }

    /// Ends a member's presence, whoever holds it: for a mutant.
    pub(crate) async fn expel(&self, room: &str, member: &str) {
        let members = [member.to_owned()];
        if let Ok(present) = self.0.store.present(room).await {
            let holders: Vec<_> = present.holders(&members).into_iter().collect();
            let _ = self.0.store.reap(room, present.now, &holders, &members).await;
        }
    }

    /// Tells the room that a member is typing. Kept nowhere; lost if the store does not answer.
    pub async fn typing(&self, room: &str, member: &str, name: &str) {
        self.0.store.typing(room, member, name).await;
    }

    /// This replica ends: members that are still here have a lease's time to come back elsewhere.
    pub async fn close(&self) {
        self.local().close_all();
        self.tell_owed().await;
    }
}

impl Seat {
    /// The member says that it leaves. Without another connection it is gone at once, and the room is told.
    pub async fn leave(mut self) {
        self.has_left = true;
        let line = {
            let mut local = self.presence.local();
            if !local.depart(&self.room, &self.member, true) {
                return;
            }
            local.line(&self.room)
        };
        let Some(line) = line else { return };
        let _turn = line.lock().await;
        if let Err(error) = self.presence.tell_all(&self.room).await {
            warn!(%error, "presence: who left is told to leave later");
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.has_left && self.presence.local().depart(&self.room, &self.member, false) {
            self.presence.0.owed.notify_one();
        }
    }
}
