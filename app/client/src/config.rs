//! Who a client is and where it goes.

use std::{fmt, time::Duration};

use rollcall_protocol::RoomCursor;

use crate::tls::Tls;

/// Who a client is and where it goes. Made by [`Config::new`]; what is to differ is set afterwards.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The service, as `http://host:port`, `https://host:port`, `ws://…` or `wss://…`.
    pub url: String,
    /// The client key: 32 lower-case hex digits. See [`new_key`]. A secret.
    pub key: String,
    /// The name others see.
    pub name: String,
    /// The token of a session or of a bot: the client speaks as its account. A secret. A client that has one never comes
    /// as a guest: it ends with [`crate::Final::BadToken`] if the token is not valid (any more), and while only replicas of
    /// a release without accounts answer, it goes on looking for another.
    pub token: Option<String>,
    /// Whom to believe over TLS; the authorities of this system if absent.
    pub tls: Option<Tls>,
    /// The rooms to be in from the start, with cursors if it has been there.
    pub rooms: Vec<RoomCursor>,
    /// Longest time from the first packet to `welcome`.
    pub dial_limit: Duration,
    /// Unacknowledged messages a room may hold.
    pub outbox: usize,
    /// Events that may wait for the caller.
    pub events: usize,
    /// Seed of the jitter; random if absent.
    pub seed: Option<u64>,
}

impl Config {
    /// A guest with a new key that enters `rooms` for the first time.
    #[must_use]
    pub fn new(url: &str, name: &str, rooms: &[&str]) -> Self {
        let room = |room: &&str| RoomCursor { room: (*room).to_owned(), after: None };
        Self {
            url: url.to_owned(),
            key: new_key(),
            name: name.to_owned(),
            token: None,
            tls: None,
            rooms: rooms.iter().map(room).collect(),
            dial_limit: Duration::from_secs(5),
            outbox: 256,
            events: 256,
            seed: None,
        }
    }

    pub(crate) fn socket_url(&self) -> String {
        let base = self.url.trim_end_matches('/');
        let base = match base.split_once("://") {
            Some(("http", rest)) => format!("ws://{rest}"),
            Some(("https", rest)) => format!("wss://{rest}"),
            _ => base.to_owned(),
        };
        format!("{base}/api/v1/ws")
    }
}

/// Without its secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, name, rooms, token, .. } = self;
        let is_guest = token.is_none();
        f.debug_struct("Config")
            .field("url", url)
            .field("name", name)
            .field("rooms", rooms)
            .field("is_guest", &is_guest)
            .finish_non_exhaustive()
    }
}

/// A new client key: 128 random bits.
#[must_use]
pub fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn secrets_are_in_no_log() {
        let mut config = Config::new("http://nowhere", "Teal", &["den"]);
        config.token = Some("a-token".to_owned());
        let told = format!("{config:?}");
        assert!(!told.contains(&config.key) && !told.contains("a-token"), "{told}");
    }
}
