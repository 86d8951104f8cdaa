//! The roll call as people see it: short, and readable from the back row.

use std::fmt::Write;

use rollcall_checker::history::Phase;

use crate::{
    promises::Held,
    report::{Report, Spread},
};

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Colours,
    Plain,
}

impl Paint {
    pub fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn good(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }
}

/// The whole roll call. `containers` are those to look at if something is broken.
pub fn render(report: &Report, containers: &[String], paint: Paint) -> String {
    let mut page = headline(report, paint);
    for promise in report.promises.iter().filter(|promise| !(promise.quiet && promise.held)) {
        page += &line(promise, paint);
    }
    page += &closing(report, containers, paint);
    page
}

fn headline(report: &Report, paint: Paint) -> String {
    let releases = &report.releases;
    let what = match report.promise {
        Phase::Roll | Phase::SlowRoll => format!("{} → {}", releases.before, releases.after),
        Phase::Quiet => "nothing was to be noticed".to_owned(),
        Phase::Store => "the store has changed".to_owned(),
        Phase::Kill => "a replica was killed".to_owned(),
        Phase::Outage => "something was away".to_owned(),
        Phase::Show => format!("the whole show, from {} to {}", releases.before, releases.after),
    };
    let title = paint.bold(&format!("THE ROLL CALL   {what}"));
    let crowd = format!(
        "{} clients, {} rooms, {} messages, {} deliveries",
        grouped(report.clients),
        report.rooms,
        grouped(report.messages_sent),
        grouped(report.deliveries),
    );
    format!("\n  {title}\n  {}\n\n", paint.dim(&crowd))
}

fn line(promise: &Held, paint: Paint) -> String {
    let name = promise.name.split('.').collect::<Vec<_>>().join(" ").replace("_ms", "");
    let name = name.replace('_', " ");
    let figure = number(promise.figure, promise.unit);
    let bound = match promise.bound {
        0.0 => String::new(),
        bound => format!("at most {}", with_unit(bound, promise.unit)),
    };
    let remark = [bound, promise.note.clone()];
    let remark = remark.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let figure = format!("{figure:>9} {:<2}", promise.unit);
    let (mark, figure) = match promise.held {
        true => (paint.good("✓"), paint.bold(&figure)),
        false => (paint.bad("✗"), paint.bad(&figure)),
    };
    format!("  {mark}  {name:<20}{figure}  {}", paint.dim(&remark)).trim_end().to_owned() + "\n"
}

fn closing(report: &Report, containers: &[String], paint: Paint) -> String {
    if report.ok {
        let words = match report.promise {
            Phase::Quiet | Phase::Roll | Phase::SlowRoll | Phase::Store => {
                "Everyone is here. Nobody noticed."
            }
            Phase::Kill | Phase::Outage | Phase::Show => "Everyone is back. Nothing is missing.",
        };
        return format!("\n  {}\n\n", paint.good(words));
    }
    let broken: Vec<_> = report
        .promises
        .iter()
        .filter(|promise| !promise.held)
        .map(|promise| promise.name)
        .collect();
    let mut page = format!("\n  {}\n", paint.bad(&format!("BROKEN: {}", broken.join(", "))));
    for detail in &report.details {
        // Writing to a string cannot fail.
        let _infallible = writeln!(page, "    {detail}");
    }
    if was_slow_before(&report.promises, report.delivery_before_ms) {
        page += "  It was as slow before: something else keeps this machine busy, or fewer --clients are its measure.\n";
    }
    for place in where_to_look(report, containers) {
        let _infallible = writeln!(page, "  {}", paint.dim(&format!("look at: {place}")));
    }
    page + "\n"
}

/// Nothing is broken but times that were no better before the command ran.
fn was_slow_before(promises: &[Held], before: Spread) -> bool {
    let was_slow = |promise: &Held| match promise.name {
        "delivery_ms.p99" => before.p99 > promise.bound,
        "delivery_ms.max" => before.p99 > promise.bound || before.max > promise.bound,
        _ => false,
    };
    promises.iter().filter(|promise| !promise.held).all(was_slow)
}

/// The command's own words if it failed; else the containers.
fn where_to_look(report: &Report, containers: &[String]) -> Vec<String> {
    if report.command_exit != 0 {
        return vec![format!(
            "what the command said above; its status was {}",
            report.command_exit
        )];
    }
    let logs = containers.iter().map(|container| format!("docker logs {container}"));
    logs.chain([format!("{}, the whole history", report.history.display())]).collect()
}

fn with_unit(figure: f64, unit: &str) -> String {
    let number = number(figure, unit);
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

fn number(figure: f64, unit: &str) -> String {
    match (figure, unit) {
        (figure, _) if !figure.is_finite() => "∞".to_owned(),
        (figure, _) if figure.fract() == 0.0 => format!("{figure:.0}"),
        (figure, "") => format!("{figure:.2}"),
        (figure, _) => format!("{figure:.1}"),
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let (head, tail) = digits.split_at(head);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (!head.is_empty()).then(|| head.to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 12, 123, 1234, 123_456, 1_234_567].map(grouped),
            ["0", "12", "123", "1,234", "123,456", "1,234,567"]
        );
    }

    #[test]
    fn a_machine_that_was_slow_before_is_told_only_if_nothing_else_is_broken() {
        let promise = |name, held| Held {
            name,
            figure: 200.7,
            bound: 50.0,
            held,
            unit: "ms",
            note: String::new(),
            quiet: false,
        };
        let slow = [promise("delivery_ms.p99", false), promise("lost", true)];
        let before = |p99| Spread { p99, ..Spread::default() };
        assert!(was_slow_before(&slow, before(229.0)));
        assert!(!was_slow_before(&slow, before(20.0)));
        let lost = [slow[0].clone(), promise("lost", false)];
        assert!(!was_slow_before(&lost, before(229.0)));
    }

    #[test]
    fn figures_carry_their_unit() {
        assert_eq!(with_unit(1.004, ""), "1.00");
        assert_eq!(with_unit(0.0, "ms"), "0 ms");
        assert_eq!(with_unit(3.26, "ms"), "3.3 ms");
        assert_eq!(with_unit(f64::INFINITY, ""), "∞");
    }
}
