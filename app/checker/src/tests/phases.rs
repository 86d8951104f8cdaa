//! What a phase allows and what not: for each anomaly a roll, a kill or a quiet time that has it, and its neighbour.

use super::{
    NOTHING,
    tale::{DEN, Tale, id, names},
};
use crate::{
    check, check_file,
    history::{Gone, Phase, Record, What},
};

pub(super) const OLD: &str = "1";
const NEW: &str = "2";

/// `ann` is on r1 and `bob` on r2, and both have talked in peace.
pub(super) fn before() -> Tale {
    let mut tale = Tale::new();
    tale.welcomed("ann", "fresh", ["r1", OLD]).welcomed("bob", "fresh", ["r2", OLD]);
    tale.phase(Phase::Quiet, 0, false).say("ann", 1).say("bob", 2).wait(5_000);
    tale
}

/// Both are moved to the new release, and talk on.
pub(super) fn rolled(during: impl FnOnce(&mut Tale) -> &mut Tale) -> Vec<&'static str> {
    roll(true, during, 0, |tale| tale.turn("r1", NEW, 8.0, 0).turn("r2", NEW, 8.0, 0))
}

/// So that a closure may be named before it is used.
pub(super) fn told<F: Fn(&mut Tale) -> &mut Tale>(what: F) -> F {
    what
}

pub(super) fn moves(tale: &mut Tale) -> &mut Tale {
    tale.welcomed("ann", "move", ["r1", NEW]).welcomed("bob", "move", ["r2", NEW])
}

fn roll(
    turns: bool,
    during: impl FnOnce(&mut Tale) -> &mut Tale,
    exit: i32,
    told: impl FnOnce(&mut Tale) -> &mut Tale,
) -> Vec<&'static str> {
    let mut tale = before();
    tale.phase(Phase::Roll, 1, turns).say("ann", 3);
    during(&mut tale).say("bob", 4).done(exit);
    told(&mut tale).wait(1_000).say("ann", 5).verdict()
}

/// Something happens in a phase of this kind.
pub(super) fn in_phase(
    phase: Phase,
    during: impl FnOnce(&mut Tale) -> &mut Tale,
) -> Vec<&'static str> {
    let mut tale = before();
    tale.phase(phase, 0, false).say("ann", 3);
    during(&mut tale).done(0).wait(1_000).say("ann", 5).verdict()
}

#[test]
fn a_roll_that_nobody_notices_passes() {
    assert_eq!(rolled(moves), NOTHING);
    assert_eq!(roll(false, moves, 0, |tale| tale), NOTHING, "one that tells no turns");
    assert_eq!(in_phase(Phase::Quiet, |tale| tale), NOTHING);
}

#[test]
fn restless_is_each_client_by_itself_that_moves_twice_in_a_roll() {
    assert_eq!(rolled(|tale| moves(tale).welcomed("bob", "move", ["r2", NEW])), ["restless"]);
    assert_eq!(rolled(|tale| moves(tale).welcomed("bob", "resume", ["r2", NEW])), ["restless"]);
    let twice = |rolls| {
        let mut tale = before();
        moves(tale.phase(Phase::Roll, rolls, false));
        moves(&mut tale).say("ann", 3).done(0).wait(1_000).say("ann", 5).verdict()
    };
    assert_eq!((twice(2), twice(1)), (vec![], vec!["restless"]), "two rolls");
    let moved = in_phase(Phase::Quiet, |tale| tale.welcomed("ann", "move", ["r2", OLD]));
    assert_eq!(moved, ["restless"], "in peace nobody moves at all");
}

#[test]
fn unmoved_is_whoever_a_rolled_replica_served_and_still_serves() {
    let found = rolled(|tale| tale.welcomed("ann", "move", ["r1", NEW]));
    assert_eq!(found, ["unmoved", "wrong-release"], "bob is on r2 as it was");
    let only_first = told(|tale| tale.welcomed("ann", "move", ["r1", NEW]));
    let found = roll(true, only_first, 0, |tale| tale.turn("r1", NEW, 8.0, 0));
    assert_eq!(found, ["not-exercised"], "r2 had no turn, so bob need not move");
    let gone = told(|tale| {
        tale.welcomed("ann", "move", ["r1", NEW]);
        tale.gone("bob", Gone::Bye).enter("cat").welcomed("cat", "fresh", ["r2", NEW])
    });
    let mut tale = before();
    gone(tale.phase(Phase::Roll, 1, false)).invoke("ann", 3).append(3).ok(3).hear("ann", 3);
    tale.hear("cat", 3).done(0).turn("r1", NEW, 8.0, 0).turn("r2", NEW, 8.0, 0);
    tale.invoke("ann", 4).append(4).ok(4).hear("ann", 4).hear("cat", 4);
    assert!(!names(&tale.judge()).contains(&"unmoved"), "whoever is gone need not move");
}

