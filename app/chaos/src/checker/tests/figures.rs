//! What is measured over a whole run: lateness, recovery, resources; and how it is shown.

use super::{
    NOTHING, chat,
    tale::{Tale, hash, member},
};
use crate::history::{Record, What};

/// Messages of which each is heard at once; then as many under a fault, after `late` ms.
fn neighbours(fault: &str, late: u64) -> Tale {
    neighbours_after(5_000, fault, late)
}

/// So many ms after another fault.
fn neighbours_after(pause: u64, fault: &str, late: u64) -> Tale {
    let mut tale = Tale::new();
    (1..=1000).for_each(|op| {
        tale.say("ann", op);
    });
    let (before, target) = ("haproxy-kill".to_owned(), "haproxy".to_owned());
    tale.tell(What::Fault { step: 0, fault: before.clone(), target });
    tale.tell(What::Undone { step: 0, fault: before }).wait(pause);
    let (fault, target) = (fault.to_owned(), "flooded".to_owned());
    tale.tell(What::Fault { step: 1, fault: fault.clone(), target });
    for op in 1001..=1300 {
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
fn what_the_fault_before_held_back_is_not_laid_at_the_door_of_the_flood() {
    assert_eq!(neighbours_after(5_000, "flood", 10).verdict(), ["noisy-neighbour"]);
    assert_eq!(neighbours_after(0, "flood", 10).verdict(), NOTHING);
}

#[test]
fn who_was_away_since_before_the_flood_does_not_wait_because_of_it() {
    // Bob hears all of it once he is back, or all hear Ann once she is.
    let heard = |who: &str, before: bool| {
        let mut tale = neighbours("flood", 1);
        let undone = tale.records.pop().expect("the end of the flood");
        let floods =
            |it: &Record| matches!(&it.what, What::Fault { fault, .. } if fault == "flood");
        let flood = tale.records.iter().position(floods).expect("a flood");
        let (client, replica) = (who.to_owned(), "r1".to_owned());
        let lost = What::Lost { client, replica, how: "gone".to_owned(), abrupt: true };
        let began = tale.records[flood].at;
        let (place, at) = if before { (flood, began - 1) } else { (flood + 1, began + 1) };
        tale.records.insert(place, Record { at, what: lost });
        let taken = |tale: &mut Tale, op| {
            tale.append(op).ok(op).hear("ann", op);
        };
        for op in 2001..=2500 {
            tale.invoke("ann", op);
            if who == "bob" {
                taken(&mut tale, op);
            }
            tale.wait(5);
        }
        tale.connect(who, "resume");
        for op in 2001..=2500 {
            if who == "ann" {
                taken(&mut tale, op);
            }
            tale.hear("bob", op);
        }
        tale.tell(undone.what);
        tale.verdict()
    };
    for who in ["ann", "bob"] {
        assert_eq!(heard(who, true), NOTHING);
        assert_eq!(heard(who, false), ["noisy-neighbour"], "the flood took {who}'s connection");
    }
}

#[test]
fn a_neighbour_that_hears_nothing_until_the_flood_is_over_is_a_noisy_neighbour() {
    let heard = |held_back: bool| {
        let mut tale = neighbours("flood", 1);
        let undone = tale.records.pop().expect("the end of the flood");
        for op in 2001..=2500 {
            tale.invoke("ann", op).append(op).ok(op);
            if !held_back {
                tale.both_hear(op);
            }
        }
        tale.tell(undone.what);
        (2001..=2500).filter(|_| held_back).for_each(|op| {
            tale.both_hear(op);
        });
        tale.verdict()
    };
    assert_eq!(heard(true), ["noisy-neighbour"]);
    assert_eq!(heard(false), NOTHING);
}

fn taken(when: &str, container: &str, rss: u64, fds: u64, tasks: u64) -> What {
    let (when, container) = (when.to_owned(), container.to_owned());
    What::Resources { when, container, since: None, rss: rss << 20, fds, threads: 4, tasks }
}

/// Looks at r1, ten seconds apart: when its process started, and its descriptors.
fn watched(looks: &[(u64, u64)]) -> Tale {
    let mut tale = chat();
    for (started, fds) in looks.iter().copied() {
        let (when, container) = ("during".to_owned(), "r1-blue".to_owned());
        let (since, rss, threads, tasks) = (Some(started), 7 << 20, 4, 29);
        tale.wait(10_000);
        tale.tell(What::Resources { when, container, since, rss, fds, threads, tasks });
    }
    tale
}

#[test]
fn a_process_that_leaks_and_is_killed_leaks_nevertheless() {
    let found = |descriptors: &[u64]| {
        let looks: Vec<_> = descriptors.iter().map(|fds| (1, *fds)).collect();
        watched(&[looks, vec![(2, 25)]].concat()).verdict()
    };
    assert_eq!(found(&[25, 26, 27, 100, 200, 300]), ["leak"]);
    assert_eq!(found(&[25, 26, 27, 300, 25, 300]), NOTHING, "for a moment");
    assert_eq!(found(&[2, 120, 120, 120, 120, 120]), NOTHING, "when its clients were back");
    let each_another: Vec<_> = (1..9).map(|it| (it, 100 * it)).collect();
    assert_eq!(watched(&each_another).verdict(), NOTHING);
    let report = watched(&[(1, 25), (1, 25), (1, 25), (2, 25)]).judge();
    assert_eq!(report.figures.watched["replica"].round(), 20.0);
}

#[test]
fn leak() {
    let after = |rss, fds, tasks| {
        let mut tale = chat();
        tale.tell(taken("before", "r1-blue", 7, 25, 29));
        tale.tell(taken("after", "r1-green", rss, fds, tasks)).verdict()
    };
    assert_eq!(after(18, 46, 53), NOTHING, "as measured after ten minutes of all faults");
    assert_eq!(after(50, 46, 53), ["leak"], "a kilobyte a message, for an hour");
    assert_eq!(after(18, 300, 53), ["leak"], "descriptors");
    assert_eq!(after(18, 46, 300), ["leak"], "tasks");
}

#[test]
fn two_workers_of_haproxy_are_no_leak() {
    let mut tale = chat();
    tale.tell(taken("before", "chaos-haproxy", 28, 93, 0));
    assert_eq!(tale.tell(taken("after", "chaos-haproxy", 56, 134, 0)).verdict(), NOTHING);
}

#[test]
fn what_was_not_measured_proves_no_absence_of_leaks() {
    let mut unknown = chat();
    assert_eq!(unknown.tell(taken("after", "r9", 0, 0, 0)).verdict(), ["incomplete"]);
    let tasks = |before, after| {
        let mut tale = chat();
        tale.tell(taken("before", "r1-blue", 7, 25, before));
        tale.tell(taken("after", "r1-green", 7, 25, after)).verdict()
    };
    assert_eq!(tasks(29, 29), NOTHING);
    assert_eq!((tasks(29, 0), tasks(0, 29)), (vec!["incomplete"], vec!["incomplete"]));
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
