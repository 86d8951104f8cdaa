//! What somebody may make of a room, as the change of its state and the sentence that says so. Pure; whether they may is
//! for the log to say, where the state is.

use std::time::Duration;

use rollcall_protocol::{Access, Mark, Member};
use sha2::{Digest, Sha256};

use crate::log::{Change, DIRECT, FOR_EVER, Field, KICK_MS, Needs};

/// Whether a name is one of a room of two.
#[must_use]
pub fn is_direct(room: &str) -> bool {
    room.starts_with(DIRECT)
}

/// The name of the room of two members, whoever of them asks.
#[must_use]
pub fn direct_room(one: &str, other: &str) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    format!("{DIRECT}{}", &secret_hash(&format!("direct:{first}:{second}"))[..32])
}

/// What is kept of an invitation's token.
#[must_use]
pub fn secret_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Somebody who asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub member: Member,
    /// What is known of them.
    pub mark: Option<Mark>,
    /// Whether they moderate everywhere.
    pub has_power: bool,
}

/// What may be changed of a room at once; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What it is about.
    pub topic: Option<String>,
    /// Only those speak who moderate it.
    pub frozen: Option<bool>,
    /// Nobody speaks.
    pub archived: Option<bool>,
    /// So many ms between two messages of one person.
    pub slow_ms: Option<u64>,
}

impl Actor {
    fn change(&self, room: &str, needs: Needs, set: Vec<Field>, notice: String) -> Change {
        Change {
            room: room.to_owned(),
            by: self.member.clone(),
            mark: self.mark,
            has_power: self.has_power,
            needs,
            set,
            notice,
        }
    }

    /// Makes a room, at `now` (Unix ms), which they moderate from then on.
    #[must_use]
    pub fn make(&self, room: &str, access: Access, topic: &str, now: u64) -> Change {
        let owner = self.member.member.clone();
        let mut set = vec![
            Field::Created(now),
            Field::Owner(owner.clone()),
            Field::Access(access),
            Field::In(owner, access != Access::Open),
        ];
        set.extend((!topic.is_empty()).then(|| Field::Topic(topic.to_owned())));
        let notice = format!("{} made this room.", self.member.name);
        self.change(room, Needs::New, set, notice)
    }

    /// A room for two, which nobody owns.
    #[must_use]
    pub fn meet(&self, room: &str, other: &Member, now: u64) -> Change {
        let let_in = |member: &Member| Field::In(member.member.clone(), true);
        let (me, name) = (&self.member, &self.member.name);
        let access = Field::Access(Access::Direct);
        let topic = Field::Topic(format!("{name}, {}", other.name));
        let set = vec![Field::Created(now), access, topic, let_in(me), let_in(other)];
        let notice = format!("{name} and {} talk here, and nobody else.", other.name);
        self.change(room, Needs::New, set, notice)
    }

    /// Changes what they wish for; none if they wish for nothing.
    #[must_use]
    pub fn wish(&self, room: &str, wishes: &Wishes) -> Option<Change> {
        let name = &self.member.name;
        let mut said = Vec::new();
        let mut set = Vec::new();
        if let Some(topic) = &wishes.topic {
            said.push(match topic.is_empty() {
                true => format!("{name} took the topic away."),
                false => format!("{name} set the topic: {topic}"),
            });
            set.push(Field::Topic(topic.clone()));
        }
        if let Some(frozen) = wishes.frozen {
            said.push(match frozen {
                true => format!("{name} froze the room: only moderators speak."),
                false => format!("{name} opened the room again."),
            });
            set.push(Field::Frozen(frozen));
        }
        if let Some(archived) = wishes.archived {
            said.push(match archived {
                true => format!("{name} archived the room."),
                false => format!("{name} brought the room back."),
            });
            set.push(Field::Archived(archived));
        }
        if let Some(ms) = wishes.slow_ms {
            said.push(match ms {
                0 => format!("{name} ended slow mode."),
                ms => format!("{name} set slow mode: one message every {} s.", ms.div_ceil(1000)),
            });
            set.push(Field::SlowMs(ms));
        }
        (!set.is_empty()).then(|| self.change(room, Needs::Power, set, said.join(" ")))
    }

    /// Ends or begins that `who` may not speak there; `span` is for how long, none for ever.
    #[must_use]
    pub fn mute(&self, room: &str, who: &Member, span: Option<Duration>, now: u64) -> Change {
        let (until, how_long) = (until(span, now), words(span));
        let notice = format!("{} muted {} {how_long}.", self.member.name, who.name);
        let set = vec![Field::Mute(who.member.clone(), Some(until))];
        self.change(room, Needs::Power, set, notice)
    }

    /// They may speak again.
    #[must_use]
    pub fn unmute(&self, room: &str, who: &Member) -> Change {
        let notice = format!("{} let {} speak again.", self.member.name, who.name);
        self.change(room, Needs::Power, vec![Field::Mute(who.member.clone(), None)], notice)
    }

