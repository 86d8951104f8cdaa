//! Comings and goings that clients are told of, in a phase and outside of all.

use super::{
    NOTHING,
    phases::{OLD, before, in_phase, moves, rolled, told},
    tale::{DEN, Tale, member},
};
use crate::history::{Entered, Phase, What};

#[test]
fn flap_is_whoever_is_said_to_go_or_come_and_was_there() {
    for here in [false, true] {
        let flap = told(|tale| {
            tale.presence("bob", "ann", here).presence("bob", "ann", true);
            moves(tale)
        });
        assert_eq!(rolled(flap), ["flap"], "a mover, here: {here}");
        assert_eq!(in_phase(Phase::Outage, |tale| tale.presence("bob", "ann", true)), NOTHING);
    }
    let killed = told(|tale| {
        tale.lost("ann", "r1", true).presence("bob", "ann", false).presence("bob", "ann", true);
        tale.welcomed("ann", "resume", ["r1", OLD])
    });
    assert_eq!(in_phase(Phase::Kill, killed), ["flap"], "its lease has not run out");
    let back = told(|tale| {
        tale.lost("ann", "r1", true).welcomed("ann", "resume", ["r1", OLD]);
        tale.presence("bob", "ann", true)
    });
    assert_eq!(in_phase(Phase::Kill, back), ["flap"], "nor is it news that it is back");
    let left = told(|tale| {
        tale.leave("ann").tell(What::Join { client: "ann".to_owned(), room: DEN.to_owned() });
        tale.here.push("ann".to_owned());
        let last = tale.last;
        tale.joined("ann", last)
    });
    assert_eq!(in_phase(Phase::Quiet, left), NOTHING, "it did leave, and came back");
}

#[test]
fn flap_is_not_a_leave_that_is_told_late_to_a_slow_client() {
    let told_to = |role: &str, waits: &[u64]| {
        in_phase(Phase::Quiet, |tale| {
            tale.enter_as("eve", role);
            tale.tell(What::Leave { client: "ann".to_owned(), room: DEN.to_owned() });
            tale.tell(What::Join { client: "ann".to_owned(), room: DEN.to_owned() });
            let (client, room, cursor) = ("ann".to_owned(), DEN.to_owned(), tale.last);
            let present = tale.here.iter().map(|name| member(name)).collect();
            // Nobody else is told yet.
            tale.tell(What::Joined { client, room, how: Entered::Resumed, cursor, present });
            for ms in waits {
                tale.wait(*ms).presence("eve", "ann", false).presence("eve", "ann", true);
            }
            tale.leave("eve")
        })
    };
    assert_eq!(told_to("talker", &[2_000]), NOTHING, "eve reads slowly");
    assert_eq!(told_to("talker", &[2_000, 1_000]), ["flap"], "ann left once");
    assert_eq!(told_to("talker", &[6_000]), ["flap"], "nobody is that slow");
    assert_eq!(told_to("slow", &[8_000]), NOTHING, "but on purpose");
    assert_eq!(told_to("slow", &[8_000, 1_000]), ["flap"], "ann left once");
}

#[test]
fn flap_is_whoever_is_said_to_come_long_after_that_also_who_came_just_before_the_phase() {
    let told_after = |ms, to: &str| {
        let mut tale = Tale::new();
        tale.enter_as("eve", "slow").wait(1_000);
        tale.phase(Phase::Roll, 0, false).say("ann", 1).wait(ms).presence(to, "ann", true);
        tale.done(0).wait(1_000).say("ann", 2).hear("eve", 1).hear("eve", 2).verdict()
    };
    assert_eq!(told_after(10_000, "bob"), ["flap"], "she was there all the time");
    assert_eq!(told_after(2_000, "bob"), NOTHING, "it is news");
    assert_eq!(told_after(10_000, "eve"), NOTHING, "who reads slowly on purpose");
}

#[test]
fn flap_is_whoever_is_said_to_come_between_faults_and_was_neither_new_nor_away() {
    let told = |away: bool, ms| {
        let mut tale = Tale::new();
        tale.say("ann", 1).fault("replica-kill", true);
        if away {
            tale.lost("ann", "r1", true);
        }
        tale.presence("bob", "ann", false).fault("replica-kill", false).wait(19_000);
        match away {
            true => tale.connect("ann", "resume"),
            false => tale.presence("bob", "ann", true),
        };
        tale.wait(ms).presence("bob", "ann", true).verdict()
    };
    assert_eq!(told(false, 2_000), ["flap"]);
    assert_eq!(told(true, 2_000), NOTHING, "her return is news");
    assert_eq!(told(true, 6_000), ["flap"], "nobody is that slow");
    let mut tale = Tale::new();
    tale.say("ann", 1).wait(30_000).enter("cat").wait(2_000).presence("bob", "cat", true);
    assert_eq!(tale.verdict(), NOTHING, "cat is new");
}

#[test]
fn presence_is_judged_whenever_it_is_quiet() {
    let wrong_for = |ms: u64| {
        let mut tale = before();
        tale.wait(30_000).say("ann", 3);
        // Bob's view lacks Ann, and is right again before the end.
        let view = |present: Vec<String>| What::Members {
            client: "bob".to_owned(),
            room: DEN.to_owned(),
            present,
        };
        tale.tell(view(vec![member("bob")]));
        for _ in 0..ms / 1_000 {
            let (client, room) = ("ann".to_owned(), DEN.to_owned());
            tale.wait(999).tell(What::Live { client, room });
        }
        tale.tell(view(vec![member("ann"), member("bob")])).verdict()
    };
    assert_eq!((wrong_for(4_000), wrong_for(20_000)), (vec![], vec!["presence"]));
}
