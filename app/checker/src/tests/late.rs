//! What comes in the end, but only because something else made it come.

use super::{
    NOTHING, chat,
    tale::{DEN, Tale, id},
};
use crate::history::{Entered, What};

fn struck(tale: &mut Tale, undone: bool) -> &mut Tale {
    tale.tell(fault_of(true));
    if undone { tale.tell(fault_of(false)) } else { tale }
}

/// The one fault, its beginning or its end.
fn fault_of(begins: bool) -> What {
    let (fault, target) = ("pause".to_owned(), "r1".to_owned());
    match begins {
        true => What::Fault { step: 1, fault, target },
        false => What::Undone { step: 1, fault },
    }
}

fn back(who: &str) -> What {
    What::Silence { client: who.to_owned(), ms: 1 }
}

/// Bob hears a minute after it was said; before that, something else happened.
fn a_minute_late(meanwhile: impl FnOnce(&mut Tale) -> &mut Tale) -> Vec<&'static str> {
    late_by(60_000, meanwhile)
}

fn late_by(ms: u64, meanwhile: impl FnOnce(&mut Tale) -> &mut Tale) -> Vec<&'static str> {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    meanwhile(&mut tale).wait(ms).hear("bob", 5).verdict()
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
    let found = tale.verdict();
    assert_eq!(
        found,
        ["late", "abrupt-close"],
        "and that it came by a new connection is no excuse"
    );
}

#[test]
fn what_was_in_the_way_is_an_excuse_for_a_while() {
    assert_eq!(late_by(18_000, |tale| struck(tale, true)), NOTHING, "a fault, before it was due");
    let lost_in_a_fault = |ms| {
        late_by(ms, |tale| {
            tale.tell(fault_of(true)).tell(lost("bob")).tell(fault_of(false)).tell(back("bob"))
        })
    };
    assert_eq!(lost_in_a_fault(18_000), NOTHING, "no connection");
    assert_eq!(lost_in_a_fault(60_000), ["late"], "but long ago");
    assert_eq!(late_by(5_000, |tale| struck(tale.wait(10_000), true)), ["late"], "a later fault");
    let lasts = |ms| late_by(ms, |tale| struck(tale, false).wait(60_000).tell(fault_of(false)));
    assert_eq!(lasts(18_000), NOTHING, "a fault of a minute");
    assert_eq!(lasts(60_000), ["late"], "and a minute more");
}

#[test]
fn a_connection_that_was_lost_long_before_is_no_excuse() {
    let mut tale = chat();
    tale.tell(fault_of(true)).tell(lost("bob")).tell(lost("bob")).tell(fault_of(false));
    tale.connect("bob", "resume").joined("bob", id(40)).wait(10_000);
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).wait(60_000).hear("bob", 5);
    assert_eq!(tale.verdict(), ["late"], "both connections of a move were lost, but long before");
}

#[test]
fn an_acknowledgement_that_comes_a_minute_late_in_peace_is_late() {
    let late =
        |tale: &mut Tale, ms| tale.invoke("ann", 5).append(5).both_hear(5).wait(ms).ok(5).verdict();
    assert_eq!(late(&mut chat(), 60_000), ["late"]);
    assert_eq!(late(struck(&mut chat(), true), 18_000), NOTHING, "a fault just before");
    assert_eq!(late(struck(&mut chat(), true), 60_000), ["late"], "a minute before");
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
