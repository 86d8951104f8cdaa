//! Ways to be wrong, each of which the checker must catch: a check that has never failed is
//! unproven.

/// What the simulated service gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    /// A retried number is appended again.
    NoDedup,
    /// The acknowledgement goes out before the log is asked.
    AckBeforeAppend,
    /// A cursor is told `resumed`, but starts at the head.
    ResumeFromTail,
    /// A timeout is told as a final rejection.
    TimeoutIsFailure,
    /// What was trimmed from the feed before it was read is not made up for.
    IgnoreFallingBehind,
    /// After a reconnect the feed is read from its end.
    ForgetFeedCursor,
    /// Two deliveries in the wrong order.
    SwapDeliveries,
    /// A delivery that does not happen.
    DropDelivery,
    /// A delivery that happens twice, on one connection.
    RepeatDelivery,
    /// A log that cannot continue a cursor goes on as if it could, and hides the seam.
    NeverGap,
    /// A gap is told although nothing is missing.
    NeedlessGap,
    /// A text that nobody sent gets into the log.
    Garble,
    /// Two replicas do not agree on who sent a message.
    Misattribute,
    /// Senders' numbers are not compared: what comes first is first.
    AnyNumber,
}

impl Wrong {
    /// Each, and what it may be called: at least one of these names must be found.
    pub const ALL: [(Self, &'static [&'static str]); 14] = [
        (Self::NoDedup, &["duplicate"]),
        (Self::AckBeforeAppend, &["lost-write"]),
        (Self::ResumeFromTail, &["skipped-message"]),
        (Self::TimeoutIsFailure, &["aborted-read"]),
        (Self::IgnoreFallingBehind, &["unseen"]),
        (Self::ForgetFeedCursor, &["unseen"]),
        (Self::SwapDeliveries, &["skipped-message"]),
        (Self::DropDelivery, &["skipped-message", "unseen"]),
        (Self::RepeatDelivery, &["duplicate"]),
        (Self::NeverGap, &["silent-loss", "divergent-order"]),
        (Self::NeedlessGap, &["false-gap"]),
        (Self::Garble, &["phantom"]),
        (Self::Misattribute, &["divergent-order", "phantom"]),
        (Self::AnyNumber, &["duplicate", "reordered-sender"]),
    ];
}
