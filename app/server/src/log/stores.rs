//! Where Redis is: its addresses, and what opens the door there.

use std::{path::PathBuf, time::Duration};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    TlsCertificates,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use crate::config::RedisSettings;

/// The addresses at which a Redis may be the primary. The same user, password and CA are for all of them.
pub(super) struct Stores {
    places: Vec<ConnectionInfo>,
    user: Option<String>,
    /// Read at each connection, so that a password can change under a replica that runs.
    password_file: Option<PathBuf>,
    ca: Option<Vec<u8>>,
    timeout: Duration,
}

impl Stores {
    /// Knows where they are; none need be up yet.
    ///
    /// # Errors
    /// If an address is not one of `redis://` or `rediss://`, or the CA's file cannot be read.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, RedisError> {
        let urls = settings.url.as_deref().unwrap_or_default().split(',').map(str::trim);
        let places: Result<Vec<ConnectionInfo>, RedisError> = urls.map(place).collect();
        let places = places?;
        let ca = settings.ca_file.as_ref().map(std::fs::read).transpose();
        let ca = ca.map_err(|error| unusable("REDIS_CA_FILE cannot be read", &error))?;
        if places.iter().any(|place| matches!(place.addr(), ConnectionAddr::TcpTls { .. })) {
            // redis-rs brings none, and would panic at its first connection. That there is one already is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let is_plain = |place: &ConnectionInfo| matches!(place.addr(), ConnectionAddr::Tcp(..));
        if ca.is_some() && places.iter().any(is_plain) {
            return Err(unusable("REDIS_CA_FILE is for addresses with", &"rediss://"));
        }
        let stores = Self {
            places,
            user: settings.user.clone(),
            password_file: settings.password_file.clone(),
            ca,
            timeout: settings.timeout,
        };
        for index in 0..stores.count() {
            stores.client(index)?;
        }
        Ok(stores)
    }

    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Connects to one of them. Each answer may take `patience`.
    pub(super) async fn connect(
        &self,
        index: usize,
        patience: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(patience));
        self.client(index)?.get_multiplexed_async_connection_with_config(&config).await
    }

    fn client(&self, index: usize) -> Result<Client, RedisError> {
        let place = self.places[index].clone();
        let mut access = place.redis_settings().clone();
        if let Some(user) = &self.user {
            access = access.set_username(user);
        }
        if let Some(file) = &self.password_file {
            let password = std::fs::read_to_string(file)
                .map_err(|error| unusable("REDIS_PASSWORD_FILE cannot be read", &error))?;
            access = access.set_password(password.trim_end_matches(['\r', '\n']));
        }
        let place = place.set_redis_settings(access);
        match &self.ca {
            None => Client::open(place),
            Some(ca) => {
                let trusted = TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) };
                Client::build_with_tls(place, trusted)
            }
        }
    }
}

fn place(url: &str) -> Result<ConnectionInfo, RedisError> {
    // A response timeout never reconnects, so the kernel must notice a peer that went silent.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(2))
        .with_interval(Duration::from_secs(1))
        .with_retries(3);
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive)
        .set_user_timeout(Duration::from_secs(5));
    Ok(url.into_connection_info()?.set_tcp_settings(tcp))
}

fn unusable(what: &'static str, why: &impl std::fmt::Display) -> RedisError {
    (ErrorKind::InvalidClientConfig, what, why.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores(url: &str) -> Result<Stores, RedisError> {
        Stores::new(&RedisSettings::at(url, Duration::from_secs(1)))
    }

    #[test]
    fn several_addresses_are_separated_by_commas() {
        let three = stores("redis://a:6379, redis://b:6380,rediss://c").expect("three addresses");
        let places: Vec<_> = three.places.iter().map(|place| place.addr().to_string()).collect();
        assert_eq!(places, ["a:6379", "b:6380", "c:6379"]);
        for wrong in ["", "redis://a:6379,", "a:6379", "http://a"] {
            assert!(stores(wrong).is_err(), "{wrong}");
        }
    }
}
