//! The settings of accounts, and the operator's key.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Accounts, and the operator's key.
#[derive(Clone, Args)]
pub struct AccountSettings {
    /// A session that is not used for so many days ends.
    #[arg(long, env = "SESSION_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub session_days: u32,
    /// The key with which an operator's programs make bots and moderators, in the header X-API-Key: at least 16 characters.
    /// Without one nobody does.
    #[arg(long, env = "API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// A file with the key.
    #[arg(long, env = "API_KEY_FILE", conflicts_with = "api_key")]
    pub api_key_file: Option<PathBuf>,
}

impl AccountSettings {
    /// How long a session goes on after it was last renewed.
    #[must_use]
    pub fn session(&self) -> Duration {
        Duration::from_secs(u64::from(self.session_days) * 24 * 3600)
    }

    /// The key, if there is one.
    ///
    /// # Errors
    /// If its file cannot be read, or it is too short to be a secret.
    pub fn key(&self) -> Result<Option<ApiKey>, String> {
        let read = |file: &PathBuf| {
            std::fs::read_to_string(file).map_err(|error| format!("API_KEY_FILE: {error}"))
        };
        let of_file = self.api_key_file.as_ref().map(read).transpose()?;
        let Some(key) = of_file.or_else(|| self.api_key.clone()) else { return Ok(None) };
        match key.trim() {
            "" => Ok(None),
            key if key.len() < KEY_BYTES => {
                Err(format!("API_KEY has at least {KEY_BYTES} characters"))
            }
            key => Ok(Some(ApiKey(Sha256::digest(key).into()))),
        }
    }
}

/// Without the key.
impl std::fmt::Debug for AccountSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = &self.session_days;
        f.debug_struct("AccountSettings").field("session_days", days).finish_non_exhaustive()
    }
}

/// Shortest key of an operator.
const KEY_BYTES: usize = 16;

/// The operator's key, as its hash.
#[derive(Clone)]
pub struct ApiKey([u8; 32]);

impl ApiKey {
    /// Whether that is the key. How long it takes says nothing of how much of it is right.
    #[must_use]
    pub fn is(&self, claimed: &[u8]) -> bool {
        self.0.ct_eq(&Sha256::digest(claimed)[..]).into()
    }
}
