//! For every anomaly the smallest history that has it, and its nearest innocent neighbours.

mod changes;
mod destroyed;
mod figures;
mod flaps;
mod late;
mod mutants;
mod pages;
mod phases;
mod snapshot;
mod store;
mod tale;
mod unsettled;

use tale::{DEN, Tale, id, names};

use super::check;
use crate::history::{Entered, Gone, Op, Record, What};

const NOTHING: [&str; 0] = [];

/// `ann` and `bob` say two messages each.
fn chat() -> Tale {
    let mut tale = Tale::new();
    tale.say("ann", 1).say("bob", 2).say("ann", 3).say("bob", 4);
    tale
}

#[test]
fn a_sound_history_passes() {
    let report = chat().judge();
    assert!(report.ok, "{report}");
    let figures = &report.figures;
    assert_eq!((figures.ok, figures.deliveries, figures.entries), (4, 8, 4));
    assert_eq!((figures.clients, figures.rooms), (2, 1));
}

#[test]
fn lost_write() {
    assert_eq!(chat().invoke("ann", 5).ok(5).verdict(), ["lost-write"]);
    let unknown = |taken: bool| {
        let mut tale = chat();
        tale.enter("cat").invoke("cat", 5);
        if taken {
            tale.append(5).both_hear(5);
        }
        tale.info(5).gone("cat", Gone::Vanished).verdict()
    };
    assert_eq!((unknown(false), unknown(true)), (vec![], vec![]), "unknown: once or never");
}

#[test]
fn an_acknowledgement_may_come_after_the_message_and_after_nobody_knew() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).both_hear(5).info(5).ok(5);
    assert_eq!(tale.verdict(), NOTHING);
}

#[test]
fn duplicate() {
    let mut in_log = chat();
    in_log.invoke("ann", 5).append(5).ok(5).both_hear(5);
    in_log.append_as(5, id(60)).both_hear(5);
    assert_eq!(in_log.verdict(), ["duplicate"]);
    assert_eq!(chat().hear("bob", 4).verdict(), ["duplicate"], "delivered twice");
    let mut retried = chat();
    retried.invoke("ann", 5).append(5).both_hear(5);
    retried.tell(What::Ok { op: 5, id: Some(id(50)), duplicate: true });
    assert_eq!(retried.verdict(), NOTHING, "a retry that the log recognised");
}

#[test]
fn what_one_connection_repeats_is_a_duplicate_though_its_client_drops_it() {
    let (client, room) = ("bob".to_owned(), DEN.to_owned());
    let again = What::Repeated { client, room, id: id(30), after: id(40) };
    assert_eq!(chat().tell(again).verdict(), ["duplicate"]);
}

#[test]
fn aborted_read() {
    assert_eq!(chat().invoke("ann", 5).append(5).fail(5).both_hear(5).verdict(), ["aborted-read"]);
    assert_eq!(chat().invoke("ann", 5).fail(5).verdict(), NOTHING);
}

#[test]
fn a_rejected_message_that_only_a_client_was_shown() {
    let mut tale = chat();
    tale.invoke("ann", 5).fail(5).append(5).hear("bob", 5);
    tale.log.pop();
    let found = tale.verdict();
    assert!(found.contains(&"aborted-read"), "{found:?}");
}

#[test]
fn phantom() {
    assert_eq!(chat().append(5).both_hear(5).verdict(), ["phantom"]);
    assert_eq!(chat().say("ann", 5).verdict(), NOTHING);
}

#[test]
fn a_message_under_another_name_is_a_phantom() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5);
    tale.log.last_mut().expect("it").who = "bob".to_owned();
    tale.log.last_mut().expect("it").n = 3;
    assert_eq!(tale.ok(5).both_hear(5).verdict(), ["phantom"]);
}

#[test]
fn who_only_posts_has_no_connection_and_is_no_phantom() {
    let mut tale = chat();
    let (client, role) = ("cat".to_owned(), "poster".to_owned());
    tale.tell(What::Began { client, role, rooms: vec![DEN.to_owned()] });
    assert_eq!(tale.say("cat", 5).verdict(), NOTHING);
}

#[test]
fn reordered_room() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).invoke("bob", 6).append(6).ok(6);
    let found = tale.hear("ann", 5).hear("ann", 6).hear("bob", 6).hear("bob", 5).verdict();
    assert!(found.contains(&"reordered-room"), "{found:?}");
    let mut sound = chat();
    sound.invoke("ann", 5).append(5).ok(5).invoke("bob", 6).append(6).ok(6);
    assert_eq!(sound.both_hear(5).both_hear(6).verdict(), NOTHING);
}

