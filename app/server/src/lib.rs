//! Rollcall's chat server: one replica, as a function.

pub mod accounts;
pub mod app;
pub mod budget;
pub mod config;
pub mod delivery;
pub mod descriptors;
pub mod directory;
pub mod error;
pub mod health;
pub mod http;
pub mod lifecycle;
pub mod log;
pub mod logging;
pub mod memberships;
pub mod metrics;
pub mod moderation;
pub mod mutants;
pub mod people;
pub mod presence;
pub mod rates;
pub mod register;
pub mod room;
pub mod session;
pub mod supervise;
pub mod wire;

use std::{future::Future, net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    accounts::{Accounts, MemoryAccounts, RedisAccounts},
    app::App,
    budget::Budget,
    config::Config,
    delivery::{Parts, Rooms},
    directory::Directory,
    health::Health,
    lifecycle::{Lifecycle, Phase, Standing},
    log::{Link, Log, MemoryLog, RedisLog},
    memberships::{Memberships, MemoryMemberships, RedisMemberships},
    metrics::Metrics,
    people::People,
    presence::{MemoryPresence, Presence, RedisPresence, Store},
    register::Register,
    supervise::Supervisor,
};

/// How often the log is asked whether it is there.
const LOG_CHECK: Duration = Duration::from_millis(500);
/// How often this replica looks whether it delivers.
const HEALTH_CHECK: Duration = Duration::from_millis(100);
/// A look that comes so late tells of this process, which got no time, and not of the log.
const STOOD_STILL: Duration = Duration::from_millis(500);
/// Not to deliver yet is nothing to tell in so short a time after the start.
const STARTING: Duration = Duration::from_secs(1);
/// Time for what is still being written when everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a stream of connections may take to tell how it ended.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// Connections that wait to be accepted. With a queue that is full the kernel drops what comes, and one connect that fails
/// marks a healthy replica down: so it holds whoever comes when another replica dies. (The kernel has a limit of its own,
/// `net.core.somaxconn`.)
const BACKLOG: u32 = 4096;

/// Where a replica listens.
pub struct Listeners {
    /// For clients.
    pub public: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    /// If an address is taken: the message says which setting to change.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |port: u16, setting: &str| {
            let address = SocketAddr::new(config.host, port);
            listen(address).with_context(|| {
                format!(
                    "cannot listen on {address}: free that port, or choose another by {setting}"
                )
            })
        };
        Ok(Self {
            public: bind(config.port, "PORT")?,
            admin: bind(config.admin_port, "ADMIN_PORT")?,
        })
    }
}

/// As [`TcpListener::bind`], with a longer queue.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A slot is started anew on the port that its predecessor had a moment ago.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Runs a replica until `shutdown` resolves and the drain that follows is done.
///
/// # Errors
/// If `REDIS_URL` is no address, or a listener or a task that has to live fails.
pub async fn run(
    mut config: Config,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let metrics = Metrics::new();
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let health = Health::new();
    let (supervisor, mut deaths) = Supervisor::new(tasks.clone(), stop.clone());
    let sockets = descriptors::for_clients(&mut config.limits);
    let stores = Stores::open(&config, &metrics)?;
    let rings = Budget::new(config.limits.rings_bytes);
    let directory = Directory::new(config.limits.listed_rooms);
    let rooms = Rooms::new(
        &config.limits,
        Parts {
            directory,
            people: People::default(),
            log: stores.log,
            presence: stores.presence,
            rings: rings.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
            supervisor: supervisor.clone(),
        },
    );
    let (spread, deadline) = (config.drain_spread, config.drain_deadline);
    let key = config.accounts.key().map_err(anyhow::Error::msg)?;
    let Stores { accounts, memberships, .. } = stores;
    let mut app = App::new(config, rooms, accounts, memberships, health, metrics, tasks.clone());
    app.key = key;
    watch(&app, rings);
    spawn_keepers(&app, &supervisor);

    let serve = http::serve(listeners.public, http::public(app.clone()), sockets, stop.clone());
    let admin = axum::serve(listeners.admin, http::admin(app.clone()))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let stopping = async {
        asked_to_stop(&app.lifecycle, shutdown).await;
        drain_and_stop(&app.lifecycle, spread, deadline).await;
        stop.cancel();
        app.rooms.close().await;
        say_last_words(&app.register, &tasks).await;
    };
    // A keep-alive connection that is idle must not hold up the end: the listeners end with `stopping`.
    tokio::select! {
        () = stopping => Ok(()),
        task = deaths.first() => bail!("{task} died, and without it this replica does not deliver"),
        ((), served) = async { tokio::join!(serve, admin) } => {
            served.context("a listener failed")?;
            tasks.wait().await;
            Ok(())
        }
    }
}

