//! What a planned change of the store allows, and what not.

use super::{
    NOTHING,
    phases::{OLD, before, in_phase},
    tale::{DEN, Tale, names},
};
use crate::history::{Gone, Phase, What};

#[test]
fn a_change_of_the_store_moves_nobody_and_only_a_send_that_goes_again_may_fail() {
    let asked = |ok: bool, send: bool| {
        let why = (!ok).then(|| "POST: 503".to_owned());
        What::Asked { ok, took: 900, why, send }
    };
    let store = |during: &dyn Fn(&mut Tale) -> &mut Tale| in_phase(Phase::Store, during);
    assert_eq!(store(&|tale| tale), NOTHING);
    assert_eq!(store(&|tale| tale.tell(asked(false, true)).tell(asked(true, true))), NOTHING);
    assert_eq!(store(&|tale| tale.tell(asked(false, false))), ["failed-request"]);
    assert_eq!(store(&|tale| tale.welcomed("ann", "move", ["r2", OLD])), ["restless"]);
    let lost = store(&|tale| tale.lost("ann", "r1", true).welcomed("ann", "resume", ["r1", OLD]));
    assert_eq!(lost, ["restless", "abrupt-close"]);
    assert_eq!(store(&|tale| tale.silence("ann", 1)), ["silent"]);
    let roll = |during: &dyn Fn(&mut Tale) -> &mut Tale| in_phase(Phase::Quiet, during);
    assert_eq!(roll(&|tale| tale.tell(asked(false, true))), ["failed-request"], "only there");
}

#[test]
fn a_send_waits_for_two_seconds_at_most_while_the_store_changes() {
    let waiting = |ms| {
        let mut tale = before();
        tale.phase(Phase::Store, 0, false).invoke("ann", 3).append(3).wait(ms);
        tale.ok(3).both_hear(3).done(0).wait(1_000).say("ann", 5).judge()
    };
    let slow = waiting(1_900);
    assert!(slow.ok, "{slow}");
    let longest = slow.figures.phases.last().expect("a phase").send.max_ms;
    assert!((1_800.0..2_100.0).contains(&longest), "{longest}");
    assert_eq!(names(&waiting(2_100)), ["late"]);
}

#[test]
fn whoever_only_posts_and_is_done_before_all_has_healed_was_answered_too() {
    let posted = |phase, answered: bool| {
        let mut tale = before();
        let (client, role) = ("cat".to_owned(), "poster".to_owned());
        tale.tell(What::Began { client: client.clone(), role, rooms: vec![DEN.to_owned()] });
        tale.phase(phase, 0, false).say("ann", 3).lost("ann", "r1", true);
        tale.connect("ann", "resume").invoke("cat", 4).done(0).wait(1_000).say("ann", 5);
        match answered {
            true => tale.fail(4),
            false => tale.info(4),
        };
        tale.tell(What::Gone { client, how: Gone::Dismissed }).verdict()
    };
    for phase in [Phase::Store, Phase::Kill, Phase::Outage, Phase::Show] {
        let (answered, unanswered) = (posted(phase, true), posted(phase, false));
        assert!(!answered.contains(&"unsettled"), "{phase:?}: {answered:?}");
        assert!(unanswered.contains(&"unsettled"), "{phase:?}: {unanswered:?}");
    }
}
