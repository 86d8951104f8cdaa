//! What is true of a room beside what was said there, and messages that are about others: the log in Redis and the log in
//! memory do the same.

mod support;

use std::time::Duration;

use rollcall_protocol::{Access, EntryId, Extra, Kind, Mark, Member};
use rollcall_server::{
    config::LogBounds,
    log::{Appended, Change, Changed, Forbidden, Log, LogError, NewEntry, Refusal, room_key},
    moderation::{Actor, Wishes, direct_room},
};
use support::{
    Redis, assert_chain,
    logs::{bounds, entry, memory_log, redis_log, refusal, taken},
};

const ROOM: &str = "vault";

fn actor(member: &str) -> Actor {
    let member = Member { member: member.to_owned(), name: member.to_owned() };
    Actor { member, mark: Some(Mark::Registered), has_power: false }
}

fn about(member: &str, n: u64, kind: Kind, of: EntryId, text: &str) -> NewEntry {
    let extra = Extra { kind: Some(kind), of: Some(of), ..Extra::default() };
    NewEntry { extra, text: text.to_owned(), ..entry(ROOM, member, n) }
}

fn edit(member: &str, n: u64, of: EntryId, text: &str) -> NewEntry {
    about(member, n, Kind::Edit, of, text)
}

fn removal(member: &str, n: u64, of: EntryId) -> NewEntry {
    about(member, n, Kind::Remove, of, "")
}

async fn changed(log: &Log, change: &Change) -> EntryId {
    match log.change(change).await.expect("an answer") {
        Changed::Yes(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn says(log: &Log, entry: &NewEntry) -> Result<(), Forbidden> {
    match refusal(log.append(entry, None).await) {
        Ok(()) => Ok(()),
        Err(Refusal::Forbidden(why)) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

/// Runs a test against a log in memory and one in Redis.
async fn with_both(test: impl AsyncFn(&Log)) {
    test(&memory_log(bounds())).await;
    let redis = Redis::start().await;
    test(&redis_log(&redis, bounds())).await;
}

#[tokio::test]
async fn a_frozen_room_takes_nothing_but_from_who_moderates_it() {
    with_both(async |log| {
        changed(log, &actor("teal").make(ROOM, Access::Open, "", 1)).await;
        let last = entry(ROOM, "plum", 1);
        let id = taken(log, &last).await;
        let frozen = Wishes { frozen: Some(true), ..Wishes::default() };
        let by_plum = actor("plum").wish(ROOM, &frozen).expect("a change");
        assert_eq!(log.change(&by_plum).await.expect("an answer"), Changed::Forbidden);
        let by_teal = actor("teal").wish(ROOM, &frozen).expect("a change");
        changed(log, &by_teal).await;
        assert_eq!(log.change(&by_teal).await.expect("an answer"), Changed::Same);
        assert_eq!(says(log, &entry(ROOM, "plum", 2)).await, Err(Forbidden::Frozen));
        assert_eq!(says(log, &entry(ROOM, "teal", 1)).await, Ok(()));
        // What was taken was taken, whatever is true of the room by now.
        let again = log.append(&last, None).await.expect("an answer");
        assert_eq!(again, Appended::Duplicate(Some(id)));
        let page = log.read_after(ROOM, EntryId::ZERO, 10).await.expect("a page");
        let kinds: Vec<_> = page.entries.iter().map(|entry| entry.extra.kind).collect();
        assert_eq!(kinds, [Some(Kind::Notice), None, Some(Kind::Notice), None]);
        assert_chain(EntryId::ZERO, &page.entries);
        assert!(log.about(ROOM).await.expect("a state").state().frozen);
    })
    .await;
}

#[tokio::test]
async fn who_is_muted_or_banned_does_not_speak_and_others_do() {
    with_both(async |log| {
        let (teal, plum) = (actor("teal"), actor("plum").member);
        changed(log, &teal.make(ROOM, Access::Open, "", 1)).await;
        let now = u64::MAX / 2;
        changed(log, &teal.mute(ROOM, &plum, None, now)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 1)).await, Err(Forbidden::Muted));
        changed(log, &teal.unmute(ROOM, &plum)).await;
        changed(log, &teal.ban(ROOM, &plum, None, now)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 1)).await, Err(Forbidden::Banned));
        assert_eq!(says(log, &entry(ROOM, "lime", 1)).await, Ok(()));
        changed(log, &teal.unban(ROOM, &plum)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 1)).await, Ok(()));
        assert_eq!(says(log, &entry("hall", "plum", 1)).await, Ok(()), "another room");
    })
    .await;
}

