//! What somebody sees at the page, what is read by HTTP, and what faults measured themselves.

use super::{
    NOTHING, chat,
    tale::{DEN, Tale, hash, id, member},
};
use crate::history::{Loss, What};

/// Zoe opens the page when four messages have been said, of which it shows the last two.
fn at_the_page() -> Tale {
    let mut tale = chat();
    let (client, rooms) = ("zoe".to_owned(), vec![DEN.to_owned()]);
    tale.tell(What::Began { client, role: "page".to_owned(), rooms });
    tale.here.push("zoe".to_owned());
    tale.connect("zoe", "fresh").joined("zoe", id(40));
    shown(&mut tale, 3);
    shown(&mut tale, 4);
    tale
}

fn shown(tale: &mut Tale, op: u64) -> &mut Tale {
    let (client, room) = ("zoe".to_owned(), DEN.to_owned());
    tale.tell(What::Shown { client, room, id: id(10 * op), hash: hash(op) })
}

fn noted(tale: &mut Tale) -> &mut Tale {
    tale.tell(What::Noted { client: "zoe".to_owned(), room: DEN.to_owned() })
}

fn banner(tale: &mut Tale) -> &mut Tale {
    let (client, words) = ("zoe".to_owned(), "reconnecting…".to_owned());
    tale.tell(What::Banner { client, words })
}

fn struck<'a>(tale: &'a mut Tale, fault: &str) -> &'a mut Tale {
    let (fault, target) = (fault.to_owned(), "r1".to_owned());
    tale.tell(What::Fault { step: 1, fault, target })
}

fn read(tale: &mut Tale, ops: &[(u64, u64)]) {
    let (client, room) = ("reader".to_owned(), DEN.to_owned());
    tale.tell(What::Reading { client: client.clone(), room: room.clone() });
    for (op, prev) in ops {
        let line = tale.log.iter().find(|line| line.op == *op).cloned().expect("it was said");
        let (client, room, member) = (client.clone(), room.clone(), member(&line.who));
        let (prev, hash) = (id(10 * prev), hash(*op));
        tale.tell(What::Read { client, room, id: line.id, prev, member, n: line.n, hash });
    }
}

#[test]
fn a_page_that_shows_all_from_its_first_message_on_is_right() {
    let mut tale = at_the_page();
    tale.say("ann", 5);
    assert_eq!(shown(&mut tale, 5).verdict(), NOTHING);
}

#[test]
fn what_a_page_lacks_is_unseen_in_the_middle_and_at_the_end() {
    let mut middle = at_the_page();
    middle.say("ann", 5).say("bob", 6);
    assert_eq!(shown(&mut middle, 6).verdict(), ["unseen"]);
    assert_eq!(at_the_page().say("ann", 5).verdict(), ["unseen"]);
}

#[test]
fn a_page_that_never_opens_is_not_overlooked() {
    let (client, rooms) = ("zoe".to_owned(), vec![DEN.to_owned()]);
    let began = What::Began { client, role: "page".to_owned(), rooms };
    assert_eq!(chat().tell(began).verdict(), ["unseen"]);
}

#[test]
fn a_page_that_shows_nothing_at_all_is_not_overlooked() {
    let mut tale = chat();
    let (client, rooms) = ("zoe".to_owned(), vec![DEN.to_owned()]);
    tale.tell(What::Began { client, role: "page".to_owned(), rooms });
    tale.here.push("zoe".to_owned());
    tale.connect("zoe", "fresh").joined("zoe", id(40));
    assert_eq!(tale.say("ann", 5).verdict(), ["unseen"]);
}

#[test]
fn a_page_that_says_that_something_is_missing_is_right_too() {
    let mut tale = at_the_page();
    tale.say("ann", 5).say("bob", 6);
    noted(&mut tale);
    assert_eq!(shown(&mut tale, 6).verdict(), NOTHING);
}

#[test]
fn a_page_shows_nothing_twice_and_nothing_out_of_order() {
    let mut twice = at_the_page();
    assert_eq!(shown(&mut twice, 4).verdict(), ["duplicate"]);
    let mut late = at_the_page();
    assert_eq!(shown(&mut late, 2).verdict(), ["reordered-room", "unseen"]);
    let mut phantom = at_the_page();
    let (client, room, hash) = ("zoe".to_owned(), DEN.to_owned(), "nobody's".to_owned());
    phantom.tell(What::Shown { client, room, id: id(41), hash });
    assert_eq!(phantom.verdict(), ["phantom"]);
}

#[test]
fn a_page_may_say_that_it_waits_while_something_is_broken_but_not_in_a_roll() {
    assert_eq!(banner(&mut at_the_page()).verdict(), ["false-banner"]);
    assert_eq!(banner(struck(&mut at_the_page(), "roll")).verdict(), ["false-banner"]);
    assert_eq!(banner(struck(&mut at_the_page(), "redis-kill")).verdict(), NOTHING);
}

#[test]
fn pages_of_history_chain_unless_data_was_destroyed_meanwhile() {
    let mut whole = chat();
    read(&mut whole, &[(2, 1), (3, 2), (4, 3)]);
    assert_eq!(whole.verdict(), NOTHING);
    let mut torn = chat();
    read(&mut torn, &[(1, 0), (2, 1), (4, 3)]);
    assert_eq!(torn.verdict(), ["skipped-message"]);
    let mut other = chat();
    read(&mut other, &[(2, 1), (3, 1)]);
    assert_eq!(
        other.verdict(),
        ["divergent-order", "skipped-message"],
        "clients know another predecessor"
    );
    let mut trimmed = chat();
    trimmed.tell(What::Destroying { loss: Loss::Trimmed });
    read(&mut trimmed, &[(1, 0), (2, 1), (4, 3)]);
    assert_eq!(trimmed.tell(What::Destroyed).verdict(), NOTHING);
}

#[test]
fn a_figure_past_its_limit_is_an_anomaly_and_the_worst_is_told() {
    let measured = |value, limit| What::Measured {
        figure: "ms without a message".to_owned(),
        of: "ann".to_owned(),
        value,
        limit,
    };
    let report = chat().tell(measured(10, 6_000)).tell(measured(6_000, 6_000)).judge();
    assert!(report.ok, "{report}");
    let worst = &report.figures.limits["ms without a message"];
    assert_eq!((worst.value, worst.limit, worst.times), (6_000, 6_000, 2));
    assert_eq!(chat().tell(measured(6_001, 6_000)).verdict(), ["past-limit"]);
}

#[test]
fn what_was_not_watched_is_not_proven() {
    let why = "there is no browser".to_owned();
    assert_eq!(chat().tell(What::Incomplete { why }).verdict(), ["incomplete"]);
}
