//! What a client is told when something does not work, and what the log is told of it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rollcall_protocol::ErrorCode;
use tokio::time::Instant;
use tracing::warn;

use crate::log::{Forbidden, LogError, Refusal};

/// Of failures of the log one is told in this time, with the count of the others: when Redis is away, every send fails.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Why a room was not entered. What it displays is for clients.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// This replica serves as many rooms as it may.
    #[error("this server has too many rooms open")]
    TooManyRooms,
    /// The room is not for this member.
    #[error("{}", .0.told())]
    Barred(Forbidden),
    /// The room's log could not be read.
    #[error("{}", .0.told())]
    Log(#[from] LogError),
}

impl JoinError {
    /// The code of the `error` frame that says so.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // `too_many_rooms` would mean this connection's own limit, and that coming back is no use.
            Self::TooManyRooms | Self::Log(_) => ErrorCode::Unavailable,
            Self::Barred(Forbidden::Kicked) => ErrorCode::Kicked,
            Self::Barred(Forbidden::Private) => ErrorCode::Private,
            Self::Barred(_) => ErrorCode::Banned,
        }
    }

    /// Whether coming back may help: to a room that is not for somebody it does not.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Barred(_))
    }
}

impl LogError {
    /// Logs it, where it is handled. `what` failed.
    pub fn note(&self, what: &str) {
        // What a room's state forbids is nobody's failure.
        if matches!(self, Self::Refused(Refusal::Forbidden(_))) {
            return;
        }
        static NOTED: Mutex<Noted> = Mutex::new(Noted { at: None, others: 0 });
        // A count is not left half changed by a panic.
        let others = NOTED.lock().unwrap_or_else(PoisonError::into_inner).turn(Instant::now());
        if let Some(others) = others {
            warn!(others, error = %self, "{what} failed");
        }
    }
}

/// When a failure was told last, and how many were not told since.
struct Noted {
    at: Option<Instant>,
    others: u64,
}

impl Noted {
    /// Whether it is time to tell one, and then of how many others it tells.
    fn turn(&mut self, now: Instant) -> Option<u64> {
        if self.at.is_some_and(|at| now < at + NOTE_EVERY) {
            self.others += 1;
            return None;
        }
        self.at = Some(now);
        Some(std::mem::take(&mut self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_one_a_second_is_told() {
        let mut noted = Noted { at: None, others: 0 };
        let now = Instant::now();
        let told: Vec<_> =
            (0..20).map(|i| noted.turn(now + i * Duration::from_millis(100))).collect();
        assert_eq!(told.iter().flatten().collect::<Vec<_>>(), [&0, &9]);
    }

    /// Fault S21: clients were told what Redis said.
    #[test]
    fn s21_what_redis_said_is_for_the_log() {
        let error =
            LogError::Refused("OOM command not allowed, script: 3f1c, on @user_function:12".into());
        assert!(!error.told().contains("OOM"));
        assert_eq!(JoinError::from(error.clone()).to_string(), error.told());
    }
}