/// Two moderators at once: the one who asked somebody to leave let them come back from the ban of the other.
#[tokio::test]
async fn a_kick_ends_no_longer_ban() {
    with_both(async |log| {
        let (teal, plum) = (actor("teal"), actor("plum").member);
        changed(log, &teal.make(ROOM, Access::Open, "", 1)).await;
        // Long enough ago that a kick would be over.
        changed(log, &teal.kick(ROOM, &plum, 1)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 1)).await, Ok(()));
        let now = u64::MAX / 4;
        for span in [None, Some(Duration::from_secs(3600))] {
            changed(log, &teal.ban(ROOM, &plum, span, now)).await;
            assert_eq!(
                log.change(&teal.kick(ROOM, &plum, 1)).await.expect("an answer"),
                Changed::Same
            );
            assert_eq!(says(log, &entry(ROOM, "plum", 2)).await, Err(Forbidden::Banned));
        }
    })
    .await;
}

#[tokio::test]
async fn who_made_a_room_can_be_banned_from_it() {
    with_both(async |log| {
        let (teal, mut admin) = (actor("teal"), actor("admin"));
        admin.has_power = true;
        changed(log, &teal.make(ROOM, Access::Open, "", 1)).await;
        changed(log, &admin.ban(ROOM, &teal.member, None, 1)).await;
        assert_eq!(says(log, &entry(ROOM, "teal", 1)).await, Err(Forbidden::Banned));
        let unban = teal.unban(ROOM, &teal.member);
        assert_eq!(log.change(&unban).await.expect("an answer"), Changed::Forbidden);
    })
    .await;
}

/// An invitation that got out brought so many that nobody could be banned any more, and the room not even closed.
#[tokio::test]
async fn however_many_were_let_in_a_room_can_be_kept_in_order() {
    with_both(async |log| {
        let (teal, plum) = (actor("teal"), actor("plum").member);
        changed(log, &teal.make(ROOM, Access::Private, "", 1)).await;
        let mut let_in = 0;
        let outcome = loop {
            match log.change(&actor(&format!("guest{let_in}")).come_in(ROOM)).await {
                Ok(Changed::Yes(_)) => let_in += 1,
                other => break other,
            }
        };
        assert_eq!(outcome.expect("an answer"), Changed::Full);
        assert!((1_500..1_536).contains(&let_in), "{let_in}");
        changed(log, &teal.ban(ROOM, &plum, None, 1)).await;
        changed(log, &teal.unban(ROOM, &plum)).await;
        let frozen = Wishes { frozen: Some(true), ..Wishes::default() };
        changed(log, &teal.wish(ROOM, &frozen).expect("a change")).await;
        changed(log, &teal.invite(ROOM, "another".to_owned())).await;
    })
    .await;
}

/// Somebody who knew who the two are spoke there first, and they could not make their room any more.
#[tokio::test]
async fn nobody_speaks_in_a_room_of_two_before_it_is_made() {
    with_both(async |log| {
        let (teal, plum) = (actor("teal"), actor("plum").member);
        let room = direct_room("teal", "plum");
        let mut operator = actor("operator");
        operator.has_power = true;
        for member in ["lime", "teal"] {
            let has_power = member == "lime";
            let new = NewEntry { has_power, ..entry(&room, member, 1) };
            assert_eq!(says(log, &new).await, Err(Forbidden::Private));
        }
        let announcement = operator.announce(&room, "hear, hear", 1);
        assert_eq!(log.change(&announcement).await.expect("an answer"), Changed::Forbidden);
        changed(log, &teal.meet(&room, &plum, 1)).await;
        assert_eq!(says(log, &entry(&room, "plum", 1)).await, Ok(()));
    })
    .await;
}

