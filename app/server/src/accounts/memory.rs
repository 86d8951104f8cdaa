//! Accounts of a single replica without Redis, gone with it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rollcall_protocol::Mark;

use super::model::{Kept, Made, NewAccount, Person, RoleSet, Seen, Standing, Started};
use super::name::Name;
use crate::log::unix_ms;

/// As in `accounts.lua`, and of accounts, since there is no other bound.
const MOST_BANS: usize = 65_536;
const MOST_ACCOUNTS: usize = 65_536;

/// The accounts of this process. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryAccounts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    accounts: HashMap<String, Kept>,
    /// Skeleton → folded name.
    skeletons: HashMap<String, String>,
    /// Hash of the token → the session.
    sessions: HashMap<String, Session>,
    /// Member → until when, Unix ms; 0 for ever.
    banned: HashMap<String, u64>,
}

struct Session {
    folded: String,
    /// Unix ms; none for never.
    ends: Option<u64>,
}

impl State {
    fn is_reserved(&self, name: &Name) -> bool {
        self.accounts.contains_key(&name.folded) || self.is_alike(name)
    }

    fn is_alike(&self, name: &Name) -> bool {
        name.skeletons.iter().any(|skeleton| self.skeletons.contains_key(skeleton))
    }

    fn add(&mut self, name: &Name, role: Mark, password: &str) -> Made {
        if self.is_reserved(name) {
            return Made::Taken;
        }
        if self.accounts.len() >= MOST_ACCOUNTS {
            return Made::Full;
        }
        for skeleton in &name.skeletons {
            self.skeletons.insert(skeleton.clone(), name.folded.clone());
        }
        let kept = Kept {
            name: name.shown.clone(),
            member: name.member(),
            role,
            password: password.to_owned(),
        };
        self.accounts.insert(name.folded.clone(), kept);
        Made::Created
    }

    fn forget_ended(&mut self, now: u64) {
        self.sessions.retain(|_, session| session.ends.is_none_or(|ends| ends > now));
    }

    fn session(&self, hash: &str, now: u64) -> Option<&Session> {
        self.sessions.get(hash).filter(|session| session.ends.is_none_or(|ends| ends > now))
    }

    fn is_banned(&self, member: &str, now: u64) -> bool {
        self.banned.get(member).is_some_and(|ends| *ends == 0 || *ends > now)
    }
}

fn in_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 2)
}

impl MemoryAccounts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create(&self, new: &NewAccount) -> Made {
        self.state().add(&new.name, Mark::Registered, &new.password)
    }

    pub(super) fn make_bot(&self, name: &Name, hash: &str) -> Made {
        let mut state = self.state();
        let is_bot = state.accounts.get(&name.folded).is_some_and(|kept| kept.role == Mark::Bot);
        let made = match is_bot {
            true => Made::Rotated,
            false => state.add(name, Mark::Bot, ""),
        };
        if matches!(made, Made::Created | Made::Rotated) {
            state.sessions.retain(|_, session| session.folded != name.folded);
            let session = Session { folded: name.folded.clone(), ends: None };
            state.sessions.insert(hash.to_owned(), session);
        }
        made
    }

    pub(super) fn account(&self, folded: &str) -> Option<Kept> {
        self.state().accounts.get(folded).cloned()
    }

    pub(super) fn open_session(
        &self,
        folded: &str,
        password: &str,
        hash: &str,
        ttl: Duration,
        most: usize,
    ) -> Started {
        let now = unix_ms();
        let mut state = self.state();
        state.accounts.get(folded).filter(|kept| kept.password == password)?;
        state.forget_ended(now);
        let own = state.sessions.iter().filter(|(_, session)| session.folded == folded);
        let mut own: Vec<_> = own.map(|(hash, session)| (session.ends, hash.clone())).collect();
        own.sort();
        let over = (own.len() + 1).saturating_sub(most);
        let ended: Vec<String> = own.into_iter().take(over).map(|(_, hash)| hash).collect();
        ended.iter().for_each(|hash| drop(state.sessions.remove(hash)));
        let ends = now + in_ms(ttl);
        let session = Session { folded: folded.to_owned(), ends: Some(ends) };
        state.sessions.insert(hash.to_owned(), session);
        Some((ends, ended))
    }

    pub(super) fn session(&self, hash: &str) -> Option<(Person, bool)> {
        let (state, now) = (self.state(), unix_ms());
        let session = state.session(hash, now)?;
        let kept = state.accounts.get(&session.folded)?;
        let person = Person {
            member: kept.member.clone(),
            name: kept.name.clone(),
            folded: session.folded.clone(),
            role: kept.role,
            session: hash.to_owned(),
            left_ms: session.ends.map(|ends| ends.saturating_sub(now)),
        };
        let is_banned = state.is_banned(&person.member, now);
        Some((person, is_banned))
    }

    pub(super) fn renew(&self, hash: &str, ttl: Duration) -> Option<u64> {
        let now = unix_ms();
        let mut state = self.state();
        state.session(hash, now)?;
        let ends = state.sessions.get_mut(hash)?.ends.as_mut()?;
        *ends = now + in_ms(ttl);
        Some(*ends)
    }

    pub(super) fn end_session(&self, hash: &str) {
        self.state().sessions.remove(hash);
    }

    pub(super) fn end_sessions(&self, folded: &str) {
        self.state().sessions.retain(|_, session| session.folded != folded);
    }

    pub(super) fn set_role(&self, folded: &str, role: Mark) -> RoleSet {
        match self.state().accounts.get_mut(folded) {
            None => RoleSet::Nobody,
            Some(kept) if kept.role == Mark::Bot => RoleSet::Bot,
            Some(kept) => {
                kept.role = role;
                RoleSet::Of { member: kept.member.clone(), name: kept.name.clone() }
            }
        }
    }

    pub(super) fn guest(&self, name: &Name, member: &str) -> (bool, bool) {
        let state = self.state();
        (state.is_alike(name), state.is_banned(member, unix_ms()))
    }

    pub(super) fn ban(&self, member: &str, span: Duration) -> bool {
        let now = unix_ms();
        let mut state = self.state();
        if state.banned.len() >= MOST_BANS {
            state.banned.retain(|_, ends| *ends == 0 || *ends > now);
        }
        if state.banned.len() >= MOST_BANS && !state.banned.contains_key(member) {
            return false;
        }
        let ends = if span.is_zero() { 0 } else { now + in_ms(span) };
        state.banned.insert(member.to_owned(), ends);
        true
    }

    pub(super) fn unban(&self, member: &str) {
        self.state().banned.remove(member);
    }

    pub(super) fn standing(&self, seen: &[Seen]) -> Vec<Standing> {
        let (state, now) = (self.state(), unix_ms());
        let standing = |seen: &Seen| {
            if state.is_banned(&seen.member, now) {
                return Standing::Banned;
            }
            let Some(hash) = &seen.session else { return Standing::Welcome(None) };
            let kept = state.session(hash, now).and_then(|s| state.accounts.get(&s.folded));
            kept.map_or(Standing::SignedOut, |kept| Standing::Welcome(Some(kept.role)))
        };
        seen.iter().map(standing).collect()
    }
}
