//! What destruction excuses, and where the excuse ends.

use super::{
    NOTHING, chat,
    tale::{Line, id},
};
use crate::history::{Loss, What};

#[test]
fn a_reported_flush_is_no_anomaly() {
    let mut tale = chat();
    tale.flush().invoke("ann", 5).append(5).ok(5);
    tale.gap("ann", 40, 0).gap("bob", 40, 0).both_hear(5);
    assert_eq!(tale.verdict(), NOTHING);
}

#[test]
fn silent_loss() {
    let mut tale = chat();
    tale.flush().invoke("ann", 5).append(5).ok(5);
    tale.gap("ann", 40, 0).both_hear(5);
    // Nor was bob told why ann's numbers start over.
    assert_eq!(tale.verdict(), ["reordered-sender", "silent-loss"], "bob went on without a gap");
    let mut refused = chat();
    refused.flush().invoke("ann", 5).append(5).ok(5).gap("ann", 40, 0).hear("ann", 5);
    let found = refused.broken("bob", 50, 40, 0).verdict();
    assert_eq!(found, ["unseen", "silent-loss"], "bob refused it, and never came back");
}

#[test]
fn a_trim_that_a_client_needed_must_be_told() {
    let needs = |told| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).trim(5);
        tale.invoke("ann", 6).append(6).ok(6).hear("ann", 6);
        if told {
            tale.gap("bob", 40, 50);
        }
        tale.hear("bob", 6).verdict()
    };
    assert_eq!(needs(true), NOTHING);
    assert_eq!(needs(false), ["silent-loss"]);
    let mut tale = chat();
    assert_eq!(tale.trim(4).say("ann", 5).verdict(), NOTHING, "who had everything needs no gap");
}

#[test]
fn a_gap_that_passes_over_what_is_still_there_is_false() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).trim(2).gap("bob", 40, 50);
    assert_eq!(tale.verdict(), ["false-gap"]);
}

#[test]
fn a_trim_explains_no_rewind_and_a_flush_no_trim() {
    let found = chat().trim(4).say("ann", 5).gap("bob", 50, 40).verdict();
    assert_eq!(found, ["false-gap", "unseen"], "and bob is not brought back to the end");
    let mut tale = chat();
    tale.flush().say("ann", 5);
    let found = tale.verdict();
    assert!(found.contains(&"silent-loss"), "{found:?}");
}

/// Both were on their way; the log took the first, lost it with its answer, and then took the second.
#[test]
fn a_message_that_was_lost_with_its_answer_comes_after_later_ones() {
    let resent = |is_cut: bool| {
        let mut tale = chat();
        tale.invoke("ann", 6).invoke("ann", 5);
        if is_cut {
            tale.flush();
        }
        tale.append(5).ok(5).append(6).ok(6);
        if is_cut {
            tale.gap("ann", 40, 0).gap("bob", 40, 0);
        }
        tale.both_hear(5).both_hear(6).verdict()
    };
    assert_eq!(resent(true), NOTHING);
    assert!(resent(false).contains(&"reordered-sender"), "{:?}", resent(false));
}

#[test]
fn a_gap_before_the_destruction_is_false() {
    let mut tale = chat();
    tale.gap("bob", 40, 45).tell(What::Destroying { loss: Loss::Trimmed }).tell(What::Destroyed);
    assert_eq!(tale.verdict(), ["false-gap", "silent-loss"], "and bob stands where nothing is");
}

#[test]
fn what_a_flush_took_is_not_lost_by_the_service() {
    let mut tale = chat();
    tale.invoke("bob", 5).append(5).flush().ok(5);
    tale.invoke("ann", 6).append(6).ok(6).gap("ann", 40, 0).gap("bob", 40, 0).both_hear(6);
    assert_eq!(tale.verdict(), NOTHING, "acknowledged before, or just after");
}

#[test]
fn what_was_sent_after_the_flush_is() {
    let mut tale = chat();
    tale.flush().invoke("ann", 5).append(5).ok(5);
    tale.gap("ann", 40, 0).gap("bob", 40, 0).both_hear(5).invoke("ann", 6).ok(6);
    assert_eq!(tale.verdict(), ["lost-write"]);
}

#[test]
fn a_lost_tail_takes_no_entry_before_one_that_it_left() {
    let lost = |index| {
        let mut tale = chat();
        tale.rewind(3);
        if index < 3 {
            tale.log.remove(index);
        }
        tale.invoke("bob", 5).append(5).ok(5);
        tale.gap("ann", 40, 30).gap("bob", 40, 30).both_hear(5).verdict()
    };
    assert_eq!(lost(3), NOTHING);
    assert!(lost(1).contains(&"lost-write"), "{:?}", lost(1));
}

#[test]
fn a_trim_takes_no_entry_after_one_that_it_left() {
    let mut tale = chat();
    tale.trim(1).log.remove(1);
    let found = tale.verdict();
    assert!(found.contains(&"lost-write"), "{found:?}");
}

#[test]
fn a_retry_over_a_flush_may_be_appended_again() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).both_hear(5);
    tale.flush().append_as(5, id(60)).ok(5);
    tale.gap("ann", 50, 0).gap("bob", 50, 0).both_hear(5);
    assert_eq!(tale.verdict(), NOTHING);
}

