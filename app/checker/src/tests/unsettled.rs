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

/// What happens around `op 5` of ann, which then says that nobody can know what became of it.
type Around = fn(&mut Tale);

fn is_unsettled(around: Around) -> bool {
    let mut tale = chat();
    around(&mut tale);
    tale.info(5).verdict().contains(&"unsettled")
}

/// Leaves a room, and comes back at its head.
fn away(tale: &mut Tale, who: &str, room: &str) {
    let (client, room) = (who.to_owned(), room.to_owned());
    tale.tell(What::Leave { client: client.clone(), room: room.clone() });
    tale.tell(What::Join { client: client.clone(), room: room.clone() });
    let (how, cursor, present) = (Entered::Fresh, id(40), Vec::new());
    tale.tell(What::Joined { client: client.clone(), room: room.clone(), how, cursor, present });
    tale.tell(What::Live { client, room });
}

/// Its message may have been in what it did not see, so nobody can know.
#[test]
fn a_client_that_came_back_past_its_message_need_not_know() {
    let cases: [(&str, Around); 2] = [
        ("it left meanwhile", |tale| {
            tale.invoke("ann", 5);
            away(tale, "ann", DEN);
        }),
        ("a stretch was trimmed meanwhile", |tale| {
            tale.invoke("ann", 5).gap("ann", 40, 50);
        }),
    ];
    for (case, around) in cases {
        assert!(!is_unsettled(around), "{case}");
    }
}

/// An excuse any broader would hide an answer that was lost: all of the log has reached these.
#[test]
fn a_client_that_the_log_did_not_pass_by_must_know() {
    let cases: [(&str, Around); 10] = [
        ("nothing happened", |tale| {
            tale.invoke("ann", 5);
        }),
        ("it was taken, and seen", |tale| {
            tale.invoke("ann", 5).append(5).both_hear(5);
        }),
        ("another client left", |tale| {
            tale.invoke("ann", 5);
            away(tale, "bob", DEN);
        }),
        ("another client was told of a gap", |tale| {
            tale.invoke("ann", 5).gap("bob", 40, 50);
        }),
        ("it left another room", |tale| {
            tale.invoke("ann", 5);
            away(tale, "ann", "attic");
        }),
        ("it left before it sent", |tale| {
            away(tale, "ann", DEN);
            tale.invoke("ann", 5);
        }),
        ("a stretch was trimmed before it sent", |tale| {
            tale.gap("ann", 40, 50).invoke("ann", 5);
        }),
        ("the log was cut, and it may send again", |tale| {
            tale.invoke("ann", 5).gap("ann", 40, 30);
        }),
        ("it lost its connection, and went on from its cursor", |tale| {
            tale.invoke("ann", 5)
                .lost("ann", "r1", true)
                .connect("ann", "resume")
                .joined("ann", id(40));
        }),
        ("a fault was on", |tale| {
            tale.fault("redis-kill", true).invoke("ann", 5).fault("redis-kill", false);
        }),
    ];
    for (case, around) in cases {
        assert!(is_unsettled(around), "{case}");
    }
}

/// What it says first is what counts: it has no later excuse for it.
#[test]
fn a_client_that_leaves_after_it_said_that_nobody_can_know_is_not_excused() {
    let mut tale = chat();
    tale.invoke("ann", 5).info(5);
    away(&mut tale, "ann", DEN);
    let found = tale.verdict();
    assert!(found.contains(&"unsettled"), "{found:?}");
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
