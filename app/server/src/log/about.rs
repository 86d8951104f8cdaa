//! What is true of a room beside what was said there; `about.lua` keeps it, and refuses by it.

use std::collections::BTreeMap;

use rollcall_protocol::{Access, EntryId, Mark, Member, RoomState, Standing};

use super::model::Forbidden;

/// For ever, as the time until which somebody is muted or banned.
pub const FOR_EVER: u64 = 0;

/// Somebody who is asked to leave cannot come back for so long: no client is back before each replica knows.
pub const KICK_MS: u64 = 10_000;

/// Things that a room knows of members, and how many of them may be that somebody was let in: as in `about.lua`.
const MOST_FIELDS: usize = 2048;
const MOST_LET_IN: usize = 1536;

/// A room's state as it is kept: fields and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    fields: BTreeMap<String, String>,
}

/// A change of a room's state on its way to where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The room's name.
    pub room: String,
    /// Who changes it.
    pub by: Member,
    /// What is known of them.
    pub mark: Option<Mark>,
    /// Whether they moderate everywhere.
    pub has_power: bool,
    /// What it takes.
    pub needs: Needs,
    /// What is to be true.
    pub set: Vec<Field>,
    /// A sentence for people, which is put into the log.
    pub notice: String,
}

/// What a change takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// One who moderates the room.
    Power,
    /// A room that nobody has made yet, and in which nobody spoke; or one who moderates everywhere.
    New,
    /// Nothing: an invitation was checked, or somebody leaves.
    Nothing,
}

/// One thing that is to be true of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// What it is about; empty for nothing.
    Topic(String),
    /// When it was made, Unix ms.
    Created(u64),
    /// The member who made it, and moderates it.
    Owner(String),
    /// When moderators spoke to all who are there, Unix ms: nothing is true of the room for that, but it is said.
    Announced(u64),
    /// Who may enter.
    Access(Access),
    /// The hash of the token that lets people in.
    Invite(String),
    /// Only those speak who moderate it.
    Frozen(bool),
    /// Nobody speaks.
    Archived(bool),
    /// So many ms between two messages of one person; 0 for none.
    SlowMs(u64),
    /// Until when a member may not speak (Unix ms, or [`FOR_EVER`]); none to end that.
    Mute(String, Option<u64>),
    /// Until when a member may not be there.
    Ban(String, Option<u64>),
    /// The same, unless they may not be there for longer already.
    Kick(String, u64),
    /// Whether a member may enter a private room.
    In(String, bool),
}

/// What became of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is so now; the entry that says so.
    Yes(EntryId),
    /// It was so.
    Same,
    /// It takes somebody else.
    Forbidden,
    /// The room was made before.
    Exists,
    /// The room knows something of as many members as it can.
    Full,
    /// They made as many rooms as one can.
    TooMany,
}

impl Needs {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::New => "new",
            Self::Nothing => "",
        }
    }
}

impl Field {
    /// Names and values, '' to end one.
    pub(super) fn words(&self) -> Vec<(String, String)> {
        let one = |name: &str, value: String| vec![(name.to_owned(), value)];
        let flag = |is: bool| if is { "1".to_owned() } else { String::new() };
        let number = |n: u64| if n == 0 { String::new() } else { n.to_string() };
        match self {
            Self::Topic(topic) => one("topic", topic.clone()),
            Self::Created(at) => one("created", at.to_string()),
            Self::Owner(owner) => one("owner", owner.clone()),
            Self::Announced(at) => one("announced", at.to_string()),
            Self::Access(access) => one("access", access_word(*access).to_owned()),
            Self::Invite(hash) => one("invite", hash.clone()),
            Self::Frozen(is) => one("frozen", flag(*is)),
            Self::Archived(is) => one("archived", flag(*is)),
            Self::SlowMs(ms) => one("slow_ms", number(*ms)),
            Self::Mute(member, until) => one(&format!("mute:{member}"), word_of(*until)),
            Self::Ban(member, until) => one(&format!("ban:{member}"), word_of(*until)),
            Self::Kick(member, until) => one(&format!("kick:{member}"), until.to_string()),
            Self::In(member, is) => one(&format!("in:{member}"), flag(*is)),
        }
    }
}

fn word_of(until: Option<u64>) -> String {
    until.map_or_else(String::new, |until| until.to_string())
}

