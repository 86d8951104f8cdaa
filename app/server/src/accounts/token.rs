//! Tokens: a client that has one speaks as its account.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// 256 random bits.
const BYTES: usize = 32;
/// The same in base64url.
const CHARS: usize = 43;

/// A session's or a bot's token. A secret: it is shown to nobody but its owner, and only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Not the token itself: it would be in the log.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What somebody says is a token; whether it is one of ours shows when it is looked up.
    #[must_use]
    pub fn claimed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// For its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it has the form of one. What has not is not worth a question.
    pub(super) fn is_well_formed(&self) -> bool {
        let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        self.0.len() == CHARS && self.0.bytes().all(is_base64url)
    }

    /// What is kept of it. Whoever reads that cannot come with it; and since it is random, no slow hash is needed.
    pub(super) fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_random_and_shown_to_nobody() {
        let (one, other) = (Token::random().expect("bits"), Token::random().expect("bits"));
        assert_ne!(one, other);
        assert!(one.is_well_formed() && one.hash().len() == 64);
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        for text in ["", "x", &"x".repeat(44), &"\u{e9}".repeat(43), &format!("{:.<43}", "x")] {
            assert!(!Token::claimed(text).is_well_formed(), "{text}");
        }
    }
}