    /// `who` has to leave the room, and may not come back for `span`, none for ever.
    #[must_use]
    pub fn ban(&self, room: &str, who: &Member, span: Option<Duration>, now: u64) -> Change {
        let (until, how_long) = (until(span, now), words(span));
        let notice = format!("{} banned {} {how_long}.", self.member.name, who.name);
        let set = vec![Field::Ban(who.member.clone(), Some(until))];
        self.change(room, Needs::Power, set, notice)
    }

    /// They may come back.
    #[must_use]
    pub fn unban(&self, room: &str, who: &Member) -> Change {
        let notice = format!("{} let {} come back.", self.member.name, who.name);
        self.change(room, Needs::Power, vec![Field::Ban(who.member.clone(), None)], notice)
    }

    /// `who` has to leave the room now.
    #[must_use]
    pub fn kick(&self, room: &str, who: &Member, now: u64) -> Change {
        let set = vec![Field::Kick(who.member.clone(), now + KICK_MS)];
        let notice = format!("{} asked {} to leave.", self.member.name, who.name);
        self.change(room, Needs::Power, set, notice)
    }

    /// Something that all who are there are to see.
    #[must_use]
    pub fn announce(&self, room: &str, text: &str, now: u64) -> Change {
        self.change(room, Needs::Power, vec![Field::Announced(now)], text.to_owned())
    }

    /// From now on the token with this hash lets people in, and the one before does not.
    #[must_use]
    pub fn invite(&self, room: &str, hash: String) -> Change {
        let notice = format!("{} made a new invitation; the one before is void.", self.member.name);
        self.change(room, Needs::Power, vec![Field::Invite(hash)], notice)
    }

    /// They come into a private room; that they were invited was checked.
    #[must_use]
    pub fn come_in(&self, room: &str) -> Change {
        let set = vec![Field::In(self.member.member.clone(), true)];
        self.change(room, Needs::Nothing, set, format!("{} joined.", self.member.name))
    }

    /// They leave a private room for good.
    #[must_use]
    pub fn go_out(&self, room: &str) -> Change {
        let set = vec![Field::In(self.member.member.clone(), false)];
        self.change(room, Needs::Nothing, set, format!("{} left.", self.member.name))
    }
}

fn until(span: Option<Duration>, now: u64) -> u64 {
    span.map_or(FOR_EVER, |span| now + span.as_millis() as u64)
}

fn words(span: Option<Duration>) -> String {
    let Some(span) = span else { return "for good".to_owned() };
    match span.as_secs() {
        1 => "for a second".to_owned(),
        60 => "for a minute".to_owned(),
        seconds @ 0..120 => format!("for {seconds} seconds"),
        seconds @ 120..7200 => format!("for {} minutes", seconds.div_ceil(60)),
        seconds => format!("for {} hours", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Actor {
        let member = Member { member: "a1".to_owned(), name: "Ada".to_owned() };
        Actor { member, mark: Some(Mark::Registered), has_power: false }
    }

    #[test]
    fn two_people_have_one_room_whoever_asks() {
        assert_eq!(direct_room("aa", "bb"), direct_room("bb", "aa"));
        assert_ne!(direct_room("aa", "bb"), direct_room("aa", "cc"));
        assert!(is_direct(&direct_room("aa", "bb")));
    }

    #[test]
    fn wishes_become_one_change_and_one_notice() {
        assert_eq!(ada().wish("hall", &Wishes::default()), None);
        let wishes =
            Wishes { topic: Some("Doors".to_owned()), frozen: Some(true), ..Wishes::default() };
        let change = ada().wish("hall", &wishes).expect("a change");
        assert_eq!(change.set, [Field::Topic("Doors".to_owned()), Field::Frozen(true)]);
        let said = "Ada set the topic: Doors Ada froze the room: only moderators speak.";
        assert_eq!((change.notice.as_str(), change.needs), (said, Needs::Power));
    }

    #[test]
    fn spans_are_told_as_people_say_them() {
        let seconds = |count: u64| words(Some(Duration::from_secs(count)));
        assert_eq!(
            [1, 3, 60, 61, 120, 600, 7200, 10_800].map(seconds),
            [
                "for a second",
                "for 3 seconds",
                "for a minute",
                "for 61 seconds",
                "for 2 minutes",
                "for 10 minutes",
                "for 2 hours",
                "for 3 hours"
            ]
        );
        assert_eq!(words(None), "for good");
    }

    #[test]
    fn a_kick_is_a_ban_that_ends_by_itself() {
        let bob = Member { member: "b2".to_owned(), name: "Bob".to_owned() };
        let change = ada().kick("hall", &bob, 1_000);
        assert_eq!(change.set, [Field::Kick("b2".to_owned(), 1_000 + KICK_MS)]);
    }
}
