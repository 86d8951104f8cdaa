//! What a fault itself measured, against the most that it may be.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{anomaly::Anomaly, book::Book};

/// The worst of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Worst {
    /// How much.
    pub value: u64,
    /// The most that it may have been.
    pub limit: u64,
    /// How many were measured.
    pub times: u64,
}

/// By what was measured, with its unit.
pub(super) type Limits = BTreeMap<String, Worst>;

/// One figure. Above its limit it is an anomaly.
pub(super) fn judge(
    book: &mut Book,
    limits: &mut Limits,
    figure: &str,
    of: &str,
    (value, limit): (u64, u64),
) {
    let worst = limits.entry(figure.to_owned()).or_default();
    worst.times += 1;
    // Of two with different limits the one that came nearer to its own, or passed it by more.
    let is_worse =
        i128::from(value) - i128::from(limit) > i128::from(worst.value) - i128::from(worst.limit);
    if worst.times == 1 || is_worse {
        (worst.value, worst.limit) = (value, limit);
    }
    if value > limit {
        book.note(Anomaly::PastLimit, |_| format!("{of}: {value} {figure}, at most {limit}"));
    }
}
