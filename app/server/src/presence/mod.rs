//! The members of rooms, on any replica: seats of connections here, one lease for all of them there.
//!
//! The lease is the replica's: each process is an **incarnation** with a name that no other has, and renews one lease,
//! four times in its length. Members are held by incarnations. A member leaves with its last connection, if that says
//! so; a connection that closes without a word keeps its member for the length of a lease, so that a move or a
//! reconnect is invisible; and when an incarnation's lease was not renewed, the others end what it held.
//!
//! Whatever the store may have lost is told to it again before anybody is believed gone ([`Pulse`]).

mod entry;
mod local;
mod memory;
mod pulse;
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
    time::{Instant, MissedTickBehavior},
};
use tracing::warn;

use self::{
    entry::Present,
    local::{Local, MEMBERS_A_CALL, Task},
    pulse::{Beat, Pulse},
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
            pulse: Mutex::new(Pulse::new(replica, lease)),
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

    /// Compares a room with the store, and makes up for what that has lost of this replica's members; ends what ran out.
    /// Returns who is in the room. Whether all who are not are gone is looked at twice if by that somebody `loses`.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn compare(
        &self,
        room: &str,
        loses: impl FnOnce(&Snapshot) -> bool,
    ) -> Result<Snapshot, LogError> {
        let told = self.local().told(room);
        let present = self.0.store.present(room).await?;
        let read = Instant::now();
        let is_complete = self.make_up(room, &told, &present);
        self.refresh_v2(room, &told, &present).await?;
        self.reap_suspects(room, &present, read).await?;
        let is_steady = is_complete && self.pulse().asks().is_some();
        let mut snapshot =
            Snapshot { at: present.at, members: present.members(), is_whole: is_steady };
        if is_steady && loses(&snapshot) {
            if !self.pulse().is_renewed_since(read) {
                self.renew().await?;
            }
            snapshot.is_whole = self.pulse().asks().is_some();
        }
        Ok(snapshot)
    }

    /// Tells the store again who is here if it does not know, and of whom it has here that is not. `told` it knew before
    /// `present` was read: false if it has lost some of them.
    fn make_up(&self, room: &str, told: &[String], present: &Present) -> bool {
        let holder = self.pulse().holder().to_owned();
        let lost: Vec<_> =
            told.iter().filter(|member| !present.is_on(&holder, member)).cloned().collect();
        let mut local = self.local();
        let is_complete = local.tell_again(room, &lost) == 0;
        for (member, entry) in &present.held {
            if entry.on.contains(&holder) {
                local.disown(room, member, &entry.name);
            }
        }
        drop(local);
        if !is_complete {
            self.pulse().doubt();
        }
        self.0.owed.notify_one();
        is_complete
    }

    /// Keeps what the release before has of a room true for the members here.
    async fn refresh_v2(
        &self,
        room: &str,
        told: &[String],
        present: &Present,
    ) -> Result<(), LogError> {
        let Some(v2) = &present.v2 else { return Ok(()) };
        let ends = |member: &String| v2.near.contains_key(member) || !v2.names.contains_key(member);
        let ending: Vec<_> = told.iter().filter(|member| ends(member)).cloned().collect();
        if self.local().tell_again(room, &ending) > 0 {
            self.0.owed.notify_one();
        } else if v2.ends_in.is_some_and(|ms| u128::from(ms) < 6 * self.0.lease.as_millis()) {
            let holder = self.pulse().holder().to_owned();
            self.0.store.enter(room, &holder, &[]).await?;
        }
        Ok(())
    }

    /// Ends what ran out of a room, as it was `read`.
    async fn reap_suspects(
        &self,
        room: &str,
        present: &Present,
        read: Instant,
    ) -> Result<(), LogError> {
        let suspects = present.suspects(self.pulse().living(), self.0.lease);
        if suspects.is_empty() || self.pulse().asks().is_none() {
            return Ok(());
        }
        let mut dead = present.holders(&suspects);
        // Whoever held a member when that was read, and has no lease after it, is dead for good.
        if !dead.is_empty() && !self.pulse().is_renewed_since(read) {
            self.renew().await?;
        }
        dead.retain(|holder| !self.pulse().living().contains(holder));
        let dead: Vec<_> = dead.into_iter().collect();
        for members in suspects.chunks(MEMBERS_A_CALL) {
            self.reap(room, &dead, members).await?;
        }
        Ok(())
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

    /// Renews the lease, tells the store what it has yet to be told, and ends what ran out of this replica's members,
    /// until cancelled by dropping.
    pub async fn keep(&self) {
        // Side by side: whatever is slow must not cost the lease.
        tokio::join!(self.keep_lease(), self.keep_members());
    }

    async fn keep_lease(&self) {
        let mut failing = false;
        loop {
            let renewed = self.renew().await;
            match &renewed {
                Err(error) if !failing => warn!(%error, "presence: the lease cannot be renewed"),
                _ => {}
            }
            failing = renewed.is_err();
            // After a failure others may be waiting for this one before they end what it holds.
            let parts = if failing { 16 } else { 4 };
            tokio::time::sleep(self.0.lease / parts).await;
        }
    }

    async fn keep_members(&self) {
        let mut ticks = tokio::time::interval(self.0.lease / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.reap_overdue().await,
                () = self.0.owed.notified() => {}
            }
            self.tell_owed().await;
        }
    }

    /// Renews the lease, or waits for the renewal that is under way.
    async fn renew(&self) -> Result<(), LogError> {
        let since = Instant::now();
        let mut last = self.0.renewing.lock().await;
        if let Some((_, failed)) = last.as_ref().filter(|(ended, _)| *ended >= since) {
            return failed.clone().map_or(Ok(()), Err);
        }
        let outcome = match self.renew_once().await {
            Ok(Beat::Lost) => self.renew_once().await.map(drop),
            other => other.map(drop),
        };
        *last = Some((Instant::now(), outcome.clone().err()));
        outcome
    }

    async fn renew_once(&self) -> Result<Beat, LogError> {
        let (holder, asks, is_known) = {
            let pulse = self.pulse();
            (pulse.holder().to_owned(), pulse.asks(), pulse.is_known())
        };
        let asked = Instant::now();
        let renewal = self.0.store.renew(&holder, asks, is_known).await;
        let renewal = renewal.inspect_err(|_| self.pulse().doubt())?;
        let beat = self.pulse().renewed(asked, renewal);
        if beat == Beat::Doubtful {
            self.local().begin_epoch();
            self.0.owed.notify_one();
        }
        Ok(beat)
    }

    /// Ends members whose connections closed a lease ago.
    async fn reap_overdue(&self) {
        let now = Instant::now();
        let overdue = self.local().overdue(now);
        stream::iter(overdue)
            .for_each_concurrent(ROOMS_AT_ONCE, async |(room, members)| {
                for members in members.chunks(MEMBERS_A_CALL) {
                    // What fails is overdue at the next time, too.
                    if matches!(self.reap(&room, &[], members).await, Ok(true)) {
                        self.local().reaped(&room, members, now);
                    }
                }
            })
            .await;
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
        let store = &self.0.store;
        match task {
            Task::Enter(members) => {
                store.enter(room, &holder, members).await?;
                self.local().entered(room, members, epoch);
            }
            Task::Part(members) => {
                let lingering = store.part(room, &holder, members).await?;
                self.local().parted(room, members, &lingering, self.0.lease);
            }
            Task::Leave(members) => {
                store.leave(room, &holder, members).await?;
                self.local().left(room, members);
            }
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

    /// This replica ends: whoever is still here has a lease's time to come back elsewhere.
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
