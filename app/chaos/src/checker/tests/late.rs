//! What comes in the end, but only because something else made it come.

use super::{
    NOTHING, chat,
    tale::{DEN, Tale, id},
};
use crate::history::{Entered, What};

fn struck(tale: &mut Tale, undone: bool) -> &mut Tale {
    let (fault, target) = ("pause".to_owned(), "r1".to_owned());
    tale.tell(What::Fault { step: 1, fault: fault.clone(), target });
    if undone { tale.tell(What::Undone { step: 1, fault }) } else { tale }
}

/// Bob hears a minute after it was said; before that, something else happened.
fn a_minute_late(meanwhile: impl FnOnce(&mut Tale) -> &mut Tale) -> Vec<&'static str> {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    meanwhile(&mut tale).wait(60_000).hear("bob", 5).verdict()
}

fn lost(who: &str) -> What {
    let (client, replica, how) = (who.to_owned(), "r1".to_owned(), "broke".to_owned());
    What::Lost { client, replica, how, abrupt: true }
}

#[test]
fn a_message_that_comes_a_minute_late_in_peace_is_late() {
    assert_eq!(a_minute_late(|tale| tale), ["late"]);
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).wait(30_000).tell(lost("bob"));
    tale.connect("bob", "resume").joined("bob", id(40)).hear("bob", 5);
    assert_eq!(tale.verdict(), ["late"], "and that it came by a new connection is no excuse");
}

#[test]
fn what_was_in_the_way_is_an_excuse() {
    assert_eq!(a_minute_late(|tale| struck(tale, true)), NOTHING, "a fault, before it was due");
    assert_eq!(a_minute_late(|tale| tale.tell(lost("bob"))), NOTHING, "no connection");
    assert_eq!(a_minute_late(|tale| struck(tale.wait(10_000), true)), ["late"], "a later fault");
    let mut back = chat();
    back.tell(lost("bob")).tell(lost("bob")).connect("bob", "resume").joined("bob", id(40));
    back.invoke("ann", 5).append(5).ok(5).hear("ann", 5).wait(60_000).hear("bob", 5);
    assert_eq!(back.verdict(), ["late"], "both connections of a move were lost, but long before");
}

#[test]
fn an_acknowledgement_that_comes_a_minute_late_in_peace_is_late() {
    let late =
        |tale: &mut Tale| tale.invoke("ann", 5).append(5).both_hear(5).wait(60_000).ok(5).verdict();
    assert_eq!(late(&mut chat()), ["late"]);
    assert_eq!(late(struck(&mut chat(), true)), NOTHING, "a fault just before");
}

#[test]
fn who_comes_later_is_told_old_messages_and_a_slow_reader_hears_when_it_reads() {
    let mut tale = chat();
    tale.say("ann", 5).wait(60_000);
    let (client, room, role) = ("eve".to_owned(), DEN.to_owned(), "stream".to_owned());
    tale.tell(What::Began { client: client.clone(), role, rooms: vec![room.clone()] });
    let (how, cursor, present) = (Entered::Resumed, id(0), Vec::new());
    tale.tell(What::Joined { client, room, how, cursor, present });
    (1..=5).for_each(|op| {
        tale.hear("eve", op);
    });
    assert_eq!(tale.verdict(), NOTHING);
}

#[test]
fn recovery_counts_who_was_connected_and_heard_nothing() {
    let mut tale = chat();
    struck(&mut tale, false).invoke("ann", 5).append(5).ok(5).hear("ann", 5).wait(3_000);
    tale.tell(What::Undone { step: 1, fault: "pause".to_owned() });
    let recovery = tale.wait(1_999).hear("bob", 5).judge().figures.faults["pause"];
    assert_eq!((recovery.times, recovery.longest_ms), (1, 2_000));
}
