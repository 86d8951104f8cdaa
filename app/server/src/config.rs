//! Everything that can be set, from flags or the environment. The only reader of either.

mod accounts;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, ValueEnum};

pub use self::accounts::{AccountSettings, ApiKey};

/// Rollcall's chat server: one replica.
#[derive(Debug, Clone, Parser)]
#[command(name = "rollcall-server", version)]
pub struct Config {
    /// Address to listen on, for clients and for operators.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port for clients: the page, WebSocket, SSE and REST.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Port for operators: /drain and /metrics. Never expose it.
    #[arg(long, env = "ADMIN_PORT", default_value_t = 8090)]
    pub admin_port: u16,
    /// Redis.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// This replica's name, shown to clients.
    #[arg(long, env = "REPLICA", default_value = "local")]
    pub replica: String,
    /// The release that this replica runs, shown to clients.
    #[arg(long, env = "RELEASE", default_value = env!("CARGO_PKG_VERSION"))]
    pub release: String,
    /// Take client addresses from X-Forwarded-For. Only behind a proxy that sets it.
    #[arg(long, env = "TRUST_FORWARDED", value_parser = clap::builder::BoolishValueParser::new())]
    pub trust_forwarded: bool,
    /// Origins, separated by commas, whose pages may open a WebSocket, besides this server's own.
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,
    /// Origins, separated by commas, whose pages may use the API (CORS), and open a WebSocket.
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Let people applaud on the page, which is green then: what is new in a release, for those who look.
    #[arg(long, env = "APPLAUSE", value_parser = clap::builder::BoolishValueParser::new())]
    pub applause: bool,
    /// An audience joins at `/#hall`, where one taps and votes besides talking.
    #[arg(long, env = "HALL", value_parser = clap::builder::BoolishValueParser::new())]
    pub hall: bool,
    /// On SIGTERM: connections are told to move at moments spread over this many ms.
    #[arg(long = "drain-spread-ms", env = "DRAIN_SPREAD_MS", default_value = "3000", value_parser = millis)]
    pub drain_spread: Duration,
    /// On SIGTERM: what is left after this many ms is closed.
    #[arg(long = "drain-deadline-ms", env = "DRAIN_DEADLINE_MS", default_value = "20000", value_parser = millis)]
    pub drain_deadline: Duration,
    /// Clients ping this often, ms; a peer silent for 2.5 times this is given up.
    #[arg(long = "heartbeat-ms", env = "HEARTBEAT_MS", default_value = "5000", value_parser = some_millis)]
    pub heartbeat: Duration,
    /// How long a member that says nothing more is taken for present, ms; a replica, 5/3 of that.
    #[arg(long = "lease-ms", env = "LEASE_MS", default_value = "12000", value_parser = some_millis)]
    pub lease: Duration,
    /// A replica that has not reached its log for this long tells its clients to go elsewhere, ms.
    #[arg(long = "isolated-after-ms", env = "ISOLATED_AFTER_MS", default_value = "3000", value_parser = some_millis)]
    pub isolated_after: Duration,
    /// In a drain, clients that do not say that they obey a goaway are closed this long after their own moment, ms.
    #[arg(long = "goaway-grace-ms", env = "GOAWAY_GRACE_MS", default_value = "500", value_parser = millis)]
    pub goaway_grace: Duration,
    /// Threads that serve connections. Without it as many as there are cores, and at most 16.
    #[arg(long, env = "WORKER_THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub worker_threads: Option<u16>,
    /// Form of the log lines on stdout; `auto` is text on a terminal, JSON elsewhere.
    #[arg(long, env = "LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// What to log, in tracing's directives.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Be wrong in this one way.
    #[cfg(feature = "mutants")]
    #[arg(long, env = "ROLLCALL_MUTANT")]
    pub mutant: Option<crate::mutants::Mutant>,
    /// How much of it, for those that have a DOSE; 0 is what each has by itself.
    #[cfg(feature = "mutants")]
    #[arg(long, env = "ROLLCALL_MUTANT_DOSE", default_value_t = 0)]
    pub mutant_dose: u64,
    /// Accounts, and the operator's key.
    #[command(flatten)]
    pub accounts: AccountSettings,
    /// Bounds.
    #[command(flatten)]
    pub limits: Limits,
}

impl Config {
    /// How often a connection looks whether its client is still there.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        self.heartbeat.min(self.limits.stall) / 4
    }
}

