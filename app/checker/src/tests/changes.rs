//! Edits, removals and words of the room itself: entries like any other, but for their texts.

use super::{
    NOTHING, chat,
    tale::{DEN, Tale, hash, id, member},
};
use crate::history::{Changed, EDITED, UNSAID, What};

/// A client is given the entry of an operation without its text, as pages tell what was removed since.
fn hear_removed(tale: &mut Tale, who: &str, op: u64) {
    let line = tale.log.iter().find(|line| line.op == op).cloned().expect("it was said");
    let (client, room, member) = (who.to_owned(), DEN.to_owned(), member(&line.who));
    let (id, prev, n, hash) = (line.id, line.prev, line.n, UNSAID.to_owned());
    tale.tell(What::Message { client, room, id, prev, member, n, hash });
}

/// Somebody reads the last entry of the log by HTTP, with this text.
fn read_last(tale: &mut Tale, hash: String) -> Vec<&'static str> {
    let line = tale.log.last().cloned().expect("a log");
    let (client, room) = ("reader".to_owned(), DEN.to_owned());
    tale.tell(What::Reading { client: client.clone(), room: room.clone() });
    let (id, prev, member, n) = (line.id, line.prev, member(&line.who), line.n);
    tale.tell(What::Read { client, room, id, prev, member, n, hash });
    tale.verdict()
}

#[test]
fn a_word_of_the_room_is_due_to_all_and_is_no_phantom() {
    let told = |who: &[&str]| {
        let mut tale = chat();
        tale.append_as(0, id(50));
        for who in who {
            tale.hear(who, 0);
        }
        tale.say("ann", 6).verdict()
    };
    assert_eq!(told(&["ann", "bob"]), NOTHING);
    assert_eq!(told(&["ann"]), ["skipped-message", "unseen"]);
    assert_eq!(told(&["ann", "bob", "bob"]), ["duplicate"]);
}

#[test]
fn what_was_removed_is_heard_without_its_text_once_and_in_its_place() {
    let heard = |times: usize| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
        (0..times).for_each(|_| hear_removed(&mut tale, "bob", 5));
        tale.verdict()
    };
    assert_eq!(heard(1), NOTHING);
    assert_eq!(heard(0), ["unseen"]);
    assert_eq!(heard(2), ["duplicate"]);

    // The one that is told first has no text yet.
    let mut first = chat();
    first.invoke("ann", 5).append(5).ok(5);
    hear_removed(&mut first, "bob", 5);
    assert_eq!(first.hear("ann", 5).verdict(), NOTHING);

    let mut of_another = chat();
    of_another.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    of_another.log.last_mut().expect("a log").who = "bob".to_owned();
    hear_removed(&mut of_another, "bob", 5);
    of_another.log.last_mut().expect("a log").who = "ann".to_owned();
    assert_eq!(of_another.verdict(), ["divergent-order"]);
}

#[test]
fn an_edit_is_not_lost_and_not_twice() {
    let edited = |is_taken: bool, times: usize| {
        let mut tale = chat();
        tale.invoke_change("ann", 5);
        match is_taken {
            true => tale.append(5).ok(5),
            false => tale.ok(5),
        };
        for _ in 0..times {
            tale.both_hear(5);
        }
        tale.verdict()
    };
    assert_eq!(edited(true, 1), NOTHING);
    assert_eq!(edited(false, 0), ["lost-write"]);
    assert_eq!(edited(true, 2), ["duplicate"]);
    assert_eq!(chat().tell(What::Change { op: 9 }).verdict(), ["incomplete"]);
}

#[test]
fn a_text_that_was_edited_is_one_that_somebody_said() {
    let as_edited = |by: u64| {
        let mut tale = chat();
        tale.invoke_change("bob", 5).append(5).ok(5).both_hear(5);
        read_last(&mut tale, format!("{EDITED}{}", hash(by)))
    };
    assert_eq!(as_edited(5), NOTHING);
    assert_eq!(as_edited(99), ["phantom"]);
    assert_eq!(read_last(&mut chat(), UNSAID.to_owned()), NOTHING);
}

#[test]
fn a_page_shows_an_edit_where_its_message_is() {
    let shown = |is_change: bool, text: &str| {
        let mut tale = chat();
        let (client, room) = ("zoe".to_owned(), DEN.to_owned());
        let (rooms, role) = (vec![room.clone()], "page".to_owned());
        tale.tell(What::Began { client: client.clone(), role, rooms });
        tale.here.push("zoe".to_owned());
        tale.connect("zoe", "fresh").joined("zoe", id(40));
        let show = |tale: &mut Tale, op: u64| {
            let (client, room) = (client.clone(), room.clone());
            tale.tell(What::Shown { client, room, id: id(10 * op), hash: hash(op) });
        };
        show(&mut tale, 4);
        match is_change {
            true => tale.invoke_change("bob", 5),
            false => tale.invoke("bob", 5),
        };
        tale.append(5).ok(5).both_hear(5);
        let hash = text.to_owned();
        let (client, room) = (client.clone(), room.clone());
        tale.tell(What::Changed(Changed { client, room, id: id(40), hash }));
        tale.say("ann", 6);
        show(&mut tale, 6);
        tale.verdict()
    };
    assert_eq!(shown(true, &hash(5)), NOTHING);
    assert_eq!(shown(true, UNSAID), NOTHING);
    assert_eq!(shown(true, "another"), ["phantom"]);
    assert_eq!(shown(false, &hash(5)), ["unseen"]);
}
