//! The pure parts of client and server, many short lives in one process: connections break,
//! replies are lost, replicas freeze and go, logs are trimmed, flushed and rewound. Every history
//! goes through the checker.
//!
//! `ROLLCALL_SEED=7` runs that history alone and prints it; `ROLLCALL_HISTORIES=100000` runs so many,
//! from `ROLLCALL_FROM=0` on.

mod log;
mod person;
mod replica;
mod wire;
mod world;
mod wrong;

use std::time::{Duration, Instant};

use rollcall_chaos::checker::{Report, check};
use world::history;
use wrong::Wrong;

/// Time for the sound histories of an ordinary test run.
const TIME: Duration = Duration::from_secs(12);
/// Histories in which a way to be wrong must show.
const TRIES: u64 = 300;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn judge(seed: u64, wrong: Wrong) -> Report {
    check(&history(seed, wrong))
}

#[test]
fn every_history_is_sound() {
    if let Some(seed) = variable("ROLLCALL_SEED") {
        let records = history(seed, Wrong::Nothing);
        for record in &records {
            println!("{}", serde_json::to_string(record).expect("a line"));
        }
        let report = check(&records);
        return assert!(report.ok, "{report}");
    }
    let (began, wanted) = (Instant::now(), variable("ROLLCALL_HISTORIES"));
    let (mut gaps, mut ok, mut count) = (0, 0, 0);
    for seed in variable("ROLLCALL_FROM").unwrap_or(0).. {
        let over = began.elapsed() > TIME;
        if wanted.map_or(over, |wanted| count >= wanted) {
            break;
        }
        let report = judge(seed, Wrong::Nothing);
        assert!(report.ok, "again with ROLLCALL_SEED={seed}\n{report}");
        count += 1;
        gaps += report.figures.gaps;
        ok += report.figures.ok;
    }
    let took = began.elapsed().as_secs_f64();
    println!("{count} histories in {took:.1} s: {ok} messages, {gaps} gaps");
    assert!(gaps > 0 && ok > 10 * count, "the histories are too tame");
}

/// Whatever the service gets wrong, some history shows it, and the checker calls it by a name that
/// fits.
#[test]
fn every_way_to_be_wrong_is_caught() {
    let mut survivors = Vec::new();
    for (wrong, names) in Wrong::ALL {
        let caught = (0..TRIES).find_map(|seed| {
            let report = judge(seed, wrong);
            let found = report.anomalies.keys().map(|anomaly| anomaly.name());
            let fitting = found.filter(|name| names.contains(name)).collect::<Vec<_>>();
            (!fitting.is_empty()).then(|| (seed, fitting.join(", ")))
        });
        match caught {
            Some((seed, as_what)) => println!("{wrong:?}: seed {seed}, {as_what}"),
            None => survivors.push(wrong),
        }
    }
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