/// Where Redis is, and how it is asked.
#[derive(Clone, Args)]
pub struct RedisSettings {
    /// Where the room logs are: redis://host:port or, with TLS, rediss://host:port. Several, separated by commas, are
    /// one primary and its replicas, whichever is which. Without it the logs are in memory, for this replica alone, and
    /// gone with it.
    #[arg(id = "redis-url", long = "redis-url", env = "REDIS_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// How long Redis may take for one answer, ms. Past it the outcome counts as unknown.
    #[arg(long = "redis-timeout-ms", env = "REDIS_TIMEOUT_MS", default_value = "1000", value_parser = millis)]
    pub timeout: Duration,
    /// The user in Redis, if not the one of the address.
    #[arg(id = "redis-user", long = "redis-user", env = "REDIS_USER")]
    pub user: Option<String>,
    /// A file with its password, read at each connection.
    #[arg(id = "redis-password-file", long = "redis-password-file", env = "REDIS_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
    /// A file, PEM, with the CA of addresses with rediss://, if it is not one that everybody trusts.
    #[arg(id = "redis-ca-file", long = "redis-ca-file", env = "REDIS_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Replicas of Redis that must have a message on disk before it is acknowledged. Wants Redis 7.2 or Valkey.
    #[arg(
        id = "redis-replicas-ack",
        long = "redis-replicas-ack",
        env = "REDIS_REPLICAS_ACK",
        default_value_t = 0
    )]
    pub replicas_ack: u32,
    /// Acknowledge also while no replica of Redis is attached at all, as after a failover. Wrong where the network may
    /// part the two.
    #[arg(id = "redis-ack-alone", long = "redis-ack-alone", env = "REDIS_ACK_ALONE", value_parser = clap::builder::BoolishValueParser::new())]
    pub ack_alone: bool,
}

impl RedisSettings {
    /// Those of a Redis that asks for nothing.
    #[must_use]
    pub fn at(url: &str, timeout: Duration) -> Self {
        Self {
            url: Some(url.to_owned()),
            timeout,
            user: None,
            password_file: None,
            ca_file: None,
            replicas_ack: 0,
            ack_alone: false,
        }
    }
}