/// The state of a room that somebody made stays for good, so there is a bound.
#[tokio::test]
async fn one_member_makes_so_many_rooms() {
    let redis = Redis::start().await;
    let partition = |room: &str| room_key(room, "log").split('}').next().map(str::to_owned);
    let rooms = || (0..).map(|number| format!("room {number}"));
    let in_one = || rooms().filter(|room| partition(room) == partition("room 0"));
    let made = async |log: &Log, mut rooms: Box<dyn Iterator<Item = String>>| {
        let mut count = 0;
        loop {
            let room = rooms.next().expect("there is no end of them");
            match log.change(&actor("teal").make(&room, Access::Open, "", 1)).await {
                Ok(Changed::Yes(_)) => count += 1,
                outcome => break (count, outcome.expect("an answer"), room),
            }
        }
    };
    let in_memory = memory_log(bounds());
    let (count, outcome, _) = made(&in_memory, Box::new(rooms())).await;
    assert_eq!((count, outcome), (1_600, Changed::TooMany));
    let log = redis_log(&redis, bounds());
    let (count, outcome, room) = made(&log, Box::new(in_one())).await;
    assert_eq!((count, outcome), (100, Changed::TooMany));
    // Of others nothing is taken by that, and nothing was made.
    assert!(!log.about(&room).await.expect("a state").is_made());
    changed(&log, &actor("plum").make(&room, Access::Open, "", 1)).await;
}

#[tokio::test]
async fn a_slow_room_takes_one_message_of_each_in_a_while() {
    with_both(async |log| {
        changed(log, &actor("teal").make(ROOM, Access::Open, "", 1)).await;
        let slow = Wishes { slow_ms: Some(60_000), ..Wishes::default() };
        changed(log, &actor("teal").wish(ROOM, &slow).expect("a change")).await;
        let first = taken(log, &entry(ROOM, "plum", 1)).await;
        match says(log, &entry(ROOM, "plum", 2)).await {
            Err(Forbidden::Slow(ms)) => assert!((1..=60_000).contains(&ms), "{ms}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(says(log, &edit("plum", 2, first, "better")).await, Ok(()), "no new message");
        assert_eq!(says(log, &entry(ROOM, "lime", 1)).await, Ok(()));
        assert_eq!(says(log, &entry(ROOM, "teal", 1)).await, Ok(()));
        assert_eq!(says(log, &entry(ROOM, "teal", 2)).await, Ok(()), "who moderates it");
    })
    .await;
}

#[tokio::test]
async fn a_private_room_hears_only_those_who_were_let_in() {
    with_both(async |log| {
        changed(log, &actor("teal").make(ROOM, Access::Private, "plans", 1)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 1)).await, Err(Forbidden::Private));
        changed(log, &actor("plum").come_in(ROOM)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 1)).await, Ok(()));
        changed(log, &actor("plum").go_out(ROOM)).await;
        assert_eq!(says(log, &entry(ROOM, "plum", 2)).await, Err(Forbidden::Private));
        let made_again = actor("lime").make(ROOM, Access::Open, "", 1);
        assert_eq!(log.change(&made_again).await.expect("an answer"), Changed::Exists);
    })
    .await;
}

#[tokio::test]
async fn a_room_in_which_somebody_spoke_is_made_by_one_who_moderates_everywhere_alone() {
    with_both(async |log| {
        taken(log, &entry(ROOM, "plum", 1)).await;
        let by_teal = actor("teal").make(ROOM, Access::Private, "", 1);
        assert_eq!(log.change(&by_teal).await.expect("an answer"), Changed::Exists);
        assert_eq!(says(log, &entry(ROOM, "plum", 2)).await, Ok(()));
        let everywhere = Actor { has_power: true, ..actor("lime") };
        changed(log, &everywhere.make(ROOM, Access::Open, "", 1)).await;
    })
    .await;
}

