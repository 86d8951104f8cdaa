//! Accounts in Redis, shared by all replicas.

use std::time::Duration;

use ::redis::FromRedisValue;

use super::model::{
    Kept, Made, NewAccount, Person, RoleSet, Seen, Standing, Started, role_of, role_word,
};
use super::name::Name;
use crate::log::{Library, Link, LogError};

const LIBRARY: Library = Library {
    name: "rollcall_accounts_v1",
    text: concat!(
        "#!lua name=rollcall_accounts_v1\n",
        include_str!("../log/common.lua"),
        include_str!("../log/bounds.lua"),
        include_str!("accounts.lua")
    ),
};
/// The key that every call has: it says where the others are.
const BANNED: &str = "{chat}:banned";
/// People who are looked up at once.
const AT_ONCE: usize = 200;

/// The accounts of one Redis. Clones share the connection.
#[derive(Clone)]
pub struct RedisAccounts {
    link: Link,
    /// New accounts are refused from this much of the memory on.
    new_below: f64,
}

impl RedisAccounts {
    /// Those behind `link`; `new_below` is how full it may be for new ones, 0 to 1.
    #[must_use]
    pub fn new(link: Link, new_below: f64) -> Self {
        Self { link, new_below }
    }

    async fn read<T: FromRedisValue>(
        &self,
        function: &'static str,
        args: &[&str],
    ) -> Result<T, LogError> {
        self.link.call_in(&LIBRARY, function, &[BANNED.to_owned()], args).await
    }

    /// Once this has answered, it is on as many disks as a message is.
    async fn write<T: FromRedisValue>(
        &self,
        function: &'static str,
        args: &[&str],
    ) -> Result<T, LogError> {
        self.link.call_kept_in(&LIBRARY, function, &[BANNED.to_owned()], args).await
    }

    async fn make(
        &self,
        function: &'static str,
        name: &Name,
        secret: &str,
    ) -> Result<Made, LogError> {
        let ([first, second], member) = (&name.skeletons, name.member());
        let new_below = self.new_below.to_string();
        let args = [&*name.folded, first, second, &*name.shown, &*member, &*new_below, secret];
        let made: String = self.write(function, &args).await?;
        Ok(match made.as_str() {
            "created" => Made::Created,
            "rotated" => Made::Rotated,
            "taken" => Made::Taken,
            "full" => Made::Full,
            _ => return Err(LogError::Unknown(format!("an account was {made}"))),
        })
    }

    pub(super) async fn create(&self, new: &NewAccount) -> Result<Made, LogError> {
        self.make("rollcall_create_account_v1", &new.name, &new.password).await
    }

    pub(super) async fn make_bot(&self, name: &Name, hash: &str) -> Result<Made, LogError> {
        self.make("rollcall_make_bot_v1", name, hash).await
    }

    pub(super) async fn account(&self, folded: &str) -> Result<Option<Kept>, LogError> {
        let its: Vec<String> = self.read("rollcall_read_account_v1", &[folded]).await?;
        Ok(match &its[..] {
            [name, member, role, password] => Some(Kept {
                name: name.clone(),
                member: member.clone(),
                role: role_of(role),
                password: password.clone(),
            }),
            _ => None,
        })
    }

    pub(super) async fn open_session(
        &self,
        folded: &str,
        password: &str,
        hash: &str,
        ttl: Duration,
        most: usize,
    ) -> Result<Started, LogError> {
        let (ttl, most) = (ttl.as_millis().to_string(), most.to_string());
        let args = [folded, password, hash, &ttl, &most];
        let told: Vec<String> = self.write("rollcall_open_session_v1", &args).await?;
        let [_, ends, ended @ ..] = &told[..] else { return Ok(None) };
        let ends = ends.parse().map_err(|_| LogError::Unknown(format!("{told:?}")))?;
        Ok(Some((ends, ended.to_vec())))
    }

    /// None if there is no such session; and whether its member is banned.
    pub(super) async fn session(&self, hash: &str) -> Result<Option<(Person, bool)>, LogError> {
        let its: Vec<String> = self.read("rollcall_read_session_v1", &[hash]).await?;
        let [folded, name, member, role, left, banned] = &its[..] else { return Ok(None) };
        let person = Person {
            member: member.clone(),
            name: name.clone(),
            folded: folded.clone(),
            role: role_of(role),
            session: hash.to_owned(),
            // -1 for ever.
            left_ms: left.parse().ok(),
        };
        Ok(Some((person, !banned.is_empty())))
    }

    pub(super) async fn renew(&self, hash: &str, ttl: Duration) -> Result<Option<u64>, LogError> {
        let ttl = ttl.as_millis().to_string();
        let ends: String = self.write("rollcall_renew_session_v1", &[hash, &ttl]).await?;
        Ok(ends.parse().ok())
    }

    pub(super) async fn end_session(&self, hash: &str) -> Result<(), LogError> {
        self.write::<u64>("rollcall_end_session_v1", &[hash]).await.map(drop)
    }

    pub(super) async fn end_sessions(&self, folded: &str) -> Result<(), LogError> {
        self.write::<u64>("rollcall_end_sessions_v1", &[folded]).await.map(drop)
    }

    pub(super) async fn set_role(
        &self,
        folded: &str,
        role: rollcall_protocol::Mark,
    ) -> Result<RoleSet, LogError> {
        let told: Vec<String> =
            self.write("rollcall_set_role_v1", &[folded, role_word(role)]).await?;
        Ok(match told.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["set", member, name] => {
                RoleSet::Of { member: member.to_owned(), name: name.to_owned() }
            }
            ["bot"] => RoleSet::Bot,
            _ => RoleSet::Nobody,
        })
    }

    /// Whether a name would pass for a reserved one, and whether that member is banned.
    pub(super) async fn guest(&self, name: &Name, member: &str) -> Result<(bool, bool), LogError> {
        let [first, second] = &name.skeletons;
        let told: (String, String) =
            self.read("rollcall_read_guest_v1", &[first, second, member]).await?;
        Ok((!told.0.is_empty(), !told.1.is_empty()))
    }

    /// False if there are too many.
    pub(super) async fn ban(&self, member: &str, span: Duration) -> Result<bool, LogError> {
        let span = span.as_millis().to_string();
        self.write("rollcall_ban_v1", &[member, &span]).await
    }

    pub(super) async fn unban(&self, member: &str) -> Result<(), LogError> {
        self.write::<u64>("rollcall_unban_v1", &[member]).await.map(drop)
    }

    pub(super) async fn standing(&self, seen: &[Seen]) -> Result<Vec<Standing>, LogError> {
        let mut all = Vec::with_capacity(seen.len());
        for seen in seen.chunks(AT_ONCE) {
            let args: Vec<&str> = seen
                .iter()
                .flat_map(|seen| [&*seen.member, seen.session.as_deref().unwrap_or_default()])
                .collect();
            let told: Vec<String> = self.read("rollcall_read_standing_v1", &args).await?;
            all.extend(told.iter().map(|word| match word.as_str() {
                "banned" => Standing::Banned,
                "out" => Standing::SignedOut,
                "" => Standing::Welcome(None),
                role => Standing::Welcome(Some(role_of(role))),
            }));
        }
        Ok(all)
    }
}