#[test]
fn wrong_release_is_a_replica_that_does_not_serve_what_it_was_rolled_to() {
    let to_other = told(|tale| {
        tale.welcomed("ann", "move", ["r1", NEW]);
        tale.welcomed("bob", "move", ["r2", "3"])
    });
    assert_eq!(rolled(to_other), ["wrong-release"]);
    let to_one = told(|tale| {
        tale.welcomed("ann", "move", ["r1", NEW]);
        tale.welcomed("bob", "move", ["r1", NEW])
    });
    assert_eq!(rolled(to_one), ["wrong-release", "unbalanced"], "nobody is served by r2");
}

#[test]
fn forced_and_abrupt_closes_are_allowed_only_where_something_dies() {
    for (abrupt, name) in [(false, "forced-close"), (true, "abrupt-close")] {
        let lost =
            told(|tale| tale.lost("ann", "r1", abrupt).welcomed("ann", "resume", ["r1", OLD]));
        assert_eq!(in_phase(Phase::Quiet, lost), ["restless", name]);
        assert_eq!(in_phase(Phase::Kill, lost), NOTHING);
        assert_eq!(in_phase(Phase::Outage, lost), NOTHING);
    }
    let others = roll(true, moves, 0, |tale| tale.turn("r1", NEW, 8.0, 2).turn("r2", NEW, 8.0, 0));
    assert_eq!(others, ["forced-close"], "those of others, which only the drain has counted");
}

#[test]
fn silent_is_whoever_waits_longer_than_the_phase_allows() {
    let silent = |phase, ms| {
        in_phase(phase, |tale| {
            let tale = tale.lost("ann", "r1", true).welcomed("ann", "resume", ["r1", OLD]);
            tale.wait(ms).silence("ann", ms)
        })
    };
    assert!(silent(Phase::Quiet, 1).contains(&"silent"));
    assert_eq!(silent(Phase::Kill, 900), NOTHING);
    assert_eq!(silent(Phase::Kill, 1_100), ["silent"], "the p99 of two clients is the longest");
    assert_eq!(silent(Phase::Outage, 9_000), NOTHING);
    assert_eq!(rolled(|tale| moves(tale).silence("bob", 1)), ["silent"]);
}

#[test]
fn what_is_long_after_a_fault_is_judged_in_a_roll_of_chaos_also_if_it_began_soon_after_that() {
    let in_roll = |ms, during: &dyn Fn(&mut Tale) -> &mut Tale| {
        let mut tale = before();
        tale.records.retain(|record| !matches!(record.what, What::PhaseBegan { .. }));
        tale.fault("pause", true).fault("pause", false).wait(5_000).fault("roll", true);
        during(moves(&mut tale).wait(ms)).fault("roll", false).say("ann", 3).verdict()
    };
    let lost = told(|tale| tale.lost("ann", "r1", true).welcomed("ann", "resume", ["r1", NEW]));
    let silent = told(|tale| tale.silence("ann", 3_000));
    assert_eq!(in_roll(30_000, &lost), ["abrupt-close"]);
    assert_eq!(in_roll(30_000, &silent), ["silent"]);
    assert_eq!(in_roll(14_000, &lost), NOTHING, "the fault is felt still");
    assert_eq!(in_roll(17_000, &silent), NOTHING, "it was when that began");
}

#[test]
fn unrecovered_is_whoever_has_no_service_long_after_an_outage() {
    let back_after = |ms| {
        let mut tale = before();
        tale.phase(Phase::Outage, 0, false).say("ann", 3).lost("bob", "r2", true).done(0);
        tale.say("ann", 4).wait(ms).welcomed("bob", "resume", ["r2", OLD]);
        tale.silence("bob", ms).say("ann", 5).verdict()
    };
    assert_eq!((back_after(18_000), back_after(25_000)), (vec![], vec!["unrecovered"]));
    let mut never = before();
    never.phase(Phase::Outage, 0, false).say("ann", 3).lost("bob", "r2", true).done(0);
    assert_eq!(never.say("ann", 4).wait(60_000).verdict(), ["unrecovered"]);
}

