//! Everything comes to an end once all is healed: answers, entering a room, and the way to its
//! last message.

use super::{
    NOTHING, chat,
    tale::{DEN, Tale, id},
};
use crate::history::{Entered, Gone, Op, What};

/// `chat`, and somebody of this role.
fn with(who: &str, role: &str, rooms: &[&str]) -> Tale {
    let mut tale = chat();
    let rooms = rooms.iter().map(|room| (*room).to_owned()).collect();
    tale.tell(What::Began { client: who.to_owned(), role: role.to_owned(), rooms });
    tale
}

fn nobody_knows(tale: &mut Tale, who: &str, op: Op) -> Vec<&'static str> {
    tale.invoke(who, op).append(op).info(op).both_hear(op).verdict()
}

#[test]
fn unsettled() {
    assert_eq!(nobody_knows(&mut chat(), "ann", 5), ["unsettled"]);
    assert_eq!(chat().invoke("ann", 5).verdict(), ["unsettled"], "not even unknown");
    let mut late = chat();
    assert_eq!(late.invoke("ann", 5).append(5).info(5).both_hear(5).ok(5).verdict(), NOTHING);
    let mut refused = chat();
    assert_eq!(refused.invoke("ann", 5).info(5).fail(5).verdict(), NOTHING);
}

/// Its message may have been in what it did not see, so nobody can know.
#[test]
fn a_client_that_came_back_past_its_message_need_not_know() {
    let told = |room: &str| {
        let mut back = chat();
        back.invoke("ann", 5);
        back.tell(What::Leave { client: "ann".to_owned(), room: room.to_owned() });
        back.tell(What::Join { client: "ann".to_owned(), room: room.to_owned() });
        back.tell(What::Joined {
            client: "ann".to_owned(),
            room: room.to_owned(),
            how: Entered::Fresh,
            cursor: id(4),
            present: Vec::new(),
        });
        back.tell(What::Live { client: "ann".to_owned(), room: room.to_owned() });
        back.info(5).verdict()
    };
    assert!(!told(DEN).contains(&"unsettled"), "{:?}", told(DEN));
}

#[test]
fn who_was_dismissed_at_the_end_had_to_be_answered_and_who_went_before_had_not() {
    for how in [Gone::Bye, Gone::Vanished] {
        let mut gone = chat();
        gone.invoke("ann", 5).append(5).both_hear(5).info(5).gone("ann", how);
        assert_eq!(gone.verdict(), NOTHING);
    }
    let mut dismissed = chat();
    dismissed.invoke("ann", 5).append(5).both_hear(5).heal().observe(&["ann", "bob"]).info(5);
    dismissed.tell(What::Gone { client: "ann".to_owned(), how: Gone::Dismissed }).end();
    assert_eq!(super::names(&super::check(&dismissed.records)), ["unsettled"]);
}

#[test]
fn a_poster_is_answered_and_a_fault_need_not_be() {
    assert_eq!(nobody_knows(&mut with("cat", "poster", &[DEN]), "cat", 5), ["unsettled"]);
    assert_eq!(nobody_knows(&mut with("cat", "flooder", &[]), "cat", 5), NOTHING);
    assert_eq!(nobody_knows(&mut with("cat", "stormer", &[]), "cat", 5), NOTHING);
}

#[test]
fn a_stream_that_never_got_anything_is_unseen() {
    assert_eq!(with("eve", "stream", &[DEN]).verdict(), ["unseen"]);
    assert_eq!(with("eve", "talker", &[DEN]).verdict(), ["unseen"], "never connected");
    assert_eq!(with("eve", "poster", &[DEN]).verdict(), NOTHING, "it is told nothing");
    let mut heard = with("eve", "stream", &[DEN]);
    let (client, room, present) = ("eve".to_owned(), DEN.to_owned(), Vec::new());
    heard.tell(What::Joined { client, room, how: Entered::Resumed, cursor: id(0), present });
    (1..=4).for_each(|op| {
        heard.hear("eve", op);
    });
    // A stream is no member.
    let mut found = heard.verdict();
    found.retain(|name| *name != "presence");
    assert_eq!(found, NOTHING);
}

#[test]
fn who_stands_elsewhere_than_on_the_last_message_is_astray() {
    // The log is trimmed to nothing but what is new, and bob, who had it all, is sent past its end.
    let sent_to = |resumes_at| {
        let mut tale = chat();
        tale.trim(4).say("ann", 5);
        if resumes_at != 50 {
            tale.gap("bob", 50, resumes_at);
        }
        tale.verdict()
    };
    assert_eq!(sent_to(50), NOTHING);
    assert_eq!(sent_to(60), ["unseen"]);
}

#[test]
fn who_is_sent_back_must_be_brought_to_the_end_again() {
    let ends_at = |resumes_at| {
        let mut tale = chat();
        tale.rewind(3).gap("ann", 40, 30).gap("bob", 40, resumes_at).verdict()
    };
    assert_eq!(ends_at(30), NOTHING);
    assert_eq!(ends_at(20), ["unseen"]);
}

#[test]
fn a_loss_is_told_also_where_nobody_speaks_any_more() {
    let told = |bob: bool| {
        let mut tale = chat();
        tale.rewind(3).gap("ann", 40, 30);
        if bob {
            tale.gap("bob", 40, 30);
        }
        tale.verdict()
    };
    assert_eq!((told(true), told(false)), (vec![], vec!["silent-loss"]));
    let mut tale = chat();
    tale.rewind(3).gap("ann", 40, 30).invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    assert_eq!(tale.verdict(), ["unseen"]);
}
