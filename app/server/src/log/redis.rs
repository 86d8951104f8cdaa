//! The room logs in Redis.

use std::sync::Arc;

use redis::streams::StreamRangeReply;
use rollcall_protocol::{EntryId, Kind};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tracing::warn;

use super::{
    about::{About, Change, Changed},
    entry::read_entry,
    feeds,
    janitor::Janitor,
    link::{Link, PARTITIONS, feed_key, room_key, rooms_key, rooms_of},
    model::{Appended, Control, FeedEvent, Forbidden, LogError, NewEntry, Page, Refusal, Usage},
    splice,
    usage::Watched,
};
use crate::{
    config::LogBounds,
    mutants::{self, Mutant},
};

/// Room logs in Redis.
#[derive(Clone)]
pub struct RedisLog {
    link: Link,
    bounds: Arc<LogBounds>,
    watched: Arc<Watched>,
}

impl RedisLog {
    /// Logs within `bounds`.
    #[must_use]
    pub fn new(link: Link, bounds: LogBounds) -> Self {
        Self { link, bounds: Arc::new(bounds), watched: Arc::default() }
    }

    pub(super) async fn append(
        &self,
        new: &NewEntry,
        since: Option<EntryId>,
    ) -> Result<Appended, LogError> {
        if mutants::active(Mutant::NoFsync) {
            self.answer_before_fsync().await;
        }
        let appended = self.append_as(new, new.sender(), since).await;
        if mutants::active(Mutant::NoDedup) && matches!(appended, Ok(Appended::Duplicate(_))) {
            // The counter of somebody new remembers nothing.
            let somebody = format!("{:?}", std::time::Instant::now());
            return self.append_as(new, &somebody, since).await;
        }
        if mutants::active(Mutant::SaysMore) {
            self.tell(&new.room, &["kind", "later", "room", &new.room]).await;
        }
        appended
    }

    /// Appends what `n`'s counter, that of `sender`, takes.
    async fn append_as(
        &self,
        new: &NewEntry,
        sender: &str,
        since: Option<EntryId>,
    ) -> Result<Appended, LogError> {
        let keys = keys_of(&new.room, sender);
        let bounds = &self.bounds;
        let numbers_kept = bounds.numbers_kept_at(self.usage().pressure());
        let numbers_kept = mutants::number_kept().unwrap_or(numbers_kept);
        let since = since.filter(|_| mutants::number_kept().is_none());
        let extra = &new.extra;
        let rest = [
            hash(&new.said()),
            nonce(),
            nonce(),
            bounds.log_entries.to_string(),
            bounds.log_bytes.to_string(),
            bounds.feed_entries.to_string(),
            bounds.feed_bytes.to_string(),
            bounds.senders_for(new.is_in_room).to_string(),
            numbers_kept.as_millis().to_string(),
            bounds.numbers_spared().as_millis().to_string(),
            bounds.new_rooms_below().to_string(),
            since.map_or_else(String::new, |id| id.to_string()),
            word(extra.kind),
            word(extra.of),
            word(extra.mark),
            power(new.has_power).to_owned(),
            self.unmade(&new.room).to_owned(),
        ];
        let n = new.n.to_string();
        let mut args = vec![&*new.room, sender, &*new.member, &*new.name, &*n, &*new.text];
        args.extend(rest.iter().map(String::as_str));
        let function = match extra.kind {
            Some(Kind::Remove) => "rollcall_remove_v4",
            _ => "rollcall_append_v4",
        };
        let reply: Vec<String> = self.link.call_kept(function, &keys, &args).await?;
        read_appended(&reply)
    }

    pub(super) fn bounds(&self) -> &LogBounds {
        &self.bounds
    }