#[test]
fn a_retry_without_a_flush_may_not() {
    let mut tale = chat();
    tale.flush().invoke("ann", 5).append(5);
    tale.gap("ann", 40, 0).gap("bob", 40, 0).both_hear(5).ok(5);
    tale.append_as(5, id(60)).both_hear(5);
    assert_eq!(tale.verdict(), ["duplicate"]);
}

#[test]
fn the_same_entry_comes_once_whatever_was_told() {
    let mut tale = chat();
    tale.rewind(3).gap("bob", 40, 20).gap("ann", 40, 30).hear("bob", 3);
    assert_eq!(tale.verdict(), ["duplicate"]);
}

#[test]
fn numbers_may_start_over_after_a_rewind_was_told_and_only_then() {
    let again = |told: bool| {
        let mut tale = chat();
        tale.rewind(2).invoke("ann", 5).append(5).ok(5);
        if told {
            tale.gap("ann", 40, 20).gap("bob", 40, 20);
        }
        tale.both_hear(5).verdict()
    };
    assert_eq!(again(true), NOTHING);
    assert!(again(false).contains(&"silent-loss"), "{:?}", again(false));
}

#[test]
fn an_old_connection_may_bring_what_the_log_has_lost_and_is_refused() {
    let brings = |op: u64| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).rewind(2);
        tale.gap("ann", 50, 20).gap("bob", 40, 20).broken("bob", 10 * op, 20, 40);
        tale.invoke("ann", 6).append(6).ok(6).both_hear(6).verdict()
    };
    assert_eq!(brings(5), NOTHING);
    assert_eq!(brings(6), ["skipped-message"], "what the log has must not be refused");
}

#[test]
fn a_rewind_excuses_what_it_took_for_ever_and_what_nobody_saw_for_a_moment() {
    let brings = |seen: bool, after_ms: u64| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5);
        if seen {
            tale.hear("ann", 5);
        }
        tale.rewind(2).gap("ann", if seen { 50 } else { 40 }, 20).gap("bob", 40, 20);
        tale.wait(after_ms).broken("bob", 50, 20, 40);
        tale.append_as(5, id(60)).ok(5).both_hear(5).verdict()
    };
    // Less than what is late after all was over.
    assert_eq!((brings(true, 1), brings(true, 18_000)), (vec![], vec![]));
    assert_eq!(brings(false, 1), NOTHING);
    assert_eq!(brings(false, 18_000), ["skipped-message"]);
}

#[test]
fn a_cut_does_not_take_what_was_acknowledged_after_newer_entries() {
    let mut tale = chat();
    tale.invoke("ann", 6).rewind(4).say("bob", 5).append(6).ok(6).log.pop();
    assert_eq!(tale.verdict(), ["lost-write"]);
}

#[test]
fn an_acknowledgement_that_names_another_ones_entry_is_a_lost_write_after_a_cut_too() {
    let mut tale = chat();
    tale.invoke("ann", 6).rewind(4).say("bob", 5);
    tale.tell(What::Ok { op: 6, id: Some(id(50)), duplicate: true });
    assert_eq!(tale.verdict(), ["lost-write"]);
}

#[test]
fn a_rewind_does_not_excuse_what_was_said_after_it_and_trimmed_later() {
    let refused = |told: bool| {
        let mut tale = chat();
        tale.rewind(2).gap("ann", 40, 20).gap("bob", 40, 20);
        tale.say("ann", 5).invoke("ann", 6).append(6).ok(6).hear("ann", 6);
        if !told {
            tale.broken("bob", 60, 20, 50);
        }
        tale.hear("bob", 6).trim(4).say("ann", 7).verdict()
    };
    assert_eq!(refused(true), NOTHING);
    assert_eq!(refused(false), ["skipped-message"]);
}

#[test]
fn a_cursor_that_an_old_connection_took_out_of_the_log_must_be_told_on_the_next() {
    let ends = |why: &str, told: bool| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).flush();
        tale.hear_line("bob", &Line { id: id(50), prev: id(40), who: "ann".into(), n: 3, op: 5 });
        tale.connect("bob", why).joined("bob", id(50));
        tale.invoke("ann", 6).append(6).ok(6).gap("ann", 50, 0).hear("ann", 6);
        tale.broken("bob", 60, 50, 0).connect("bob", "resume").joined("bob", id(50));
        if told {
            tale.gap("bob", 50, 0).hear("bob", 6);
        }
        tale.verdict()
    };
    assert_eq!(ends("move", true), NOTHING);
    assert_eq!(ends("resume", true), ["skipped-message"], "a single connection tells at once");
    assert_eq!(ends("move", false), ["skipped-message", "unseen"]);
}

#[test]
fn a_flush_and_a_trim_after_it_look_like_a_trim() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).both_hear(5).flush();
    tale.invoke("bob", 6).append(6).ok(6).trim(1).append_as(5, id(70)).ok(5);
    tale.gap("ann", 50, 60).gap("bob", 50, 60).both_hear(5);
    assert_eq!(tale.verdict(), NOTHING);
}

#[test]
fn what_is_really_lost_may_be_shown_again_by_who_has_not_noticed() {
    let mut tale = chat();
    let old = tale.log[0].clone();
    tale.flush().gap("bob", 40, 0).hear_line("bob", &old).gap("bob", 10, 0);
    tale.invoke("ann", 5).append(5).ok(5).gap("ann", 40, 0).both_hear(5);
    assert_eq!(tale.verdict(), NOTHING);
}