#[test]
fn unrecovered_and_late_have_a_bound_after_faults_too() {
    let after_fault = |ms| {
        let mut tale = before();
        tale.records.retain(|record| !matches!(record.what, What::PhaseBegan { .. }));
        tale.fault("replica-kill", true).lost("bob", "r2", true).fault("replica-kill", false);
        tale.invoke("ann", 3).append(3).ok(3).hear("ann", 3).wait(ms);
        tale.welcomed("bob", "resume", ["r2", OLD]).silence("bob", ms).hear("bob", 3).verdict()
    };
    assert_eq!((after_fault(18_000), after_fault(25_000)), (vec![], vec!["late", "unrecovered"]));
}

#[test]
fn slow_is_a_delivery_that_takes_longer_than_a_roll_allows() {
    let heard_after = |phase, rolls, ms| {
        let mut tale = before();
        moves(tale.phase(phase, rolls, false)).say("ann", 3);
        tale.invoke("ann", 4).append(4).ok(4).hear("ann", 4).wait(ms).hear("bob", 4);
        tale.done(0).wait(1_000).say("ann", 5).verdict()
    };
    assert_eq!(heard_after(Phase::Roll, 1, 40), NOTHING);
    assert_eq!(heard_after(Phase::Roll, 1, 60), ["slow"]);
    assert_eq!(heard_after(Phase::SlowRoll, 1, 600), NOTHING, "it is known to be slow");
    assert_eq!(heard_after(Phase::SlowRoll, 1, 3_000), ["late"], "but not that slow");
}

#[test]
fn slow_is_also_what_a_replica_keeps_back_that_is_frozen_before_it_is_killed() {
    let killed_after = |ms| {
        in_phase(Phase::Kill, |tale| {
            tale.invoke("bob", 4).append(4).ok(4).hear("bob", 4).wait(ms).lost("ann", "r1", true);
            tale.welcomed("ann", "resume", ["r2", OLD]).wait(200).silence("ann", 200);
            tale.hear("ann", 4)
        })
    };
    assert_eq!(killed_after(0), NOTHING, "it is given in the catch-up");
    assert_eq!(killed_after(9_000), ["slow"], "nobody was without a connection for so long");
}

#[test]
fn unbalanced_and_slow_turns_are_those_of_a_roll() {
    let slow = roll(true, moves, 0, |tale| tale.turn("r1", NEW, 15.1, 0).turn("r2", NEW, 8.0, 0));
    assert_eq!(slow, ["slow-turn"]);
    let crowd = |on: [&str; 3]| {
        let mut tale = before();
        tale.enter("cat").welcomed("cat", "fresh", ["r3", OLD]).wait(5_000);
        tale.phase(Phase::Roll, 1, true);
        for (who, replica) in ["ann", "bob", "cat"].into_iter().zip(on) {
            tale.welcomed(who, "move", [replica, NEW]);
        }
        tale.say("ann", 3).hear("cat", 3).done(0);
        for replica in ["r1", "r2", "r3"] {
            tale.turn(replica, NEW, 8.0, 0);
        }
        tale.wait(1_000).say("ann", 4).hear("cat", 4).verdict()
    };
    assert_eq!(crowd(["r2", "r3", "r1"]), NOTHING);
    assert_eq!(crowd(["r2", "r3", "r3"]), ["wrong-release", "unbalanced"]);
}

#[test]
fn failed_send_is_a_refusal_of_what_nothing_is_wrong_with() {
    let refused = |phase, code: &str| {
        in_phase(phase, |tale| {
            tale.invoke("bob", 4).tell(What::Fail { op: 4, code: code.to_owned() })
        })
    };
    assert_eq!(refused(Phase::Quiet, "RateLimited"), ["failed-send"]);
    assert_eq!(refused(Phase::Quiet, "not-queued"), ["failed-send"]);
    assert!(!refused(Phase::Outage, "not-queued").contains(&"failed-send"), "nothing serves");
    assert_eq!(refused(Phase::Outage, "ReadOnly"), ["failed-send"]);
    assert_eq!(refused(Phase::Show, "ReadOnly"), NOTHING, "the room is frozen");
    assert_eq!(refused(Phase::Show, "RateLimited"), ["failed-send"]);
}

#[test]
fn failed_request_is_one_of_the_probe_where_nothing_dies() {
    let asked = |ok: bool| {
        let why = (!ok).then(|| "GET: 502".to_owned());
        What::Asked { ok, took: 900, why, send: false }
    };
    assert_eq!(in_phase(Phase::Quiet, |tale| tale.tell(asked(true))), NOTHING);
    assert_eq!(in_phase(Phase::Quiet, |tale| tale.tell(asked(false))), ["failed-request"]);
    let killed = in_phase(Phase::Outage, |tale| tale.tell(asked(false)));
    assert_eq!(killed, NOTHING);
}