#[tokio::test]
async fn an_edit_is_of_ones_own_and_history_has_its_text() {
    with_both(async |log| {
        let first = taken(log, &entry(ROOM, "plum", 1)).await;
        assert_eq!(says(log, &edit("teal", 1, first, "mine")).await, Err(Forbidden::NotYours));
        let edited = taken(log, &edit("plum", 2, first, "better")).await;
        let of_edit = edit("plum", 3, edited, "an edit of an edit");
        assert_eq!(says(log, &of_edit).await, Err(Forbidden::NoMessage));
        let nowhere = edit("plum", 3, EntryId::new(7, 7), "of nothing");
        assert_eq!(says(log, &nowhere).await, Err(Forbidden::NoMessage));
        let page = log.history(ROOM, None, 10).await.expect("a page");
        let texts: Vec<_> = page.entries.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["better", "better"]);
        assert_eq!(page.entries[0].extra.edited, Some(edited));
        // Those who follow get what was said, and then the edit.
        let page = log.read_after(ROOM, EntryId::ZERO, 10).await.expect("a page");
        assert_eq!(page.entries[0].text, "plum says 1");
    })
    .await;
}

/// Both have no text: what they are about tells them apart.
#[tokio::test]
async fn one_number_is_not_for_two_removals() {
    with_both(async |log| {
        let first = taken(log, &entry(ROOM, "plum", 1)).await;
        let second = taken(log, &entry(ROOM, "plum", 2)).await;
        let id = taken(log, &removal("plum", 3, first)).await;
        let again = log.append(&removal("plum", 3, first), None).await.expect("an answer");
        assert_eq!(again, Appended::Duplicate(Some(id)));
        let other = log.append(&removal("plum", 3, second), None).await.expect("an answer");
        assert_eq!(other, Appended::NumberTaken { expected: 4 });
    })
    .await;
}

#[tokio::test]
async fn what_was_removed_is_given_to_nobody_again() {
    with_both(async |log| {
        changed(log, &actor("teal").make(ROOM, Access::Open, "", 1)).await;
        let first = taken(log, &entry(ROOM, "plum", 1)).await;
        taken(log, &edit("plum", 2, first, "worse")).await;
        assert_eq!(says(log, &removal("lime", 1, first)).await, Err(Forbidden::NotYours));
        taken(log, &removal("teal", 1, first)).await;
        assert_eq!(says(log, &removal("plum", 3, first)).await, Err(Forbidden::NoMessage));
        let pages = [
            log.read_after(ROOM, EntryId::ZERO, 10).await,
            log.read_before(ROOM, None, 10).await,
            log.history(ROOM, None, 10).await,
            log.read_around(ROOM, first, 10).await,
        ];
        for page in pages {
            let entries = page.expect("a page").entries;
            assert_chain(EntryId::ZERO, &entries);
            let left: Vec<_> = entries.iter().filter(|entry| entry.member == "plum").collect();
            assert_eq!(left.len(), 2, "{entries:?}");
            assert!(left.iter().all(|entry| entry.text.is_empty() && entry.extra.removed));
        }
    })
    .await;
}

