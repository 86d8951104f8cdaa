//! Chaos: breaks a real stack on purpose and proves, or disproves, what it promises.
//!
//! Four parts that know little of each other. [`workload`] talks through HAProxy, [`nemesis`]
//! breaks things by the plan of a seed, both write a [`history`], and [`checker`] reads nothing
//! else. [`cluster`] is the stack that they and the drills share.

pub mod checker;
pub mod cluster;
pub mod command;
pub mod drills;
pub mod history;
pub mod mutants;
pub mod nemesis;
pub mod run;
pub mod workload;