#[test]
fn command_failed_is_an_exit_status_other_than_0() {
    let turns = told(|tale| tale.turn("r1", NEW, 8.0, 0).turn("r2", NEW, 8.0, 0));
    assert_eq!(roll(true, moves, 2, turns), ["command-failed"]);
    let mut endless = before();
    endless.phase(Phase::Outage, 0, false).say("ann", 3);
    assert_eq!(endless.verdict(), ["incomplete"], "nobody knows how it ended");
}

#[test]
fn absent_is_whoever_hands_in_nothing_or_no_end() {
    let cast = |clients, ends: &[&str]| {
        let mut tale = before();
        tale.tell(What::Cast { clients, probe: false, strangers: false }).heal();
        tale.observe(&["ann", "bob"]);
        for who in ends {
            tale.tell(What::Gone { client: (*who).to_owned(), how: Gone::Dismissed });
        }
        names(&check(&tale.end().records))
    };
    assert_eq!(cast(2, &["ann", "bob"]), NOTHING);
    assert_eq!(cast(3, &["ann", "bob"]), ["absent"], "one never came");
    assert_eq!(cast(2, &["ann"]), ["absent"], "bob's recording has no end");
}

#[test]
fn not_exercised_is_a_run_that_did_not_do_what_it_is_about() {
    assert_eq!(roll(false, |tale| tale, 0, |tale| tale), ["not-exercised"], "nobody moved");
    assert_eq!(roll(true, moves, 0, |tale| tale), ["not-exercised"], "no replica had a turn");
    let kill = |during: fn(&mut Tale) -> &mut Tale| in_phase(Phase::Kill, during);
    assert_eq!(kill(|tale| tale), ["not-exercised"], "nobody lost a connection");
    let mut silent = before();
    silent.phase(Phase::Quiet, 0, false).wait(5_000).done(0).say("ann", 3);
    assert_eq!(silent.verdict(), NOTHING, "something was said at least after it");
    let mut silent = before();
    silent.phase(Phase::Quiet, 0, false).say("ann", 3).done(0);
    assert_eq!(silent.verdict(), ["not-exercised"], "nothing was taken after it");
    let mut asked = before();
    asked.tell(What::Cast { clients: 0, probe: true, strangers: false });
    asked.phase(Phase::Quiet, 0, false).say("ann", 3).done(0).say("ann", 4);
    asked.gone("ann", Gone::Bye).gone("bob", Gone::Bye);
    assert_eq!(asked.verdict(), ["not-exercised"], "0 of 0 requests");
}

#[test]
fn unknown_forms_count_as_broken() {
    let mut tale = before();
    let (client, room, reason) = ("bob".to_owned(), DEN.to_owned(), "mislaid".to_owned());
    let (after, resumes_at) = (id(20), id(30));
    tale.tell(What::Gap { client, room, after, resumes_at, reason });
    assert!(tale.verdict().contains(&"unknown"));
    assert!(before().welcomed("ann", "whim", ["r1", OLD]).verdict().contains(&"unknown"));
    let file = std::env::temp_dir().join(format!("unknown-{}.jsonl", std::process::id()));
    let written = |more: &str| {
        let mut tale = before();
        tale.judge();
        let line = |record: &Record| serde_json::to_string(record).expect("a line") + "\n";
        let lines: String = tale.records.iter().map(line).collect();
        std::fs::write(&file, lines + more).expect("written");
        names(&check_file(&file).expect("a file"))
    };
    assert_eq!(written(""), NOTHING);
    assert_eq!(written("{\"at\":1,\"what\":\"sang\",\"client\":\"ann\"}\n"), ["unknown"]);
    assert_eq!(written("{\"at\":1,\"wh"), ["unknown"], "a line that was cut off");
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn strangers_may_talk_where_the_history_says_so_and_nobody_else_may_talk_as_one_of_ours() {
    let with = |strangers, who: &str| {
        let mut tale = before();
        tale.tell(What::Cast { clients: 0, probe: false, strangers });
        tale.append(3).log.last_mut().expect("it").who = who.to_owned();
        tale.both_hear(3).say("ann", 4).gone("ann", Gone::Bye).gone("bob", Gone::Bye).verdict()
    };
    assert_eq!(with(true, "eve"), NOTHING);
    assert_eq!(with(false, "eve"), ["phantom"]);
    assert!(with(true, "ann").contains(&"phantom"), "Ann never said that");
}

#[test]
fn a_message_under_a_member_that_nobody_knows_is_a_phantom() {
    let mut tale = before();
    tale.invoke("ann", 3).append(3).log.last_mut().expect("it").who = "nobody".to_owned();
    assert_eq!(tale.ok(3).both_hear(3).verdict(), ["phantom"]);
}