    /// What the functions answer as long as a room was not made; '' where any name is a room.
    fn unmade(&self, room: &str) -> &'static str {
        match self.bounds.unmade(room) {
            None => "",
            Some(Forbidden::Private) => "private",
            Some(_) => "not_made",
        }
    }

    pub(super) async fn change(&self, change: &Change) -> Result<Changed, LogError> {
        let keys = keys_of(&change.room, &change.by.member);
        let bounds = &self.bounds;
        let numbers = [
            nonce(),
            nonce(),
            bounds.log_entries.to_string(),
            bounds.log_bytes.to_string(),
            bounds.feed_entries.to_string(),
            bounds.feed_bytes.to_string(),
            bounds.new_rooms_below().to_string(),
            word(change.mark),
        ];
        let fields: Vec<_> = change.set.iter().flat_map(super::about::Field::words).collect();
        let by = &change.by;
        let mut args = vec![&*change.room, &*by.member, &*by.name, &*change.notice];
        args.extend(numbers.iter().map(String::as_str));
        args.extend([power(change.has_power), change.needs.word(), self.unmade(&change.room)]);
        args.extend(fields.iter().flat_map(|(name, value)| [&**name, &**value]));
        let reply: Vec<String> = self.link.call_kept("rollcall_change_v4", &keys, &args).await?;
        read_changed(&reply)
    }

    pub(super) async fn about(&self, room: &str) -> Result<(About, usize), LogError> {
        let keys = [room_key(room, "about"), room_key(room, "held")];
        let (present, fields): (usize, Vec<(String, String)>) =
            self.link.call("rollcall_read_state_v4", &keys, &[]).await?;
        Ok((About::new(fields), present))
    }

    /// Of each partition its `count` rooms that were spoken in last, with when, Unix ms.
    pub(super) async fn rooms(&self, count: usize) -> Result<Vec<(String, u64)>, LogError> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let keys = [rooms_of(partition)];
            let rooms: Vec<(String, f64)> =
                self.link.call("rollcall_read_rooms_v4", &keys, &[&count.to_string()]).await?;
            all.extend(rooms.into_iter().map(|(room, at)| (room, at as u64)));
        }
        Ok(all)
    }

    pub(super) async fn last(&self, room: &str) -> Result<EntryId, LogError> {
        let keys = [room_key(room, "log")];
        let last: String = self.link.call("rollcall_last_v4", &keys, &[]).await?;
        read_id(&last)
    }

    pub(super) async fn read_after(
        &self,
        room: &str,
        after: EntryId,
        limit: usize,
    ) -> Result<Page, LogError> {
        let args = [after.to_string(), limit.to_string()];
        let (last, entries) = self.read("rollcall_read_after_v4", room, &args).await?;
        let entries = entries.ids.iter().filter_map(|entry| {
            // Redis gives out no ID that is none.
            Some((entry.id.parse().ok()?, read_entry(room, entry)))
        });
        Ok(splice::page(entries, last))
    }

    pub(super) async fn read_before(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        let before = before.map_or_else(|| "+".to_owned(), |id| id.to_string());
        let args = [before, limit.to_string()];
        self.read_back("rollcall_read_before_v4", room, &args).await
    }

    pub(super) async fn history(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        let before = before.map_or_else(|| "+".to_owned(), |id| id.to_string());
        let args = [before, limit.to_string(), "1".to_owned()];
        self.read_back("rollcall_read_before_v4", room, &args).await
    }

    pub(super) async fn read_around(
        &self,
        room: &str,
        id: EntryId,
        limit: usize,
    ) -> Result<Page, LogError> {
        let args = [id.to_string(), limit.to_string()];
        self.read_back("rollcall_read_around_v4", room, &args).await
    }

    /// Entries that come newest first.
    async fn read_back(
        &self,
        function: &'static str,
        room: &str,
        args: &[String],
    ) -> Result<Page, LogError> {
        let (last, entries) = self.read(function, room, args).await?;
        let entries = entries.ids.iter().rev().filter_map(|entry| read_entry(room, entry));
        Ok(Page { entries: entries.collect(), last, unread: None })
    }

    async fn read(
        &self,
        function: &'static str,
        room: &str,
        args: &[String],
    ) -> Result<(EntryId, StreamRangeReply), LogError> {
        let keys = [room_key(room, "log"), room_key(room, "changed")];
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let (last, entries): (String, StreamRangeReply) =
            self.link.call(function, &keys, &args).await?;
        Ok((read_id(&last)?, entries))
    }

    async fn answer_before_fsync(&self) {
        let mut config = redis::cmd("CONFIG");
        let set = config.arg("SET").arg("appendfsync").arg("no");
        if let Err(error) = set.query_async::<()>(&mut self.link.connection()).await {
            warn!(%error, "Redis still waits for its disk");
        }
    }

    pub(super) async fn tell_control(&self, control: &Control) -> Result<(), LogError> {
        let (nonce, entries) = (nonce(), self.bounds.feed_entries.to_string());
        let Control { room, what, member, detail } = control;
        let fields = ["kind", "control", "room", room, "what", what, "member", member];
        let args = [&[&*nonce, &*entries], &fields[..], &["detail", detail]].concat();
        let keys = [feed_key(room)];
        self.link.call::<String>("rollcall_tell_v4", &keys, &args).await.map(drop)
    }

    /// Adds to the feed alone. What fails is not told.
    async fn tell(&self, room: &str, fields: &[&str]) {
        let (nonce, entries) = (nonce(), self.bounds.feed_entries.to_string());
        let args = [&[&*nonce, &*entries], fields].concat();
        let _ = self.link.call::<()>("rollcall_tell_v4", &[feed_key(room)], &args).await;
    }

    pub(super) async fn follow(&self, events: mpsc::Sender<FeedEvent>) {
        feeds::follow(&self.link, events).await;
    }

    pub(super) async fn is_up(&self) -> bool {
        self.link.answers().await
    }

    pub(super) fn usage(&self) -> Usage {
        self.watched.usage()
    }

    pub(super) fn takes_new_rooms(&self) -> bool {
        self.usage().ratio() < self.bounds.new_rooms_below()
    }

    pub(super) async fn keep(&self) {
        Janitor::new(self.link.clone(), self.bounds.clone(), self.watched.clone()).run().await;
    }
}