/// The log had forgotten what was said first, and with it that this was removed; its edit was still there.
#[tokio::test]
async fn what_a_removed_message_was_edited_to_does_not_come_back() {
    let log = memory_log(LogBounds { log_entries: 3, ..bounds() });
    let first = taken(&log, &entry(ROOM, "plum", 1)).await;
    taken(&log, &edit("plum", 2, first, "worse")).await;
    taken(&log, &removal("plum", 3, first)).await;
    taken(&log, &entry(ROOM, "plum", 4)).await;
    let page = log.read_after(ROOM, EntryId::ZERO, 10).await.expect("a page");
    assert_eq!((page.entries.len(), &*page.entries[0].text), (3, ""));

    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let first = taken(&log, &entry(ROOM, "plum", 1)).await;
    let edited = taken(&log, &edit("plum", 2, first, "worse")).await;
    taken(&log, &removal("plum", 3, first)).await;
    let second = taken(&log, &entry(ROOM, "plum", 4)).await;
    redis.command(&["XTRIM", &room_key(ROOM, "log"), "MINID", &edited.to_string()]).await;
    // One change in 1,024 forgets those of what is gone.
    let fill =
        "for i = 1, 1022 do redis.call('HSET', KEYS[1], i .. '-1', i .. '-2') end return 'OK'";
    let changed = room_key(ROOM, "changed");
    redis.command(&["EVAL", fill, "1", &changed]).await;
    taken(&log, &edit("plum", 5, second, "better")).await;
    assert_eq!(redis.command(&["HLEN", &changed]).await.trim(), ":2");
    let page = log.read_after(ROOM, EntryId::ZERO, 10).await.expect("a page");
    assert_eq!((page.entries.len(), &*page.entries[0].text), (4, ""));
}

#[tokio::test]
async fn pages_around_a_message_have_it_in_the_middle() {
    with_both(async |log| {
        let mut ids = Vec::new();
        for n in 1..=9 {
            ids.push(taken(log, &entry(ROOM, "plum", n)).await);
        }
        let page = log.read_around(ROOM, ids[4], 4).await.expect("a page");
        assert_eq!(page.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), ids[2..6]);
        assert_eq!(page.last, ids[8]);
        let page = log.read_around(ROOM, ids[0], 4).await.expect("a page");
        assert_eq!(page.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), ids[..2]);
    })
    .await;
}

#[tokio::test]
async fn numbers_are_of_devices_and_messages_of_people() {
    with_both(async |log| {
        let from = |device: &str, n| {
            let extra = Extra { sender: Some(device.to_owned()), ..Extra::default() };
            NewEntry { extra, ..entry(ROOM, "plum", n) }
        };
        let first = taken(log, &from("phone", 1)).await;
        taken(log, &from("desk", 1)).await;
        let again = log.append(&from("phone", 1), None).await.expect("an answer");
        assert_eq!(again, Appended::Duplicate(Some(first)));
        // One's own from another device.
        let mut edited = edit("plum", 2, first, "better");
        edited.extra.sender = Some("desk".to_owned());
        taken(log, &edited).await;
        let page = log.read_after(ROOM, EntryId::ZERO, 10).await.expect("a page");
        let senders: Vec<_> = page.entries.iter().map(rollcall_protocol::Message::sender).collect();
        assert_eq!(senders, ["phone", "desk", "desk"]);
    })
    .await;
}

#[tokio::test]
async fn rooms_are_listed_with_when_they_were_spoken_in() {
    with_both(async |log| {
        let id = taken(log, &entry(ROOM, "plum", 1)).await;
        taken(log, &entry("hall", "plum", 1)).await;
        let mut rooms = log.rooms(10).await.expect("a list");
        rooms.sort();
        assert_eq!(rooms.iter().map(|(room, _)| &**room).collect::<Vec<_>>(), ["hall", ROOM]);
        assert!(rooms[1].1.abs_diff(id.ms) < 1_000);
    })
    .await;
}

#[tokio::test]
async fn a_number_that_is_found_in_the_log_is_its_devices() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let from = |device: &str, n| {
        let extra = Extra { sender: Some(device.to_owned()), ..Extra::default() };
        NewEntry { extra, ..entry(ROOM, "plum", n) }
    };
    let before = taken(&log, &entry(ROOM, "teal", 1)).await;
    let first = taken(&log, &from("phone", 1)).await;
    taken(&log, &from("desk", 1)).await;
    // The memory of numbers is gone; what the log took is not.
    let keys = redis.command(&["KEYS", "*:sent:*"]).await;
    for key in keys.split_whitespace().filter(|key| key.contains(":sent:")) {
        redis.command(&["DEL", key]).await;
    }
    let again: Result<Appended, LogError> = log.append(&from("phone", 1), Some(before)).await;
    assert_eq!(again.expect("an answer"), Appended::Duplicate(Some(first)));
}