/// Connections say goodbye, and then those who watch them are told so. One that does not read is not waited for.
async fn say_last_words(register: &Register, tasks: &TaskTracker) {
    tasks.close();
    if tokio::time::timeout(LAST_WORDS, tasks.wait()).await.is_err() {
        warn!("some connections did not end in time");
    }
    let _told = tokio::time::timeout(LAST_LOOK, register.unwatched()).await;
}

/// What outlives a replica, or with logs in memory ends with it.
struct Stores {
    log: Log,
    presence: Presence,
    accounts: Accounts,
    memberships: Memberships,
}

impl Stores {
    fn open(config: &Config, metrics: &Metrics) -> anyhow::Result<Self> {
        let limits = &config.limits;
        let presence = |store| Presence::new(store, &config.replica, config.lease);
        let accounts = |store| Accounts::new(store, config.accounts.session());
        if config.redis.url.is_none() {
            info!("no REDIS_URL: the log is in memory, for this replica alone");
            let log = MemoryLog::new(limits.log.clone());
            let store = Store::Memory(MemoryPresence::new(config.lease, log.feed()));
            let memberships = Memberships::Memory(MemoryMemberships::default());
            let accounts = accounts(accounts::Store::Memory(MemoryAccounts::default()));
            let (log, presence) = (Log::Memory(log), presence(store));
            return Ok(Self { log, presence, accounts, memberships });
        }
        let link = Link::new(&config.redis, limits.log.feed_entries, metrics.clone()).context(
            "REDIS_URL, or a file beside it, is not what it should be, such as redis://127.0.0.1:6379",
        )?;
        let store = Store::Redis(RedisPresence::new(link.clone(), config.lease));
        let new_below = limits.log.new_rooms_below();
        let memberships = Memberships::Redis(RedisMemberships::new(link.clone(), new_below));
        let kept = RedisAccounts::new(link.clone(), new_below);
        let accounts = accounts(accounts::Store::Redis(kept));
        let log = Log::Redis(RedisLog::new(link, limits.log.clone()));
        Ok(Self { log, presence: presence(store), accounts, memberships })
    }
}

/// What a scrape reads off the parts as they stand then.
fn watch(app: &App, rings: Budget) {
    let metrics = &app.metrics;
    metrics.name_build(&app.config.release);
    let outlets = app.outlets.clone();
    let log = app.rooms.log().clone();
    metrics.watch_budget("rings", move || rings.used_ratio());
    metrics.watch_budget("outlets", move || outlets.used_ratio());
    metrics.watch_budget("redis", move || log.usage().ratio());
    let rooms = app.rooms.clone();
    metrics.watch("rollcall_rooms", "Rooms that are open here.", move || rooms.count() as f64);
    let health = app.health.clone();
    metrics.watch(
        "rollcall_feeds_read_seconds",
        "Time since the feeds were last read; infinite if never.",
        move || health.look().feeds_read_ago.map_or(f64::INFINITY, |ago| ago.as_secs_f64()),
    );
    let standing = |name, help, is: fn(&Standing) -> bool| {
        let standing = app.lifecycle.standing();
        metrics.watch(name, help, move || f64::from(u8::from(is(&standing.borrow()))));
    };
    standing("rollcall_delivering", "1 if the log answers and the feeds are read.", |it| {
        it.delivers
    });
    standing("rollcall_isolated", "1 if clients are sent away for want of delivery.", |it| {
        it.isolated
    });
    standing("rollcall_draining", "1 while a drain is under way.", |it| {
        matches!(it.phase, Phase::Draining(_))
    });
}