#[test]
fn a_log_out_of_order_is_a_reordered_room() {
    let mut tale = chat();
    tale.invoke("ann", 5).append_as(5, id(35)).ok(5);
    let found = tale.verdict();
    assert!(found.contains(&"reordered-room"), "{found:?}");
}

#[test]
fn reordered_sender() {
    let both = |first: Op, second: Op| {
        let mut tale = chat();
        tale.invoke("ann", 5).invoke("ann", 6).append_as(first, id(50)).append_as(second, id(60));
        tale.ok(5).ok(6).both_hear(first).both_hear(second).verdict()
    };
    assert_eq!(both(6, 5), ["reordered-sender"]);
    assert_eq!(both(5, 6), NOTHING);
}

#[test]
fn two_senders_may_overtake_each_other() {
    let mut tale = chat();
    tale.invoke("ann", 5).invoke("bob", 6).append_as(6, id(50)).append_as(5, id(60));
    assert_eq!(tale.ok(5).ok(6).both_hear(6).both_hear(5).verdict(), NOTHING);
}

#[test]
fn a_number_that_does_not_rise_is_a_reordered_sender() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5);
    tale.log.last_mut().expect("it").n = 2;
    assert_eq!(tale.both_hear(5).verdict(), ["reordered-sender"]);
}

#[test]
fn divergent_order() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    tale.invoke("bob", 6).fail(6);
    let mut other = tale.log[4].clone();
    (other.op, other.who, other.n) = (6, "bob".to_owned(), 3);
    assert_eq!(tale.hear_line("bob", &other).verdict(), ["divergent-order"]);
}

#[test]
fn a_message_that_the_log_does_not_have_diverges() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).both_hear(5);
    tale.log.pop();
    assert_eq!(tale.verdict(), ["divergent-order", "unseen", "unsettled"]);
}

#[test]
fn an_acknowledgement_that_names_another_entry_diverges() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).both_hear(5);
    tale.tell(What::Ok { op: 5, id: Some(id(51)), duplicate: false });
    assert_eq!(tale.verdict(), ["divergent-order"]);
}

#[test]
fn skipped_message() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    tale.say("ann", 6);
    assert_eq!(tale.verdict(), ["skipped-message", "unseen"]);
    assert_eq!(chat().broken("bob", 60, 40, 50).verdict(), ["skipped-message"]);
    let skipped = chat().broken("bob", 60, 40, 50).judge().figures.skipped;
    assert_eq!(skipped, [("1".to_owned(), 1)].into(), "by the release that serves bob");
}

#[test]
fn a_chain_that_passes_over_an_acknowledged_entry_skips_a_message() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).log.pop();
    tale.last = id(40);
    assert_eq!(tale.say("bob", 6).verdict(), ["lost-write"], "nobody was ever shown it");
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    tale.last = id(40);
    tale.invoke("bob", 6).append(6).ok(6).hear("bob", 6);
    let found = tale.verdict();
    assert!(found.contains(&"skipped-message"), "{found:?}");
}

#[test]
fn a_client_that_comes_back_goes_on_from_its_cursor() {
    let back_at = |cursor| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
        tale.connect("bob", "resume").joined("bob", cursor);
        if cursor == id(40) {
            tale.hear("bob", 5);
        }
        tale.verdict()
    };
    assert_eq!(back_at(id(40)), NOTHING);
    assert_eq!(back_at(id(50)), ["skipped-message", "unseen"], "resumed from the tail");
}

#[test]
fn who_left_is_owed_nothing_until_it_is_back() {
    let mut tale = chat();
    tale.leave("bob").invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    let join = What::Join { client: "bob".to_owned(), room: DEN.to_owned() };
    tale.here.push("bob".to_owned());
    tale.tell(join).joined("bob", id(50));
    assert_eq!(tale.say("ann", 6).verdict(), NOTHING);
}

#[test]
fn a_late_answer_may_begin_a_stay_and_the_right_one_begins_it_again() {
    let again = |reconnects: bool| {
        let mut tale = chat();
        tale.leave("bob").invoke("ann", 5).append(5).ok(5).hear("ann", 5);
        tale.here.push("bob".to_owned());
        tale.tell(What::Join { client: "bob".to_owned(), room: DEN.to_owned() });
        tale.joined_as("bob", id(40), Entered::Fresh);
        if reconnects {
            tale.connect("bob", "resume");
        }
        tale.joined_as("bob", id(50), Entered::Fresh).say("ann", 6).verdict()
    };
    assert_eq!(again(false), NOTHING);
    assert_eq!(again(true), ["skipped-message", "unseen"], "on another connection it goes on");
}

