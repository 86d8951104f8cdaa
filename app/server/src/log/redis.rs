//! The room logs in Redis.

use std::time::Duration;

use redis::streams::{StreamId, StreamRangeReply};
use rollcall_protocol::{EntryId, Message};
use tokio::sync::mpsc;

use super::{
    Appended, FeedEvent, LogError, NewEntry, Page, feeds,
    link::{Link, feed_key, room_key},
};
use crate::mutants::{self, Mutant};

/// How long a sender's last `n` is remembered.
const SENT_TTL: Duration = Duration::from_secs(24 * 3600);

/// Room logs in Redis.
#[derive(Clone)]
pub struct RedisLog {
    link: Link,
    log_entries: usize,
}

impl RedisLog {
    /// Logs of about `log_entries` a room.
    #[must_use]
    pub fn new(link: Link, log_entries: usize) -> Self {
        Self { link, log_entries }
    }

    pub(super) async fn append(&self, new: &NewEntry) -> Result<Appended, LogError> {
        let appended = self.append_as(new, &new.member).await;
        if mutants::active(Mutant::NoDedup) && matches!(appended, Ok(Appended::Duplicate(_))) {
            // The counter of somebody new remembers nothing.
            let somebody = format!("{:?}", std::time::Instant::now());
            return self.append_as(new, &somebody).await;
        }
        if mutants::active(Mutant::SaysMore) {
            self.tell(&new.room, &[("kind", "later"), ("room", &new.room)]).await;
        }
        appended
    }

    /// Appends what `n`'s counter, that of `sender`, takes.
    async fn append_as(&self, new: &NewEntry, sender: &str) -> Result<Appended, LogError> {
        let keys = [
            room_key(&new.room, "log"),
            room_key(&new.room, &format!("sent:{sender}")),
            feed_key(&new.room),
        ];
        let n = new.n.to_string();
        let (log_max, feed_max) =
            (self.log_entries.to_string(), self.link.feed_entries().to_string());
        let ttl = SENT_TTL.as_millis().to_string();
        let args =
            [&*new.room, &*new.member, &*new.name, &*n, &*new.text, &*log_max, &*feed_max, &*ttl];
        let reply: Vec<String> = self.link.call("rollcall_append_v2", &keys, &args).await?;
        read_appended(&reply).ok_or_else(|| LogError::Unknown(format!("append answered {reply:?}")))
    }

    pub(super) async fn read_after(
        &self,
        room: &str,
        after: EntryId,
        limit: usize,
    ) -> Result<Page, LogError> {
        let args = [after.to_string(), limit.to_string()];
        self.read("rollcall_read_after_v2", room, &args).await
    }

    pub(super) async fn read_before(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        let before = before.map_or_else(|| "+".to_owned(), |id| id.to_string());
        let mut page =
            self.read("rollcall_read_before_v2", room, &[before, limit.to_string()]).await?;
        page.entries.reverse();
        Ok(page)
    }

    async fn read(
        &self,
        function: &'static str,
        room: &str,
        [from, limit]: &[String; 2],
    ) -> Result<Page, LogError> {
        let keys = [room_key(room, "log")];
        let (last, entries): (String, StreamRangeReply) =
            self.link.call(function, &keys, &[from.as_str(), limit.as_str()]).await?;
        let entries = entries.ids.iter().filter_map(|entry| read_entry(room, entry)).collect();
        let last = last.parse().map_err(|error| LogError::Unknown(format!("{error}")))?;
        Ok(Page { entries, last })
    }

    pub(super) async fn typing(&self, room: &str, member: &str, name: &str) {
        // Nobody misses one: whoever goes on typing says so again.
        self.tell(room, &[("kind", "typing"), ("room", room), ("member", member), ("name", name)])
            .await;
    }

    /// Adds to the feed alone. What fails is not told.
    async fn tell(&self, room: &str, fields: &[(&str, &str)]) {
        let mut connection = self.link.connection();
        let mut add = redis::cmd("XADD");
        add.arg(feed_key(room)).arg("MAXLEN").arg("~").arg(self.link.feed_entries()).arg("*");
        let _ = add.arg(fields).query_async::<()>(&mut connection).await;
    }

    pub(super) async fn follow(&self, events: mpsc::Sender<FeedEvent>) {
        feeds::follow(&self.link, events).await;
    }

    pub(super) async fn is_up(&self) -> bool {
        let mut connection = self.link.connection();
        redis::cmd("PING").query_async::<()>(&mut connection).await.is_ok()
    }
}

fn read_appended(reply: &[String]) -> Option<Appended> {
    let parts: Vec<&str> = reply.iter().map(String::as_str).collect();
    match parts[..] {
        ["taken", id, _prev] => Some(Appended::Taken(id.parse().ok()?)),
        ["duplicate", id] => Some(Appended::Duplicate(id.parse().ok())),
        ["expected", n] => Some(Appended::Expected(n.parse().ok()?)),
        _ => None,
    }
}

/// A field of an entry, as text.
pub(super) fn field(entry: &StreamId, name: &str) -> Option<String> {
    entry.get(name)
}

fn read_entry(room: &str, entry: &StreamId) -> Option<Message> {
    let id = entry.id.parse().ok()?;
    read_message(room.to_owned(), id, entry)
}

/// The message in an entry of a room log or of a feed.
pub(super) fn read_message(room: String, id: EntryId, entry: &StreamId) -> Option<Message> {
    Some(Message {
        room,
        id,
        prev: field(entry, "prev")?.parse().ok()?,
        member: field(entry, "member")?,
        name: field(entry, "name")?,
        n: field(entry, "n")?.parse().ok()?,
        text: field(entry, "text")?,
        at: id.ms,
    })
}
