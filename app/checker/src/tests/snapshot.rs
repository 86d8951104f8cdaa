//! What was there just before data was destroyed: a loss before it is the service's own.

use super::{NOTHING, chat, tale::Tale};

/// Flushed, told to both, and on with message 9.
fn flushed(tale: &mut Tale, head: u64) -> Vec<&'static str> {
    tale.snapshot().flush().invoke("ann", 9).append(9).ok(9);
    tale.gap("ann", head, 0).gap("bob", head, 0).both_hear(9).verdict()
}

#[test]
fn what_a_snapshot_has_may_be_destroyed() {
    assert_eq!(flushed(&mut chat(), 40), NOTHING);
    let mut trimmed = chat();
    assert_eq!(trimmed.snapshot().trim(4).say("ann", 5).verdict(), NOTHING);
    let mut twice = chat();
    twice.snapshot().trim(3).say("ann", 5);
    assert_eq!(flushed(&mut twice, 50), NOTHING);
}

#[test]
fn a_write_lost_before_a_flush_is_a_lost_write_though_the_flush_took_everything() {
    let mut tale = chat();
    assert_eq!(flushed(tale.invoke("ann", 5).ok(5), 40), ["lost-write"]);
    let mut late = chat();
    late.invoke("ann", 5).snapshot().flush().ok(5).invoke("ann", 9).append(9).ok(9);
    late.gap("ann", 40, 0).gap("bob", 40, 0).both_hear(9);
    assert_eq!(late.verdict(), NOTHING, "acknowledged after the log was read");
}

#[test]
fn an_operation_twice_in_a_log_that_was_flushed_is_a_duplicate() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).append_as(5, super::id(60));
    tale.hear("ann", 5).hear("bob", 5);
    assert!(flushed(&mut tale, 60).contains(&"duplicate"));
}

#[test]
fn a_message_shown_and_gone_before_the_flush_diverges() {
    let mut tale = chat();
    tale.enter("cat").invoke("cat", 5).append(5).both_hear(5).hear("cat", 5);
    tale.gone("cat", crate::history::Gone::Vanished).log.pop();
    assert_eq!(flushed(&mut tale, 50), ["divergent-order"]);
}

#[test]
fn who_was_behind_when_data_was_destroyed_need_not_have_had_it() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).snapshot().flush();
    tale.invoke("ann", 9).append(9).ok(9).gap("ann", 50, 0).hear("ann", 9);
    assert_eq!(tale.gap("bob", 40, 0).hear("bob", 9).verdict(), NOTHING);
}

/// A chain that is forged over a message, which is then destroyed, looks whole.
#[test]
fn unseen_although_it_was_destroyed_later() {
    let passed_over = |heard: bool, flush: bool| {
        let mut tale = chat();
        tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5);
        if heard {
            tale.hear("bob", 5);
        }
        tale.invoke("ann", 6).append(6).ok(6).hear("ann", 6);
        let mut forged = tale.log[5].clone();
        forged.prev = super::id(if heard { 50 } else { 40 });
        tale.hear_line("bob", &forged);
        if flush {
            return flushed(&mut tale, 60).contains(&"unseen");
        }
        tale.snapshot().trim(6).say("ann", 7).verdict().contains(&"unseen")
    };
    assert!(passed_over(false, true) && passed_over(false, false));
    assert!(!passed_over(true, true) && !passed_over(true, false));
}

#[test]
fn a_trim_over_which_a_chain_is_forged_is_unseen() {
    let mut tale = chat();
    tale.invoke("ann", 5).append(5).ok(5).hear("ann", 5).snapshot().trim(5);
    tale.last = super::id(40);
    let found = tale.invoke("ann", 9).append(9).ok(9).hear("bob", 9).verdict();
    assert!(found.contains(&"unseen"), "{found:?}");
}

/// Between two destructions the first explains gaps of its kind, and the second takes what would belie them.
#[test]
fn a_false_gap_is_false_although_what_it_passed_over_was_destroyed_later() {
    let passes_over = |resumes_at: u64| {
        let mut tale = chat();
        tale.snapshot().trim(2).invoke("ann", 5).append(5).ok(5).hear("ann", 5);
        tale.invoke("ann", 6).append(6).ok(6).hear("ann", 6).gap("bob", 40, resumes_at);
        tale.hear("bob", 6);
        flushed(&mut tale, 60)
    };
    assert_eq!(passes_over(50), ["false-gap"]);
    let mut told = chat();
    told.snapshot().flush().invoke("ann", 5).append(5).ok(5);
    told.gap("ann", 40, 0).gap("bob", 40, 0).both_hear(5).gap("bob", 50, 0).hear("bob", 5);
    assert!(flushed(&mut told, 50).contains(&"false-gap"), "it had what the log has");
}

#[test]
fn what_came_again_and_was_destroyed_later_is_a_duplicate() {
    let again = |kept: usize| {
        let mut tale = chat();
        let old = tale.log[2].clone();
        tale.snapshot().rewind(kept).gap("ann", 40, 20).gap("bob", 40, 20);
        tale.hear_line("bob", &old).invoke("ann", 5).append(5).ok(5);
        tale.hear("ann", 5).gap("bob", 30, 20).hear("bob", 5);
        flushed(&mut tale, 50).contains(&"duplicate")
    };
    assert!(again(3) && !again(2));
}

#[test]
fn what_the_log_has_must_not_be_refused_although_it_was_destroyed_later() {
    let refused = |refused: bool| {
        let mut tale = chat();
        tale.invoke("ann", 5).snapshot().rewind(2).gap("ann", 40, 20).gap("bob", 40, 20);
        tale.append(5).ok(5).hear("ann", 5);
        if refused {
            tale.broken("bob", 50, 20, 40);
        }
        tale.hear("bob", 5);
        flushed(&mut tale, 50).contains(&"skipped-message")
    };
    assert!(refused(true) && !refused(false));
}
