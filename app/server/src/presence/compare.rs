//! Rooms compared with the store: what it has lost is told to it again, and what ran out is ended.

use tokio::time::Instant;

use super::{
    Presence, Snapshot,
    entry::Present,
    local::{MEMBERS_A_CALL, Task},
};
use crate::log::LogError;

impl Presence {
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
            self.0.store.tell(room, &holder, &Task::Enter(Vec::new())).await?;
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
        // An incarnation that held a member when that was read, and has no lease after it, is dead for good.
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
}
