//! Chaos: breaks a real stack on purpose and proves, or disproves, what it promises.
//!
//! Four parts that know little of each other. [`workload`] talks through HAProxy, [`nemesis`]
//! breaks things by the plan of a seed, both write a [`history`], and [`checker`], a crate of its own, reads nothing
//! else. [`cluster`] is the stack that they and the drills share.

pub mod cluster;
pub mod command;
pub mod drills;
pub mod limits;
pub mod mutants;
pub mod nemesis;
pub mod readings;
pub mod run;
pub mod workload;

pub use rollcall_checker::{self as checker, history};
