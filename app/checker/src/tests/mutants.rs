//! The history that each mutant of `--mutants` would leave, as small as it gets: the checker has to name it. Those of
//! messages are in the other tests too; here they stand under the mutants' names.

use super::{
    NOTHING, chat,
    tale::{DEN, Tale, id, member},
};
use crate::history::{Loss, Phase, What};

/// A roll under faults, as chaos has it: `ann` moves.
fn rolled(during: impl FnOnce(&mut Tale) -> &mut Tale) -> Vec<&'static str> {
    let mut tale = chat();
    tale.wait(10_000).say("ann", 5).fault("roll", true).say("bob", 6);
    during(&mut tale).say("ann", 7).fault("roll", false).say("bob", 8).verdict()
}

#[test]
fn sound_rolls_pass() {
    assert_eq!(rolled(|tale| tale.welcomed("ann", "move", ["r1", "2"])), NOTHING);
}

#[test]
fn drop_feed_entry_in_a_quiet_room() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
    assert_eq!(tale.verdict(), ["unseen"], "nothing comes after it");
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).wait(12_000).hear("bob", 5);
    assert_eq!(tale.verdict(), ["late"], "the comparison of a lease later found it");
}

#[test]
fn deaf_for_30_s() {
    let mut tale = chat();
    tale.wait(30_000).invoke("ann", 5).append(5).ok(5).hear("ann", 5).wait(29_000).hear("bob", 5);
    assert_eq!(tale.verdict(), ["late"]);
}

#[test]
fn leave_and_join_at_every_move() {
    let found = rolled(|tale| {
        tale.welcomed("ann", "move", ["r1", "2"]);
        tale.presence("bob", "ann", false).presence("bob", "ann", true)
    });
    assert_eq!(found, ["flap"]);
}

#[test]
fn goaway_twice() {
    let found = rolled(|tale| {
        tale.welcomed("ann", "move", ["r1", "2"]).welcomed("ann", "move", ["r2", "2"])
    });
    assert_eq!(found, ["restless"]);
}

#[test]
fn half_of_the_clients_never_told() {
    let found = rolled(|tale| {
        tale.lost("bob", "r1", false).welcomed("bob", "resume", ["r1", "2"]).silence("bob", 40)
    });
    assert_eq!(found, ["forced-close", "silent"]);
    let mut tale = chat();
    tale.wait(5_000).phase(Phase::Roll, 1, true).say("ann", 5);
    tale.welcomed("ann", "move", ["r1", "2"]).done(0).turn("r1", "2", 8.0, 0).say("bob", 6);
    assert_eq!(tale.verdict(), ["unmoved", "wrong-release"], "even if its replica lives on");
}

#[test]
fn a_resend_after_60_s_is_taken_again() {
    let again = |twice: bool| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).both_hear(5).wait(65_000);
        if twice {
            tale.append_as(5, id(60)).both_hear(5);
        }
        tale.say("ann", 7).verdict()
    };
    assert_eq!(again(false), NOTHING);
    assert_eq!(again(true), ["duplicate", "late"], "and a minute after it was said");
}

#[test]
fn a_wrong_name() {
    let named = |name: &str| {
        let (client, member, name) = ("bob".to_owned(), member("ann"), name.to_owned());
        chat().tell(What::Named { client, member, name }).verdict()
    };
    assert_eq!((named("ann"), named("bob")), (vec![], vec!["wrong-name"]));
}

#[test]
fn the_member_list_cut() {
    let listed = |present: &[&str]| {
        let mut tale = chat();
        tale.enter("cat");
        let present = present.iter().map(|who| member(who)).collect();
        let (client, room) = ("bob".to_owned(), DEN.to_owned());
        tale.tell(What::Members { client, room, present }).verdict()
    };
    assert_eq!(listed(&["ann", "bob", "cat"]), NOTHING);
    assert_eq!(listed(&["bob", "cat"]), ["presence"]);
}

#[test]
fn a_stream_cut_at_the_deadline() {
    let stream = |cut: bool, ms: u64| {
        let mut tale = chat();
        let (client, role) = ("eve".to_owned(), "stream".to_owned());
        tale.tell(What::Began { client, role, rooms: Vec::new() }).wait(10_000);
        tale.fault("roll", true).say("bob", 5);
        if cut {
            tale.lost("eve", "a stream's replica", true);
        }
        tale.wait(ms).silence("eve", ms).fault("roll", false).say("ann", 6).verdict()
    };
    assert_eq!(stream(false, 300), NOTHING, "it ended, and was opened again at once");
    assert_eq!(stream(true, 300), ["abrupt-close"]);
    assert_eq!(stream(false, 2_500), ["silent"]);
}

#[test]
fn fsync_off() {
    // The machine died: what Redis had not written is gone, though nothing that a nemesis may destroy was.
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).both_hear(5).fault("power-loss", true);
    tale.log.pop();
    tale.last = id(40);
    tale.gap("ann", 50, 40).gap("bob", 50, 40).fault("power-loss", false);
    let found = tale.say("bob", 6).verdict();
    assert!(found.contains(&"lost-write") && found.contains(&"false-gap"), "{found:?}");
    let mut told = chat();
    told.invoke("ann", 5).append(5).both_hear(5);
    told.destroy(Loss::Rewound, |tale| {
        tale.log.pop();
        tale.last = id(40);
    });
    told.gap("ann", 50, 40).gap("bob", 50, 40).tell(What::Ok { op: 5, id: None, duplicate: false });
    assert!(!told.verdict().contains(&"false-gap"), "of what was destroyed a gap has to tell");
}
