//! The bounds: what must hold, for a roll and for a kill.

use crate::report::{Held, Promise, Report};

/// The promises of a report, each held or broken.
pub fn of(report: &Report) -> Vec<Held> {
    let mut promises = vec![
        none("lost", report.lost),
        none("duplicated", report.duplicated),
        none("reordered", report.reordered),
        none("phantoms", report.phantoms).quiet(),
        none("unproven", report.unproven).quiet(),
        none("gaps", report.gaps),
        none("absent", report.absent).note(format!("of {}", report.clients)),
        none("failed_sends", report.failed_sends).note(format!("of {}", report.messages_sent)),
        // A run in which nobody heard anything would hold every promise.
        none("nothing_heard", u64::from(report.deliveries == 0)).quiet(),
    ];
    match report.promise {
        Promise::Roll => roll(report, &mut promises),
        Promise::Kill => promises.push(
            at_most("silence_ms.p99", report.silence_ms.p99, 1000.0)
                .unit("ms")
                .note(format!("max {} ms", report.silence_ms.max)),
        ),
    }
    promises.push(at_most("command_exit", f64::from(report.command_exit), 0.0).quiet());
    promises
}

fn roll(report: &Report, promises: &mut Vec<Held>) {
    let before = format!("before {} ms", report.delivery_before_ms.p99);
    let before_max = format!("before {} ms", report.delivery_before_ms.max);
    promises.extend([
        none("failed_requests", report.failed_requests).note(format!("of {}", report.requests)),
        none("leave_join_flaps", report.leave_join_flaps),
        none("forced_closes", report.forced_closes),
        none("abrupt_closes", report.abrupt_closes),
        at_most("moves_per_client", report.moves_per_client, 1.02),
        at_most("silence_ms.max", report.silence_ms.max, 0.0).unit("ms"),
        at_most("delivery_ms.p99", report.delivery_ms.p99, 50.0).unit("ms").note(before),
        at_most("delivery_ms.max", report.delivery_ms.max, 500.0).unit("ms").note(before_max),
        at_most("balance", report.balance.unwrap_or(f64::INFINITY), 1.2),
    ]);
    if let Some(seconds) = &report.seconds_per_replica {
        let note = format!("Ansible's own {:.0} %", 100.0 * seconds.ansible_share);
        promises.push(at_most("seconds_per_replica", seconds.max, 15.0).unit("s").note(note));
    }
}

fn none(name: &'static str, count: u64) -> Held {
    at_most(name, count as f64, 0.0)
}

fn at_most(name: &'static str, figure: f64, bound: f64) -> Held {
    let held = figure <= bound;
    Held { name, figure, bound, held, unit: "", note: String::new(), quiet: false }
}

impl Held {
    fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    fn note(self, note: String) -> Self {
        Self { note, ..self }
    }

    fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }
}