/// What goes on beside the connections, until the replica stops.
fn spawn_keepers(app: &App, supervisor: &Supervisor) {
    let rooms = || app.rooms.clone();
    supervisor.keep("following the feeds", {
        let rooms = rooms();
        async move { rooms.follow_feeds().await }
    });
    supervisor.keep("comparing suspect rooms", {
        let rooms = rooms();
        async move { rooms.repair_suspects().await }
    });
    supervisor.keep("keeping presence", {
        let rooms = rooms();
        async move { rooms.presence().keep().await }
    });
    supervisor.keep("comparing rooms", {
        let rooms = rooms();
        async move { rooms.keep_comparing().await }
    });
    supervisor.keep("keeping the logs within their bounds", {
        let log = app.rooms.log().clone();
        async move { log.keep().await }
    });
    supervisor.keep("listing the rooms", {
        let rooms = rooms();
        async move { rooms.directory().keep(rooms.log()).await }
    });
    supervisor.keep("looking up the people who are here", {
        let app = app.clone();
        async move { app.people().keep(&app.accounts).await }
    });
    supervisor.keep("asking the log", {
        let app = app.clone();
        async move { ask_log(&app).await }
    });
    supervisor.keep("watching the health", {
        let app = app.clone();
        async move { watch_health(&app).await }
    });
}

/// Asks the log again and again whether it is there.
async fn ask_log(app: &App) {
    let mut ticks = tokio::time::interval(LOG_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if app.rooms.log().is_up().await {
            app.health.log_answered();
        }
        app.rates.forget_quiet();
    }
}

/// Keeps readiness true to whether this replica delivers.
async fn watch_health(app: &App) {
    let mut delivered = None;
    let mut ticks = tokio::time::interval(HEALTH_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = Instant::now();
    loop {
        ticks.tick().await;
        let ago = std::mem::replace(&mut looked, Instant::now()).elapsed();
        if ago > STOOD_STILL {
            app.health.stood_still(ago);
        }
        let diagnosis = app.health.look();
        let isolated = diagnosis.silent_for >= app.config.isolated_after;
        app.lifecycle.delivers(diagnosis.delivers, isolated);
        if delivered.is_none() && !diagnosis.delivers && diagnosis.silent_for < STARTING {
            continue;
        }
        match (delivered.replace(diagnosis.delivers), diagnosis.delivers) {
            (Some(true), true) | (Some(false), false) => {}
            (_, true) => info!("the log answers and the feeds are read"),
            (_, false) => warn!(
                ?diagnosis,
                "not ready: the log does not answer, or the feeds are not read. Is Redis running at REDIS_URL?"
            ),
        }
    }
}

/// Until a signal, or an operator, wants this replica to stop.
async fn asked_to_stop(lifecycle: &Lifecycle, shutdown: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown => {}
        () = lifecycle.asked_to_stop() => info!("an operator asked this replica to stop"),
    }
}

async fn drain_and_stop(lifecycle: &Lifecycle, spread: Duration, deadline: Duration) {
    lifecycle.last_drain(spread, deadline);
    let end = match lifecycle.standing().borrow().phase {
        Phase::Draining(drain) => drain.deadline,
        _ => Instant::now(),
    };
    match tokio::time::timeout_at(end + LAST_WORDS, lifecycle.no_connections()).await {
        Ok(()) => info!("drained"),
        Err(_) => warn!(left = lifecycle.status().connections, "drain deadline passed"),
    }
    lifecycle.stop();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_watches_and_does_not_read_is_not_waited_for() {
        let register = Register::default();
        let watching = register.watch().expect("a place");
        let began = Instant::now();
        say_last_words(&register, &TaskTracker::new()).await;
        let waited = began.elapsed();
        assert!((LAST_LOOK..2 * LAST_LOOK).contains(&waited), "{waited:?}");
        drop(watching);
        say_last_words(&register, &TaskTracker::new()).await;
        assert_eq!(began.elapsed(), waited, "there is nobody to wait for");
    }
}