fn access_word(access: Access) -> &'static str {
    match access {
        Access::Private => "private",
        Access::Direct => "direct",
        Access::Open | Access::Other => "open",
    }
}

impl About {
    /// As it is kept.
    pub(super) fn new(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    /// Whether nothing is known of the room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether all of a change is true, as after it was made.
    #[must_use]
    pub fn has(&self, change: &Change) -> bool {
        let words = change.set.iter().flat_map(Field::words);
        words.into_iter().all(|(name, value)| self.get(&name).unwrap_or_default() == value)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn of(&self, kind: &str, member: &str) -> Option<&str> {
        self.get(&format!("{kind}:{member}"))
    }

    /// Until when; none if it is over at `now`.
    fn until(&self, kind: &str, member: &str, now: u64) -> Option<u64> {
        let until = self.of(kind, member)?.parse().ok()?;
        (until == FOR_EVER || until > now).then_some(until)
    }

    /// The hash of the token that lets people in.
    #[must_use]
    pub fn invite(&self) -> Option<&str> {
        self.get("invite")
    }

    /// Who may enter.
    #[must_use]
    pub fn access(&self) -> Access {
        match self.get("access") {
            Some("private") => Access::Private,
            Some("direct") => Access::Direct,
            _ => Access::Open,
        }
    }

    /// Whether somebody made it, rather than just spoke there.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.get("created").is_some()
    }

    /// Members who may enter, where not everybody may.
    pub fn let_in(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().filter_map(|name| name.strip_prefix("in:"))
    }

    /// What clients are told.
    #[must_use]
    pub fn state(&self) -> RoomState {
        RoomState {
            topic: self.get("topic").unwrap_or_default().to_owned(),
            access: self.access(),
            frozen: self.get("frozen").is_some(),
            archived: self.get("archived").is_some(),
            slow_ms: self.get("slow_ms").and_then(|ms| ms.parse().ok()).unwrap_or_default(),
            owner: self.get("owner").map(str::to_owned),
        }
    }

    /// Whether `member` moderates the room at `now`: everywhere, or as the one who made it, unless they may not be there.
    #[must_use]
    pub fn moderates(&self, member: &str, has_power: bool, now: u64) -> bool {
        let is_owner = || self.get("owner") == Some(member);
        has_power || (is_owner() && self.until("ban", member, now).is_none())
    }

    /// What the state means for a member at `now`, Unix ms.
    #[must_use]
    pub fn standing(&self, member: &str, has_power: bool, now: u64) -> Standing {
        Standing {
            moderates: self.moderates(member, has_power, now),
            muted_until: self.until("mute", member, now),
        }
    }

    /// Why a member may not be there at `now`; none if they may.
    #[must_use]
    pub fn bars(&self, member: &str, has_power: bool, now: u64) -> Option<Forbidden> {
        if self.moderates(member, has_power, now) {
            return None;
        }
        if let Some(until) = self.until("ban", member, now) {
            let is_short = until != FOR_EVER && until <= now + KICK_MS;
            return Some(if is_short { Forbidden::Kicked } else { Forbidden::Banned });
        }
        let needs_leave = self.access() != Access::Open;
        (needs_leave && self.of("in", member).is_none()).then_some(Forbidden::Private)
    }

    /// Why a member may not speak there at `now`, as `refusal` in `about.lua`; but for how fast they do.
    pub(super) fn silences(&self, member: &str, has_power: bool, now: u64) -> Option<Forbidden> {
        if self.get("archived").is_some() {
            return Some(Forbidden::Archived);
        }
        if self.moderates(member, has_power, now) {
            return None;
        }
        let frozen = self.get("frozen").map(|_| Forbidden::Frozen);
        let muted = self.until("mute", member, now).map(|_| Forbidden::Muted);
        self.bars(member, has_power, now).or(frozen).or(muted)
    }

    /// Whether there is a place for what is to be set, as `has_room` in `about.lua`.
    pub(super) fn has_room(&self, set: &[Field]) -> bool {
        set.iter().flat_map(Field::words).all(|(name, value)| {
            let most = match name.split_once(':') {
                None => return true,
                Some(("in", _)) => MOST_LET_IN,
                Some(_) => MOST_FIELDS,
            };
            value.is_empty() || self.fields.contains_key(&name) || self.fields.len() < most
        })
    }

    /// Forgets bans and mutes that are over at `now`.
    pub(super) fn sweep(&mut self, now: u64) {
        self.fields.retain(|name, value| {
            let ends = name.starts_with("ban:") || name.starts_with("mute:");
            !ends || value.parse().is_ok_and(|until: u64| until == FOR_EVER || until > now)
        });
    }

    /// Sets what is not so yet at `now`. Whether anything changed.
    pub(super) fn set(&mut self, fields: &[Field], now: u64) -> bool {
        let mut has_changed = false;
        let fields = fields.iter().filter_map(|field| match field {
            Field::Kick(member, until) => match self.until("ban", member, now) {
                Some(longer) if longer == FOR_EVER || longer >= *until => None,
                _ => Some(Field::Ban(member.clone(), Some(*until))),
            },
            field => Some(field.clone()),
        });
        let words: Vec<_> = fields.flat_map(|field| field.words()).collect();
        for (name, value) in words {
            let was = self.fields.get(&name);
            has_changed |= was.map_or("", String::as_str) != value;
            if value.is_empty() {
                self.fields.remove(&name);
            } else {
                self.fields.insert(name, value);
            }
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn about(fields: &[Field]) -> About {
        let mut about = About::default();
        assert!(about.set(fields, NOW));
        about
    }

    #[test]
    fn a_room_of_which_nothing_is_known_is_open_to_all() {
        let about = About::default();
        assert_eq!(about.bars("ada", false, NOW), None);
        assert_eq!(about.silences("ada", false, NOW), None);
        assert_eq!(about.state(), RoomState::default());
    }

    #[test]
    fn a_ban_ends_and_one_for_ever_does_not() {
        let ada = || "ada".to_owned();
        let until = about(&[Field::Ban(ada(), Some(NOW + 1))]);
        assert_eq!(until.bars("ada", false, NOW), Some(Forbidden::Kicked), "for a moment only");
        assert_eq!(until.bars("ada", false, NOW + 1), None);
        let for_ever = about(&[Field::Ban(ada(), Some(FOR_EVER))]);
        assert_eq!(for_ever.bars("ada", false, u64::MAX), Some(Forbidden::Banned));
        assert_eq!(for_ever.bars("ada", true, NOW), None, "one who moderates everywhere");
        assert_eq!(for_ever.bars("bob", false, NOW), None);
    }

    /// After a try whose outcome was unknown any room of that name was taken for one's own, and told.
    #[test]
    fn a_room_that_somebody_else_made_is_none_of_ones_own() {
        let made = |by: &str, now: u64, topic: &str| {
            let member = Member { member: by.to_owned(), name: by.to_owned() };
            let actor = crate::moderation::Actor { member, mark: None, has_power: false };
            actor.make("board", Access::Private, topic, now)
        };
        let room = about(&made("ada", NOW, "Ours").set);
        assert!(room.has(&made("ada", NOW, "Ours")));
        assert!(!room.has(&made("mallory", NOW, "")));
        assert!(!room.has(&made("ada", NOW + 1, "Ours")), "nor is it made twice");
    }

    #[test]
    fn who_made_a_private_room_is_in_and_others_are_let_in() {
        let owner = Field::Owner("ada".to_owned());
        let mut room = about(&[owner, Field::Access(Access::Private)]);
        assert_eq!(room.bars("ada", false, NOW), None);
        assert_eq!(room.bars("bob", false, NOW), Some(Forbidden::Private));
        assert!(room.set(&[Field::In("bob".to_owned(), true)], NOW));
        assert!(!room.set(&[Field::In("bob".to_owned(), true)], NOW), "it was so");
        assert_eq!(room.bars("bob", false, NOW), None);
    }

    #[test]
    fn a_frozen_room_silences_all_but_who_moderates_and_an_archived_one_all() {
        let owner = Field::Owner("ada".to_owned());
        let mut room = about(&[owner, Field::Frozen(true)]);
        assert_eq!(room.silences("bob", false, NOW), Some(Forbidden::Frozen));
        assert_eq!(room.silences("ada", false, NOW), None);
        room.set(&[Field::Archived(true)], NOW);
        assert_eq!(room.silences("ada", true, NOW), Some(Forbidden::Archived));
    }
}
