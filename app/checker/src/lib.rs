//! One history, and the one checker of it.
//!
//! [`history`] is what chaos, the drills and the bots write down; [`check`] reads nothing else and names what
//! should not have happened. This crate knows the frames' crate at most, so that Cargo itself forbids the checker
//! to share code with what is checked.

pub mod history;

mod anomaly;
mod book;
mod bounds;
mod checker;
mod clients;
mod entries;
mod entry;
mod faults;
mod figures;
mod gaps;
mod histogram;
mod late;
mod leaks;
mod limits;
mod logs;
mod names;
mod neighbours;
mod ops;
mod pages;
mod phase_end;
mod phases;
mod presence;
mod read;
mod read_phases;
mod read_stack;
mod read_told;
mod report;
#[cfg(test)]
mod tests;
mod view;

pub use anomaly::{Anomaly, Finding, Found};
pub use bounds::delivery_bounds;
pub use checker::{Checker, check, check_file};
pub use figures::{Durations, Figures, PhaseFigures, Recovery, TurnFigures};
pub use limits::Worst;
pub use neighbours::{Lateness, Neighbours};
pub use report::Report;
