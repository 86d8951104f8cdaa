//! Accounts: names that are somebody's, the sessions that show it, and who may not be here.

mod memory;
mod model;
mod name;
mod password;
mod redis;
mod store;
mod token;

use std::time::Duration;

use rollcall_protocol::Mark;
use tracing::warn;

use self::{
    model::{Made, NewAccount, RoleSet},
    name::{Name, guest_name},
    password::{Busy, Passwords},
};
use crate::log::LogError;

pub use self::{
    memory::MemoryAccounts,
    model::{
        AccountError, Arriving, Dismissed, Identity, NotIdentified, Opened, Person, Seen, Standing,
    },
    name::OPERATOR,
    redis::RedisAccounts,
    store::Store,
    token::Token,
};

/// Sessions of one account; with more, the one that would end first ends.
pub const MOST_SESSIONS: usize = 32;
/// A session is renewed once so much of its time has passed.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A password's length, bytes.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
/// Whoever waits to come in is not kept waiting for longer.
const ASK_WITHIN: Duration = Duration::from_millis(1500);
/// A write whose outcome is unknown is tried again: done twice it is the same.
const TRIES: usize = 3;

/// The accounts. Clones share them.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    session: Duration,
}

impl Accounts {
    /// The accounts in `store`, whose sessions go on for `session` after they were last renewed.
    #[must_use]
    pub fn new(store: Store, session: Duration) -> Self {
        Self { store, passwords: Passwords::new(), session }
    }

    /// What a name's account is kept under, for whoever counts by it.
    #[must_use]
    pub fn folded(name: &str) -> String {
        Name::new(name).folded
    }

    /// Makes an account. `name` is one that a person may have.
    ///
    /// # Errors
    /// [`AccountError::Taken`], [`AccountError::Reserved`], [`AccountError::BadPassword`], [`AccountError::Busy`],
    /// [`AccountError::Full`], or that the outcome is unknown.
    pub async fn create(&self, name: &str, password: String) -> Result<String, AccountError> {
        let name = open_to_all(name)?;
        if !PASSWORD_BYTES.contains(&password.len()) {
            return Err(AccountError::BadPassword);
        }
        let password = self.passwords.hash(password).await?;
        let new = NewAccount { name, password };
        settled(|| self.store.create(&new)).await.map(made)??;
        Ok(new.name.member())
    }

    /// Begins a session. It takes as long whether there is such an account or not.
    ///
    /// # Errors
    /// [`AccountError::Wrong`], [`AccountError::Busy`], or that the accounts cannot be reached.
    pub async fn sign_in(&self, name: &str, password: String) -> Result<Opened, AccountError> {
        let folded = Name::new(name).folded;
        let kept = self.store.account(&folded).await?;
        // A bot has no password.
        let kept = kept.filter(|kept| !kept.password.is_empty());
        let is_possible = PASSWORD_BYTES.contains(&password.len());
        // Hashed all the same: how long it takes says nothing. It is bounded by the longest body.
        let hash = kept.as_ref().filter(|_| is_possible).map(|kept| kept.password.clone());
        let is_right = self.passwords.is_right(password, hash).await?;
        let kept = kept.filter(|_| is_right).ok_or(AccountError::Wrong)?;
        let token = Token::random().map_err(no_randomness)?;
        let hash = token.hash();
        let whose = (&*folded, &*kept.password);
        let open = || self.store.open_session(whose, &hash, self.session, MOST_SESSIONS);
        let (ends, ended) = settled(open).await?.ok_or(AccountError::Wrong)?;
        let left_ms = Some(self.session.as_millis() as u64);
        let (member, name, role) = (kept.member, kept.name, kept.role);
        let person = Person { member, name, folded, role, session: hash, left_ms };
        Ok(Opened { token, person, ends: Some(ends), ended })
    }

    /// Makes a bot, or gives one a new token in place of its old one.
    ///
    /// # Errors
    /// [`AccountError::Taken`], [`AccountError::Reserved`], [`AccountError::Full`], or that the outcome is unknown.
    pub async fn make_bot(&self, name: &str) -> Result<Opened, AccountError> {
        let name = open_to_all(name)?;
        let token = Token::random().map_err(no_randomness)?;
        let hash = token.hash();
        settled(|| self.store.make_bot(&name, &hash)).await.map(made)??;
        let person = Person {
            member: name.member(),
            folded: name.folded,
            name: name.shown,
            role: Mark::Bot,
            session: hash,
            left_ms: None,
        };
        Ok(Opened { token, person, ends: None, ended: Vec::new() })
    }

    /// The person that a token is of. A session that was not renewed for a day is renewed.
    ///
    /// # Errors
    /// As [`NotIdentified`] says: never a guest in place of somebody who cannot be looked up.
    pub async fn person(&self, token: &Token) -> Result<Person, NotIdentified> {
        if !token.is_well_formed() {
            return Err(NotIdentified::BadToken);
        }
        let looked = in_time(self.store.session(&token.hash())).await;
        let found = looked.map_err(|error| {
            error.note("a look at a session");
            NotIdentified::Unavailable
        })?;
        let (mut person, is_banned) = found.ok_or(NotIdentified::BadToken)?;
        if is_banned {
            return Err(NotIdentified::Banned);
        }
        self.renew(&mut person).await;
        Ok(person)
    }