/// The keys of `append` and `change`.
fn keys_of(room: &str, sender: &str) -> [String; 7] {
    [
        room_key(room, "log"),
        room_key(room, &format!("sent:{sender}")),
        room_key(room, "senders"),
        feed_key(room),
        room_key(room, "about"),
        room_key(room, "changed"),
        rooms_key(room),
    ]
}

/// What the functions take for one who moderates everywhere.
fn power(has_power: bool) -> &'static str {
    if has_power { "1" } else { "" }
}

/// A value as the wire has it, where that is a word; '' for none.
fn word(value: Option<impl serde::Serialize>) -> String {
    let word = value.and_then(|value| serde_json::to_value(value).ok());
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A random number below 2^52, for an ID.
fn nonce() -> String {
    (rand::random::<u64>() >> 12).to_string()
}

/// Enough of the hash of what was said to tell it from something else of the same sender. Part of the data's format.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_id(text: &str) -> Result<EntryId, LogError> {
    text.parse().map_err(|error| LogError::Unknown(format!("{error}")))
}

fn read_appended(reply: &[String]) -> Result<Appended, LogError> {
    let unknown = || LogError::Unknown(format!("append answered {reply:?}"));
    let number = |n: &str| n.parse().map_err(|_| unknown());
    let parts: Vec<&str> = reply.iter().map(String::as_str).collect();
    match parts[..] {
        ["taken", id, _prev] => Ok(Appended::Taken(id.parse().map_err(|_| unknown())?)),
        ["duplicate", id] => Ok(Appended::Duplicate(id.parse().ok())),
        ["expected", n] => Ok(Appended::Expected(number(n)?)),
        ["number_taken", n] => Ok(Appended::NumberTaken { expected: number(n)? }),
        ["no_new_rooms"] => Err(LogError::Refused(Refusal::NewRoom)),
        ["too_many_senders"] => Err(LogError::Refused(Refusal::Senders)),
        [why, ref rest @ ..] => {
            let forbidden = read_forbidden(why, rest).ok_or_else(unknown)?;
            Err(LogError::Refused(Refusal::Forbidden(forbidden)))
        }
        _ => Err(unknown()),
    }
}

fn read_forbidden(why: &str, rest: &[&str]) -> Option<Forbidden> {
    Some(match why {
        "archived" => Forbidden::Archived,
        "frozen" => Forbidden::Frozen,
        "muted" => Forbidden::Muted,
        "banned" => Forbidden::Banned,
        "not_made" => Forbidden::NotMade,
        "private" => Forbidden::Private,
        "slow" => Forbidden::Slow(rest.first()?.parse().ok()?),
        "no_message" => Forbidden::NoMessage,
        "not_yours" => Forbidden::NotYours,
        _ => return None,
    })
}

fn read_changed(reply: &[String]) -> Result<Changed, LogError> {
    let unknown = || LogError::Unknown(format!("change answered {reply:?}"));
    let parts: Vec<&str> = reply.iter().map(String::as_str).collect();
    match parts[..] {
        ["changed", id] => Ok(Changed::Yes(id.parse().map_err(|_| unknown())?)),
        ["same"] => Ok(Changed::Same),
        ["forbidden"] => Ok(Changed::Forbidden),
        ["exists"] => Ok(Changed::Exists),
        ["full"] => Ok(Changed::Full),
        ["too_many"] => Ok(Changed::TooMany),
        ["no_new_rooms"] => Err(LogError::Refused(Refusal::NewRoom)),
        _ => Err(unknown()),
    }
}
