/// Why a WebSocket was closed, and so whether the client should come back.
///
/// The first block is RFC 6455's registry; 44xx are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The client said it is done.
    Normal = 1000,
    /// Frames against RFC 6455.
    Protocol = 1002,
    /// A binary frame; version 1 is JSON text.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    InvalidText = 1007,
    /// Against a rule that trying again will not change.
    Policy = 1008,
    /// A frame beyond `limits.frame_bytes`.
    TooBig = 1009,
    /// This replica goes away: come back at once.
    Restart = 1012,
    /// Overloaded, or the client was too slow or silent: come back after a backoff with full jitter.
    TryAgainLater = 1013,
    /// Too many frames that were not understood.
    BadFrames = 4400,
    /// The `hello` was refused; the `error` frame before says why.
    BadHello = 4401,
    /// Banned, or signed out everywhere.
    Dismissed = 4403,
    /// No `hello` in time.
    HelloTimeout = 4408,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether a client that saw `code` should connect again by itself.
    ///
    /// Refusals (1002, 1003, 1007, 1008, 1009, 44xx) and a normal close are final; everything else,
    /// also a connection that broke without a close frame (1006), is worth another try.
    #[must_use]
    pub const fn is_retryable(code: u16) -> bool {
        !matches!(code, 1000 | 1002 | 1003 | 1007 | 1008 | 1009 | 4400..=4499)
    }
}

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn refusals_are_final_and_restarts_are_not() {
        for code in
            [CloseCode::Policy, CloseCode::BadHello, CloseCode::BadFrames, CloseCode::TooBig]
        {
            assert!(!CloseCode::is_retryable(code.code()), "{code:?}");
        }
        for code in [1001, 1006, 1011, CloseCode::Restart.code(), CloseCode::TryAgainLater.code()] {
            assert!(CloseCode::is_retryable(code), "{code}");
        }
    }
}
