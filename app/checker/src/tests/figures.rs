//! What is measured over a whole run: lateness, recovery, resources; and how it is shown.

use super::{
    NOTHING, chat,
    tale::{Tale, hash, member, names},
};
use crate::history::{Record, Resources, What};

const FLOODS: std::ops::RangeInclusive<u32> = 1..=4;

/// Messages of which each is heard after so many ms.
fn chatter(tale: &mut Tale, late: u64) {
    let next = tale.log.len() as u64 + 1;
    for op in next..next + 300 {
        tale.invoke("ann", op).append(op).ok(op).wait(late).both_hear(op);
    }
}

fn begin(tale: &mut Tale, step: u32, fault: &str) {
    let (fault, target) = (fault.to_owned(), "flooded".to_owned());
    tale.tell(What::Fault { step, fault, target });
}

fn end(tale: &mut Tale, step: u32, fault: &str) {
    tale.tell(What::Undone { step, fault: fault.to_owned() });
}

/// The pause after a flood, in which each message is heard at once.
fn rest(tale: &mut Tale) {
    tale.wait(5_000);
    chatter(tale, 0);
}

/// Faults under which each message is heard after `late` ms, with a pause after each.
fn neighbours(fault: &str, late: u64) -> Tale {
    let mut tale = Tale::new();
    for step in FLOODS {
        begin(&mut tale, step, fault);
        chatter(&mut tale, late);
        end(&mut tale, step, fault);
        rest(&mut tale);
    }
    tale
}

/// Of floods that were enough to tell.
fn felt(tale: &mut Tale) -> bool {
    let report = tale.judge();
    assert!(report.figures.neighbours.is_some(), "too little to tell");
    match names(&report)[..] {
        [] => false,
        ["noisy-neighbour"] => true,
        // A client that is away before the flood has lost its connection in peace.
        ["abrupt-close"] => false,
        _ => panic!("{report}"),
    }
}

#[test]
fn noisy_neighbour() {
    assert!(felt(&mut neighbours("flood", 10)));
    assert!(!felt(&mut neighbours("flood", 1)));
    assert_eq!(neighbours("redis-pause", 10).verdict(), NOTHING, "others are felt, and may be");
}

#[test]
fn a_flood_is_measured_by_the_pause_after_it_and_by_no_other_quiet() {
    let mut tale = Tale::new();
    for step in FLOODS {
        begin(&mut tale, step, "flood");
        chatter(&mut tale, 10);
        end(&mut tale, step, "flood");
        tale.wait(5_000);
        chatter(&mut tale, 10);
        for other in 0..3 {
            begin(&mut tale, 10 * step + other, "redis-pause");
            end(&mut tale, 10 * step + other, "redis-pause");
            rest(&mut tale);
        }
    }
    assert!(!felt(&mut tale), "the machine was slow just then");
}

#[test]
fn floods_without_a_pause_prove_nothing() {
    let mut tale = Tale::new();
    for step in FLOODS {
        begin(&mut tale, step, "flood");
        tale.wait(5_000);
        chatter(&mut tale, 0);
        end(&mut tale, step, "flood");
    }
    assert_eq!(tale.verdict(), ["incomplete"]);
}

#[test]
fn what_the_fault_before_held_back_is_not_laid_at_the_door_of_the_flood() {
    let flooded_after = |pause| {
        let mut tale = Tale::new();
        for step in FLOODS {
            begin(&mut tale, 10 + step, "haproxy-kill");
            end(&mut tale, 10 + step, "haproxy-kill");
            tale.wait(pause);
            begin(&mut tale, step, "flood");
            chatter(&mut tale, 10);
            tale.wait(1_000);
            chatter(&mut tale, 0);
            end(&mut tale, step, "flood");
            rest(&mut tale);
        }
        felt(&mut tale)
    };
    assert!(flooded_after(5_000));
    assert!(!flooded_after(0));
}

#[test]
fn who_was_away_since_before_the_flood_does_not_wait_because_of_it() {
    // Bob hears all of it once he is back, or all hear Ann once she is.
    let heard = |who: &str, before: bool| {
        let lose = |tale: &mut Tale| {
            let (client, replica) = (who.to_owned(), "r1".to_owned());
            tale.tell(What::Lost { client, replica, how: "gone".to_owned(), abrupt: true });
        };
        let mut tale = Tale::new();
        for step in FLOODS {
            if before {
                lose(&mut tale);
            }
            begin(&mut tale, step, "flood");
            if !before {
                lose(&mut tale);
            }
            said_in_the_absence_of(who, &mut tale);
            chatter(&mut tale, 1);
            end(&mut tale, step, "flood");
            rest(&mut tale);
        }
        felt(&mut tale)
    };
    for who in ["ann", "bob"] {
        assert!(!heard(who, true), "{who} was away before");
        assert!(heard(who, false), "the flood took {who}'s connection");
    }
}

/// What Ann says reaches Bob when both are there.
fn said_in_the_absence_of(who: &str, tale: &mut Tale) {
    let next = tale.log.len() as u64 + 1;
    let ops = next..next + 500;
    let taken = |tale: &mut Tale, op| {
        tale.append(op).ok(op).hear("ann", op);
    };
    for op in ops.clone() {
        tale.invoke("ann", op);
        if who == "bob" {
            taken(tale, op);
        }
        tale.wait(5);
    }
    tale.connect(who, "resume");
    for op in ops {
        if who == "ann" {
            taken(tale, op);
        }
        tale.hear("bob", op);
    }
}

#[test]
fn a_neighbour_that_hears_nothing_until_the_flood_is_over_is_a_noisy_neighbour() {
    let heard = |held_back: bool| {
        let mut tale = Tale::new();
        for step in FLOODS {
            begin(&mut tale, step, "flood");
            chatter(&mut tale, 1);
            let next = tale.log.len() as u64 + 1;
            for op in next..next + 500 {
                tale.invoke("ann", op).append(op).ok(op);
                if !held_back {
                    tale.both_hear(op);
                }
            }
            end(&mut tale, step, "flood");
            (next..next + 500).filter(|_| held_back).for_each(|op| {
                tale.both_hear(op);
            });
            rest(&mut tale);
        }
        felt(&mut tale)
    };
    assert!(heard(true));
    assert!(!heard(false));
}

fn taken(when: &str, container: &str, rss: u64, fds: u64, tasks: u64) -> What {
    let (when, container) = (when.to_owned(), container.to_owned());
    let (since, rss, threads) = (None, rss << 20, 4);
    What::Resources(Resources { when, container, since, rss, fds, threads, tasks })
}

/// Looks at r1, ten seconds apart: when its process started, and its descriptors.
fn watched(looks: &[(u64, u64)]) -> Tale {
    let mut tale = chat();
    for (started, fds) in looks.iter().copied() {
        let (when, container) = ("during".to_owned(), "r1-blue".to_owned());
        let (since, rss, threads, tasks) = (Some(started), 7 << 20, 4, 29);
        tale.wait(10_000);
        let taken = Resources { when, container, since, rss, fds, threads, tasks };
        tale.tell(What::Resources(taken));
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