/// Without the address: it may have a password in it.
impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Which rooms can be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoomPolicy {
    /// Any: a room is there as soon as somebody speaks.
    Open,
    /// Those that somebody made.
    Created,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The bounds on everything a client can make grow.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Longest message text, bytes of UTF-8.
    #[arg(long = "max-text-bytes", env = "MAX_TEXT_BYTES", default_value_t = 4 * 1024)]
    pub text_bytes: usize,
    /// Longest frame from a client, bytes.
    #[arg(long = "max-frame-bytes", env = "MAX_FRAME_BYTES", default_value_t = 16 * 1024)]
    pub frame_bytes: usize,
    /// Most rooms of one connection.
    #[arg(
        long = "max-rooms-per-connection",
        env = "MAX_ROOMS_PER_CONNECTION",
        default_value_t = 64
    )]
    pub rooms_per_connection: usize,
    /// Most unacknowledged sends of one connection.
    #[arg(long = "max-pending-sends", env = "MAX_PENDING_SENDS", default_value_t = 32)]
    pub pending_sends: usize,
    /// Most connections of this replica, if the descriptors suffice.
    #[arg(long = "max-connections", env = "MAX_CONNECTIONS", default_value_t = 15_000)]
    pub connections: usize,
    /// Most connections of one address at the same time; a hall of phones behind one must fit. An IPv6
    /// network of 64 bits counts as one address.
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", default_value_t = 5_000, value_parser = at_least_one)]
    pub connections_per_address: usize,
    /// Descriptors that clients never get: for operators, Redis and what the process itself has open.
    #[arg(long, env = "RESERVED_DESCRIPTORS", default_value_t = 64)]
    pub reserved_descriptors: u64,
    /// Most rooms with a connection on this replica.
    #[arg(long = "max-rooms", env = "MAX_ROOMS", default_value_t = 10_000)]
    pub rooms: usize,
    /// Most frames of one room that are kept in memory.
    #[arg(long, env = "RING_FRAMES", default_value_t = 256, value_parser = at_least_one)]
    pub ring_frames: usize,
    /// Most bytes of one room that are kept in memory.
    #[arg(long, env = "RING_BYTES", default_value_t = 512 * 1024, value_parser = at_least_one)]
    pub ring_bytes: usize,
    /// Most bytes of all rooms that are kept in memory; each room keeps its newest message all the same.
    #[arg(long, env = "RINGS_BYTES", default_value_t = 64 * 1024 * 1024, value_parser = at_least_one)]
    pub rings_bytes: usize,
    /// Rooms add nothing to what waits for a connection once it is this many bytes; replies may add three times as much.
    #[arg(long, env = "OUTLET_BYTES", default_value_t = 64 * 1024, value_parser = at_least_one)]
    pub outlet_bytes: usize,
    /// Rooms add nothing to what waits anywhere once it is this many bytes for all connections together.
    #[arg(long, env = "OUTLETS_BYTES", default_value_t = 64 * 1024 * 1024, value_parser = at_least_one)]
    pub outlets_bytes: usize,
    /// Entries of a room log that are read at once.
    #[arg(long, env = "PAGE_ENTRIES", default_value_t = 128, value_parser = at_least_one)]
    pub page_entries: usize,
    /// Members of a room that are named; the rest are only counted.
    #[arg(long, env = "LISTED_MEMBERS", default_value_t = 200, value_parser = at_least_one)]
    pub listed_members: usize,
    /// Rooms that a list of rooms knows; those that were silent for longest fall out of it.
    #[arg(long, env = "LISTED_ROOMS", default_value_t = 20_000, value_parser = at_least_one)]
    pub listed_rooms: usize,
    /// Presence and typing frames of a room that may wait; beyond that clients get the whole list.
    #[arg(long, env = "WAITING_SIGNALS", default_value_t = 256, value_parser = at_least_one)]
    pub waiting_signals: usize,
    /// Presence events of a room that are kept while it is opened.
    #[arg(long, env = "EARLY_EVENTS", default_value_t = 1_024, value_parser = at_least_one)]
    pub early_events: usize,
    /// Bounds of room logs and feeds.
    #[command(flatten)]
    pub log: LogBounds,
    /// Sends per second of one client key, over all its connections and POST; twice that at once. As many rooms
    /// a second may be entered and left by one; all rooms of a connection twice at once.
    #[arg(long, env = "RATE_CLIENT", default_value = "20")]
    pub rate_client: std::num::NonZeroU32,
    /// Sends, new connections, and rooms entered and left a second from one address, each; four times that at
    /// once. This alone holds fresh keys; a hall of phones behind one address must fit.
    #[arg(long, env = "RATE_ADDRESS", default_value = "500")]
    pub rate_address: std::num::NonZeroU32,
    /// Messages per second by POST from one address, whatever their keys; four times that at once.
    #[arg(long, env = "RATE_POSTS", default_value = "50")]
    pub rate_posts: std::num::NonZeroU32,
    /// Sends per second into one room by way of this replica; half that at once. Where they are more, each sender with
    /// a connection has an equal share, and one such share is for all of an address that have none.
    #[arg(long, env = "RATE_ROOM", default_value = "50")]
    pub rate_room: std::num::NonZeroU32,
    /// Reads of room logs per second from one address; four times that at once. Files of the page: twenty times
    /// as many.
    #[arg(long, env = "RATE_READS", default_value = "200")]
    pub rate_reads: std::num::NonZeroU32,
    /// Sign-ins and new accounts per second from one address; twice that at once.
    #[arg(long, env = "RATE_SIGN_INS", default_value = "5")]
    pub rate_sign_ins: std::num::NonZeroU32,
    /// A connection that took no byte of what waits for it for this long is closed, ms.
    #[arg(long = "stall-ms", env = "STALL_MS", default_value = "10000", value_parser = some_millis)]
    pub stall: Duration,
}