    async fn renew(&self, person: &mut Person) {
        let whole = self.session;
        let passed = person.left_ms.map(|left| whole.saturating_sub(Duration::from_millis(left)));
        if passed.is_none_or(|passed| passed < RENEW_AFTER.min(whole / 2)) {
            return;
        }
        match in_time(self.store.renew(&person.session, whole)).await {
            Ok(Some(_)) => person.left_ms = Some(whole.as_millis() as u64),
            Ok(None) => {}
            // It goes on for long enough; the next time will do.
            Err(error) => error.note("renewing a session"),
        }
    }

    /// Who somebody is who comes in: a guest's name is never another's, and a guest is let in also while accounts cannot be
    /// looked up: then as if the name were somebody's, and whether they are banned is for the next look at all who are here.
    ///
    /// # Errors
    /// As [`NotIdentified`] says.
    pub async fn identify(&self, arriving: &Arriving) -> Result<Identity, NotIdentified> {
        if let Some(token) = &arriving.token {
            return self.person(token).await.map(Identity::Person);
        }
        let name = arriving.name.clone();
        let forms = Name::new(&name);
        match in_time(self.store.guest(&forms, &arriving.device)).await {
            Ok((_, true)) => Err(NotIdentified::Banned),
            Ok((is_reserved, _)) if is_reserved || forms.is_an_operators() => {
                Ok(Identity::Guest { name: guest_name(&name) })
            }
            Ok(_) => Ok(Identity::Guest { name }),
            Err(error) => {
                error.note("a look at a guest's name");
                // It may be somebody's, and they keep it for as long as they are here.
                let name = if forms.is_a_guests() { name } else { guest_name(&name) };
                Ok(Identity::Guest { name })
            }
        }
    }

    /// Ends one session.
    ///
    /// # Errors
    /// If the outcome is unknown.
    pub async fn sign_out(&self, person: &Person) -> Result<(), LogError> {
        settled(|| self.store.end_session(&person.session)).await
    }

    /// Ends all sessions of an account.
    ///
    /// # Errors
    /// If the outcome is unknown.
    pub async fn sign_out_everywhere(&self, person: &Person) -> Result<(), LogError> {
        settled(|| self.store.end_sessions(&person.folded)).await
    }

    /// Gives an account another role. Its member and its name.
    ///
    /// # Errors
    /// [`AccountError::Unknown`], [`AccountError::IsBot`], or that the outcome is unknown.
    pub async fn set_role(&self, name: &str, role: Mark) -> Result<(String, String), AccountError> {
        let folded = Name::new(name).folded;
        match settled(|| self.store.set_role(&folded, role)).await? {
            RoleSet::Of { member, name } => Ok((member, name)),
            RoleSet::Nobody => Err(AccountError::Unknown),
            RoleSet::Bot => Err(AccountError::IsBot),
        }
    }

    /// Keeps a member out, for so long or, without, for ever. False if too many are kept out.
    ///
    /// # Errors
    /// If the outcome is unknown.
    pub async fn ban(&self, member: &str, span: Option<Duration>) -> Result<bool, LogError> {
        settled(|| self.store.ban(member, span.unwrap_or_default())).await
    }

    /// Lets a member come again.
    ///
    /// # Errors
    /// If the outcome is unknown.
    pub async fn unban(&self, member: &str) -> Result<(), LogError> {
        settled(|| self.store.unban(member)).await
    }

    /// What is true of people who are here.
    ///
    /// # Errors
    /// If the accounts cannot be reached.
    pub async fn standing(&self, seen: &[Seen]) -> Result<Vec<Standing>, LogError> {
        self.store.standing(seen).await
    }
}

impl From<Busy> for AccountError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// A name that somebody may have.
fn open_to_all(name: &str) -> Result<Name, AccountError> {
    let name = Name::new(name);
    if name.is_a_guests() || name.is_an_operators() {
        return Err(AccountError::Reserved);
    }
    Ok(name)
}

fn made(made: Made) -> Result<(), AccountError> {
    match made {
        Made::Created | Made::Rotated => Ok(()),
        Made::Taken => Err(AccountError::Taken),
        Made::Full => Err(AccountError::Full),
    }
}

fn no_randomness(error: getrandom::Error) -> AccountError {
    warn!(%error, "the system has no randomness");
    AccountError::Busy
}

/// Asks for no longer than somebody waits.
async fn in_time<T>(asked: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    match tokio::time::timeout(ASK_WITHIN, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(LogError::Unknown("no answer in time".to_owned())),
    }
}

/// Tries what may be done twice again, if nobody knows whether it was done.
async fn settled<T, F: Future<Output = Result<T, LogError>>>(
    ask: impl Fn() -> F,
) -> Result<T, LogError> {
    let mut outcome = ask().await;
    for _ in 1..TRIES {
        if !matches!(outcome, Err(LogError::Unknown(_))) {
            break;
        }
        outcome = ask().await;
    }
    outcome
}
