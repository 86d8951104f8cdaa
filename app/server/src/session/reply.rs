//! The frames that answer a client, here and over HTTP.

use std::time::Duration;

use rollcall_protocol::{EntryId, ErrorCode, RejectCode, ServerFrame};

use super::RETRY;
use crate::log::{Forbidden, LogError, Refusal, splice::Gap};

/// An `error` frame.
pub(super) fn error(code: ErrorCode, detail: String, room: Option<String>) -> ServerFrame {
    ServerFrame::Error { code, detail, room }
}

/// A refusal names its room, and a room that is refused may be of any length.
pub(super) fn shortened(room: &str) -> String {
    room.chars().take(64).collect()
}

/// An `ack` frame.
#[must_use]
pub fn ack(room: String, n: u64, id: Option<EntryId>, duplicate: bool) -> ServerFrame {
    ServerFrame::Ack { room, n, id, duplicate }
}

/// The `reject` of a number that is ahead.
#[must_use]
pub fn out_of_order(room: String, n: u64, expected: u64) -> ServerFrame {
    let detail = format!("the log waits for n = {expected}");
    let code = RejectCode::OutOfOrder;
    ServerFrame::Reject { room, n, code, detail, expected: Some(expected), retry_ms: None }
}

/// The `reject` of a number that another text has.
#[must_use]
pub fn number_taken(room: String, n: u64, expected: u64) -> ServerFrame {
    let detail = format!("n = {n} is the number of another text; the log waits for n = {expected}");
    let code = RejectCode::NumberTaken;
    ServerFrame::Reject { room, n, code, detail, expected: Some(expected), retry_ms: None }
}

/// A `reject` frame.
#[must_use]
pub fn reject(
    room: String,
    n: u64,
    code: RejectCode,
    detail: String,
    retry: Option<Duration>,
) -> ServerFrame {
    // Up: a client that comes a part of a millisecond early is refused once more.
    let retry_ms = retry.map(|retry| retry.as_nanos().div_ceil(1_000_000) as u64);
    ServerFrame::Reject { room, n, code, detail, expected: None, retry_ms }
}

/// The `gap` frame of a cursor that the log cannot continue.
#[must_use]
pub fn gap_frame(room: &str, after: EntryId, gap: Gap) -> ServerFrame {
    let Gap { resumes_at, reason } = gap;
    ServerFrame::Gap { room: room.to_owned(), after, resumes_at, reason }
}

/// The code of an append that the log refused, and when to try again, if that can help.
#[must_use]
pub fn refused_as(error: &LogError) -> (RejectCode, Option<Duration>) {
    let LogError::Refused(refusal) = error else { return (RejectCode::Unavailable, None) };
    let Refusal::Forbidden(why) = refusal else { return (RejectCode::Unavailable, Some(RETRY)) };
    match why {
        Forbidden::Archived | Forbidden::Frozen => (RejectCode::ReadOnly, None),
        Forbidden::Muted => (RejectCode::Muted, None),
        Forbidden::Banned | Forbidden::Kicked => (RejectCode::Banned, None),
        Forbidden::Private => (RejectCode::Private, None),
        Forbidden::Slow(ms) => (RejectCode::SlowMode, Some(Duration::from_millis(*ms))),
        Forbidden::NoMessage => (RejectCode::NoMessage, None),
        Forbidden::NotYours => (RejectCode::NotYours, None),
    }
}
