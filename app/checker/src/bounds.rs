//! What each phase of a run allows.

use crate::history::Phase;

/// Clients of the busiest replica over those of the idlest, after a roll of all.
pub(super) const BALANCE: f64 = 1.2;
/// A replica's turn in a roll.
pub(super) const TURN_SECONDS: f64 = 15.0;
/// An event stream cannot be opened before the old one ends. It tries again after a quarter of a second. Milliseconds.
pub(super) const STREAM_SILENCE: u64 = 2_000;

/// What nobody may notice more of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections may be lost, and requests fail.
    pub losses: bool,
    /// The longest silence of any client, milliseconds.
    pub silence_ms: Option<u64>,
    /// What 99 in 100 clients stay within, milliseconds.
    pub silence_p99_ms: Option<f64>,
    /// From `send` to delivery: 99 in 100, and the longest, milliseconds.
    pub delivery_ms: Option<(f64, f64)>,
    /// Nobody who is there is said to come or go.
    pub flaps: bool,
    /// A send may fail that goes again and is taken then.
    pub retries: bool,
    /// A send may be refused for good, since a room may be frozen.
    pub freezes: bool,
}

/// From `send` to delivery in a phase, ms: 99 in 100, and the longest; none if that is not bounded.
#[must_use]
pub fn delivery_bounds(phase: Phase) -> Option<(f64, f64)> {
    Bounds::from(phase).delivery_ms
}

impl From<Phase> for Bounds {
    fn from(phase: Phase) -> Self {
        let unnoticed = Self {
            losses: false,
            silence_ms: Some(0),
            silence_p99_ms: None,
            delivery_ms: Some((50.0, 500.0)),
            flaps: false,
            retries: false,
            freezes: false,
        };
        match phase {
            Phase::Quiet | Phase::Roll => unnoticed,
            Phase::SlowRoll => Self { delivery_ms: None, ..unnoticed },
            // What takes longer than two seconds is `late` here as everywhere.
            Phase::Store => Self { delivery_ms: None, retries: true, ..unnoticed },
            Phase::Kill => Self {
                losses: true,
                silence_ms: Some(6_000),
                silence_p99_ms: Some(1_000.0),
                // As long as somebody may be without service. That counts from the close only, and before it died a replica
                // may have been frozen.
                delivery_ms: Some((1_000.0, 6_000.0)),
                flaps: false,
                retries: true,
                freezes: false,
            },
            Phase::Outage | Phase::Show => Self {
                losses: true,
                silence_ms: None,
                silence_p99_ms: None,
                delivery_ms: None,
                flaps: true,
                retries: true,
                freezes: phase == Phase::Show,
            },
        }
    }
}
