//! Clients that are connected and undisturbed hear soon, and are answered soon.
//!
//! Everything that comes in the end is seen; that it came only because something else made its connection
//! begin anew, minutes later, is told by nothing but the time.

use super::{
    anomaly::Anomaly,
    book::Book,
    clients::{Client, Role},
    faults::Phase,
    ops::OpIndex,
};

/// Much longer than anything took: in hours of histories, some of a loaded machine, nothing took 0.4 s in
/// peace. Microseconds.
const LATE: u64 = 2_000_000;

/// What this line shows of an operation, `it` came too late although nothing was in its way, or long after that.
pub(super) fn judge(
    book: &mut Book,
    op: OpIndex,
    sides: [&Client; 2],
    it: impl FnOnce(&Book) -> String,
) {
    let (sent, phase) = (book.operations.get(op).invoked.at, book.operations.get(op).phase);
    let (due, took) = (sent + LATE, book.place.at.saturating_sub(sent));
    let patient = |side: &&Client| matches!(side.role, Role::Slow | Role::Page | Role::Nemesis);
    if took <= LATE || sides.iter().any(patient) {
        return;
    }
    let excused = phase != Phase::Quiet
        || book.faults.began_between(sent, due)
        || sides.iter().any(|side| side.was_away(sent, due));
    let recovered = book.faults.recovered(sent).is_some_and(|due| book.place.at > due);
    if excused && !recovered {
        return;
    }
    book.note(Anomaly::Late, |book| {
        let seconds = took as f64 / 1e6;
        let when = if excused { "long after all was over" } else { "in peace" };
        format!("{} {} {seconds:.1} s after it was sent, {when}", book.describe_op(op), it(book))
    });
}