/// The bounds of room logs and feeds.
#[derive(Debug, Clone, Args)]
pub struct LogBounds {
    /// Which rooms can be entered: `open` for any name, or `created` for those that somebody made.
    #[arg(id = "which-rooms", long = "rooms", env = "ROOMS", default_value = "open")]
    pub rooms: RoomPolicy,
    /// About how many entries a room log keeps.
    #[arg(long, env = "LOG_ENTRIES", default_value_t = 100_000, value_parser = at_least_one)]
    pub log_entries: usize,
    /// About how many bytes a room log keeps; fewer when memory is short.
    #[arg(long, env = "LOG_BYTES", default_value_t = 4 << 20, value_parser = at_least_one)]
    pub log_bytes: usize,
    /// About how many entries a partition's feed keeps.
    #[arg(long, env = "FEED_ENTRIES", default_value_t = 8_192, value_parser = at_least_one)]
    pub feed_entries: usize,
    /// About how many bytes a partition's feed keeps; fewer when memory is short.
    #[arg(long, env = "FEED_BYTES", default_value_t = 4 << 20, value_parser = at_least_one)]
    pub feed_bytes: usize,
    /// Most senders of a room whose last numbers are remembered; half of these places are not for senders without a connection.
    #[arg(long, env = "LOG_SENDERS", default_value_t = 4_096, value_parser = at_least_one)]
    pub senders: usize,
    /// How long a sender's last number is remembered, s: a tenth of it whatever comes, the rest unless others need the place.
    #[arg(long = "numbers-seconds", env = "NUMBERS_SECONDS", default_value = "600", value_parser = some_seconds)]
    pub numbers_kept: Duration,
    /// A room that is silent for this long is emptied, s, and after as long again forgotten.
    #[arg(long = "room-expiry-seconds", env = "ROOM_EXPIRY_SECONDS", default_value = "604800", value_parser = some_seconds)]
    pub room_expiry: Duration,
    /// The same of a room that an operator's probes talk in, whose name begins with `rollcall-probe-`, s.
    #[arg(long = "probe-expiry-seconds", env = "PROBE_EXPIRY_SECONDS", default_value = "60", value_parser = some_seconds)]
    pub probe_expiry: Duration,
    /// Rooms that have no log yet are refused from this much of the memory on, in percent of it.
    #[arg(long, env = "NEW_ROOMS_BELOW_PERCENT", default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub new_rooms_below_percent: u8,
    /// Bytes of all room logs together where they are in memory. Redis has a limit of its own, `maxmemory`.
    #[arg(long, env = "LOGS_BYTES", default_value_t = 256 << 20, value_parser = at_least_one)]
    pub logs_bytes: usize,
}

fn millis(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

/// What timers run on: not zero, and not so short that they do nothing else.
fn some_millis(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms @ 40..) => Ok(Duration::from_millis(ms)),
        _ => Err("at least 40 ms".to_owned()),
    }
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("at least 1 s".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn every_setting_explains_itself_and_has_an_environment_variable() {
        let command = <Config as clap::CommandFactory>::command();
        command.clone().debug_assert();
        for argument in
            command.get_arguments().filter(|a| !["help", "version"].contains(&a.get_id().as_str()))
        {
            assert!(argument.get_help().is_some(), "{} has no help", argument.get_id());
            assert!(argument.get_env().is_some(), "{} has no variable", argument.get_id());
        }
    }

    #[test]
    fn only_the_feature_can_make_it_wrong() {
        let help = <Config as clap::CommandFactory>::command().render_long_help().to_string();
        assert_eq!(help.contains("ROLLCALL_MUTANT"), cfg!(feature = "mutants"));
    }

    /// Found by chaos as the anomaly `presence`: a client that vanished without a FIN was listed for
    /// 45 s. It is given up at the first look after 2.5 heartbeats; then its lease, renewed until then, runs out,
    /// looked at every quarter.
    #[test]
    fn presence_of_who_vanished_ends_within_30_s() {
        let config = <Config as clap::Parser>::parse_from(["rollcall-server"]);
        let given_up = config.heartbeat.mul_f64(2.5) + config.look_every();
        let listed = given_up + config.lease.mul_f64(1.25);
        assert!(listed < std::time::Duration::from_secs(30), "{listed:?}");
    }

    /// Found by chaos as `past-limit` under `replica-frozen`: its members were told gone after 9 to 15 s, and came back after
    /// 7.5 to 14.
    #[test]
    fn clients_of_a_frozen_replica_are_back_before_its_lease_runs_out() {
        let config = <Config as clap::Parser>::parse_from(["rollcall-server"]);
        let back = config.heartbeat.mul_f64(2.5) + std::time::Duration::from_secs(2);
        let believed = crate::presence::pulse::incarnation_lease(config.lease) - config.lease / 4;
        assert!(back < believed, "{back:?} {believed:?}");
        let listed = crate::presence::pulse::incarnation_lease(config.lease) + config.lease / 4;
        assert!(listed < std::time::Duration::from_secs(30), "{listed:?}");
    }
}
