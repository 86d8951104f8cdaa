//! What is measured over a whole run: lateness, recovery, resources; and how it is shown.

use super::{
    NOTHING, chat,
    tale::{Tale, hash, member},
};
use crate::history::{Record, What};

/// 500 messages in a minute, each heard after 5 ms; then as many under a fault, after `late` ms.
fn neighbours(fault: &str, late: u64) -> Tale {
    let mut tale = Tale::new();
    for op in 1..=500 {
        tale.say("ann", op);
    }
    let fault = fault.to_owned();
    tale.tell(What::Fault { step: 1, fault: fault.clone(), target: "flooded".to_owned() });
    for op in 501..=1000 {
        tale.invoke("ann", op).append(op).ok(op).wait(late).both_hear(op);
    }
    tale.tell(What::Undone { step: 1, fault });
    tale
}

#[test]
fn noisy_neighbour() {
    assert_eq!(neighbours("flood", 10).verdict(), ["noisy-neighbour"]);
    assert_eq!(neighbours("flood", 1).verdict(), NOTHING);
    assert_eq!(neighbours("redis-pause", 10).verdict(), NOTHING, "others are felt, and may be");
}

#[test]
fn a_neighbour_that_hears_nothing_until_the_flood_is_over_is_a_noisy_neighbour() {
    let heard = |held_back: bool| {
        let mut tale = neighbours("flood", 1);
        let undone = tale.records.pop().expect("the end of the flood");
        for op in 1001..=1500 {
            tale.invoke("ann", op).append(op).ok(op);
            if !held_back {
                tale.both_hear(op);
            }
        }
        tale.tell(undone.what);
        (1001..=1500).filter(|_| held_back).for_each(|op| {
            tale.both_hear(op);
        });
        tale.verdict()
    };
    assert_eq!(heard(true), ["noisy-neighbour"]);
    assert_eq!(heard(false), NOTHING);
}

#[test]
fn leak() {
    let taken = |when: &str, container: &str, rss, fds| {
        let (when, container) = (when.to_owned(), container.to_owned());
        What::Resources { when, container, rss, fds, threads: 4, tasks: 20 }
    };
    let after = |rss, fds| {
        let mut tale = chat();
        tale.tell(taken("before", "r1-blue", 10 << 20, 30));
        tale.tell(taken("after", "r1-green", rss, fds)).verdict()
    };
    assert_eq!(after(40 << 20, 40), NOTHING);
    assert_eq!(after(90 << 20, 40), ["leak"], "memory");
    assert_eq!(after(40 << 20, 300), ["leak"], "descriptors");
    let mut unknown = chat();
    assert_eq!(unknown.tell(taken("after", "r9", 0, 0)).verdict(), ["incomplete"]);
}

#[test]
fn recovery_is_from_the_end_of_a_fault_to_the_end_of_its_last_silence() {
    let mut tale = chat();
    let (fault, target) = ("pause".to_owned(), "r1".to_owned());
    tale.tell(What::Fault { step: 1, fault: fault.clone(), target });
    tale.tell(What::Undone { step: 1, fault });
    let undone = tale.records.last().map_or(0, |record| record.at);
    let what = What::Silence { client: "ann".to_owned(), ms: 2_500 };
    tale.records.push(Record { at: undone + 2_000_000, what });
    let figures = tale.judge().figures;
    let recovery = figures.faults["pause"];
    assert_eq!((recovery.times, recovery.longest_ms), (1, 2_000));
    assert_eq!(figures.silences.count, 1);
}

#[test]
fn a_report_of_everything_fits_a_screen() {
    let mut tale = chat();
    for op in 100..200 {
        tale.invoke("ann", op).ok(op).append(op + 1000).hear("bob", op + 1000).hear("bob", 1);
        tale.gap("ann", op, op + 1)
            .broken("ann", op, 1, 2)
            .invoke("bob", op + 5000)
            .append(op + 5000);
        let (fault, target) = (format!("fault{op}"), "r1".to_owned());
        tale.fail(op + 5000).tell(What::Fault { step: 1, fault, target });
    }
    let report = tale.judge();
    assert!(report.anomalies.len() >= 6, "{report}");
    assert!(report.to_string().lines().count() <= 40, "{report}");
    assert_eq!(member("ann"), "m-ann");
    assert_eq!(hash(1), "h1");
}