#[test]
fn false_gap() {
    // And bob does not stand where the log ends.
    assert_eq!(chat().gap("bob", 40, 50).verdict(), ["false-gap", "unseen"]);
    assert_eq!(chat().gap("bob", 40, 20).verdict(), ["false-gap", "unseen"]);
}

#[test]
fn unseen() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    assert_eq!(tale.verdict(), ["unseen"]);
    let mut left = chat();
    left.leave("bob").invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    assert_eq!(left.verdict(), NOTHING);
    let mut late = chat();
    assert_eq!(late.enter("cat").verdict(), NOTHING, "what was before it came is not due");
}

#[test]
fn a_client_that_never_came_into_its_room_sees_nothing() {
    let mut tale = chat();
    let join = What::Join { client: "bob".to_owned(), room: "attic".to_owned() };
    assert_eq!(tale.tell(join).verdict(), ["unseen"]);
}

#[test]
fn presence() {
    let observed = |here: &[&str]| names(&check(&chat().heal().observe(here).end().records));
    assert_eq!(observed(&["ann", "bob"]), NOTHING);
    assert_eq!(observed(&["ann"]), ["presence"]);
    assert_eq!(observed(&["ann", "bob", "cat"]), ["presence"]);
}

#[test]
fn a_client_whose_own_view_is_stale_fails_presence() {
    let gone = |how, told: bool| {
        let mut tale = chat();
        tale.enter("cat").gone("cat", how);
        if !told {
            tale.records.pop();
        }
        tale.verdict()
    };
    assert_eq!(gone(Gone::Bye, true), NOTHING);
    assert_eq!(gone(Gone::Bye, false), ["presence"]);
    assert_eq!(gone(Gone::Vanished, true), NOTHING);
    assert_eq!(gone(Gone::Vanished, false), ["presence"]);
}

#[test]
fn who_is_dismissed_at_the_end_was_still_there() {
    let mut tale = chat();
    tale.heal().observe(&["ann", "bob"]);
    for who in ["ann", "bob"] {
        tale.tell(What::Gone { client: who.to_owned(), how: Gone::Dismissed });
    }
    assert_eq!(names(&check(&tale.end().records)), NOTHING);
    let mut unseen = chat();
    unseen.invoke("ann", 5).append(5).ok(5).hear("ann", 5).heal();
    unseen.tell(What::Gone { client: "bob".to_owned(), how: Gone::Dismissed });
    assert_eq!(names(&check(&unseen.end().records)), ["unseen"]);
}

#[test]
fn expelled() {
    assert_eq!(chat().gone("bob", Gone::Expelled).verdict(), ["expelled"]);
    assert_eq!(chat().gone("bob", Gone::Bye).verdict(), NOTHING);
}

#[test]
fn incomplete() {
    assert_eq!(names(&check(&chat().heal().records)), ["incomplete"], "no entries, no end");
    assert_eq!(names(&check(&chat().end().records)), ["incomplete"], "never healed");
    let mut empty = chat();
    empty.log.clear();
    assert_eq!(names(&check(&empty.heal().end().records)), ["incomplete"], "no entries");
    assert_eq!(chat().ok(4).verdict(), ["incomplete"], "an outcome twice");
    assert_eq!(chat().ok(99).verdict(), ["incomplete"], "an outcome of nothing");
}

#[test]
fn nothing_happened() {
    let none: [Record; 0] = [];
    assert_eq!(names(&check(&none)), ["incomplete", "nothing-happened"]);
    let mut silent = Tale::new();
    assert_eq!(
        silent.invoke("ann", 1).append(1).info(1).both_hear(1).verdict(),
        ["unsettled", "nothing-happened"]
    );
}

#[test]
fn a_finding_names_what_and_when_and_the_fault() {
    let mut tale = chat();
    let (fault, target) = ("redis-kill".to_owned(), "redis".to_owned());
    tale.tell(What::Fault { step: 7, fault: fault.clone(), target });
    let report = tale.invoke("ann", 5).ok(5).tell(What::Undone { step: 7, fault }).judge();
    let found = &report.anomalies.values().next().expect("a finding").examples[0];
    assert!(found.detail.contains("op 5 (ann in den"), "{found:?}");
    assert_eq!(found.faults, ["redis-kill of redis (step 7)"]);
    let line = &tale.records[found.line as usize - 1];
    assert!(matches!(line.what, What::Ok { op: 5, .. }), "{line:?}");
}
