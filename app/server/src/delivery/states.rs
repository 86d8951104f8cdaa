//! What is true of rooms beside what was said there: who may be there, and what a list of rooms tells of them.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use rollcall_protocol::{Access, Member};

use super::rooms::{OpenRoom, Rooms};
use crate::{
    error::JoinError,
    log::{About, Changed, Forbidden, LogError, unix_ms},
    moderation::{Actor, secret_hash},
};

/// What an invitation to a private room is to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    /// They may be there anyway.
    NeedsNone,
    /// It lets them in.
    Yes,
    /// It is worth nothing.
    Void,
}

impl Rooms {
    fn find_loaded(&self, name: &str) -> Option<Arc<OpenRoom>> {
        self.find(name).filter(|open| open.loaded.initialized())
    }

    /// What is true of a room beside what was said there.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn about(&self, name: &str) -> Result<Arc<About>, LogError> {
        match self.find_loaded(name) {
            Some(open) => Ok(open.room.about()),
            None => Ok(Arc::new(self.log().about(name).await?)),
        }
    }

    /// The same for a list of rooms, and how many are there: as it was two seconds ago at most.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn look(&self, name: &str) -> Result<(Arc<About>, usize), LogError> {
        if let Some(open) = self.find_loaded(name) {
            return Ok((open.room.about(), open.room.present()));
        }
        if let Some(look) = self.inner.looks.get(name) {
            return Ok(look);
        }
        let (about, present) = self.log().look(name).await?;
        let look = (Arc::new(about), present);
        self.inner.looks.put(name, &look);
        Ok(look)
    }

    /// How many are in a room, and who; at most as many are named as a `joined` names.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn members(&self, name: &str) -> Result<(usize, Vec<Member>), LogError> {
        if let Some(open) = self.find_loaded(name) {
            return Ok(open.room.members());
        }
        let all = self.presence().snapshot(name).await?.members;
        let present = all.len();
        let named = all.into_iter().take(self.inner.room_limits.listed);
        Ok((present, named.map(|(member, name)| Member { member, name }).collect()))
    }

    /// Reads a room's state anew, if it is open here.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn refresh(&self, name: &str) -> Result<(), LogError> {
        self.inner.looks.forget(name);
        if let Some(open) = self.find(name) {
            open.room.set_about(self.log().about(name).await?);
        }
        Ok(())
    }

    /// A room's state changed: it is read anew.
    pub(super) fn state_changed(&self, name: &str) {
        self.inner.looks.forget(name);
        if let Some(open) = self.find(name) {
            open.about_is_stale.store(true, Relaxed);
            self.inner.suspicion.notify_one();
        }
    }

    /// What an invitation to a private room is to somebody.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn invited(
        &self,
        name: &str,
        who: &Actor,
        invite: &str,
    ) -> Result<Invited, LogError> {
        let about = self.log().about(name).await?;
        match about.bars(&who.member.member, who.has_power, unix_ms()) {
            None => return Ok(Invited::NeedsNone),
            Some(Forbidden::Private) if about.access() == Access::Private => {}
            Some(_) => return Ok(Invited::Void),
        }
        match about.invite() == Some(&secret_hash(invite)) {
            true => Ok(Invited::Yes),
            false => Ok(Invited::Void),
        }
    }

    /// Lets somebody into a private room who has its invitation. False if it knows of as many people as it can.
    ///
    /// # Errors
    /// If the log does not answer, or nobody knows whether it was done: done twice it is the same.
    pub async fn let_in(&self, name: &str, who: &Actor) -> Result<bool, LogError> {
        let is_in = self.log().change(&who.come_in(name)).await? != Changed::Full;
        self.refresh(name).await?;
        Ok(is_in)
    }

    /// Whether there is such a room, whoever asks.
    ///
    /// # Errors
    /// If nobody made it, and somebody has to; or the log does not answer.
    pub async fn check_there(&self, name: &str) -> Result<(), JoinError> {
        match self.log().unmade(name) {
            Some(_) => self.check_made(name, &*self.about(name).await?),
            None => Ok(()),
        }
    }

    pub(super) fn check_made(&self, name: &str, about: &About) -> Result<(), JoinError> {
        match self.log().unmade(name).filter(|_| !about.is_made()) {
            Some(why) => Err(JoinError::Barred(why)),
            None => Ok(()),
        }
    }
}
