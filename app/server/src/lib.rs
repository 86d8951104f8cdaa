//! Rollcall's chat server: one replica, as a function.

pub mod app;
pub mod config;
pub mod error;
pub mod http;
pub mod lifecycle;
pub mod log;
pub mod metrics;
pub mod mutants;
pub mod presence;
pub mod rates;
pub mod room;
pub mod session;
pub mod socket;

use std::{future::Future, net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    app::App,
    config::Config,
    lifecycle::{Lifecycle, Phase},
    log::{Link, Log, MemoryLog, RedisLog},
    metrics::Metrics,
    presence::{MemoryPresence, Presence, RedisPresence},
    room::Rooms,
};

/// How often the log is asked whether it is there.
const LOG_CHECK: Duration = Duration::from_millis(500);
/// Time for what is still being written when everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
        let bind = async |port: u16, setting: &str| {
            let address = SocketAddr::new(config.host, port);
            TcpListener::bind(address).await.with_context(|| {
                format!(
                    "cannot listen on {address}: free that port, or choose another by {setting}"
                )
            })
        };
        Ok(Self {
            public: bind(config.port, "PORT").await?,
            admin: bind(config.admin_port, "ADMIN_PORT").await?,
        })
    }
}

/// Runs a replica until `shutdown` resolves and the drain that follows is done.
///
/// # Errors
/// If `REDIS_URL` is no address, or a listener fails.
pub async fn run(
    config: Config,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (metrics, tasks, stop) = (Metrics::new(), TaskTracker::new(), CancellationToken::new());
    let (log, presence) = open_log(&config, &metrics)?;
    let rooms = Rooms::new(config.limits.rooms, log, presence, metrics.clone(), tasks.clone());
    let (spread, deadline) = (config.drain_spread, config.drain_deadline);
    let app = App::new(config, rooms, metrics, tasks.clone());
    spawn_keepers(&app, &stop);

    let public = listeners.public.tap_io(|tcp| {
        // Frames are small and must not wait for each other. A socket that refuses is about to fail.
        let _ = tcp.set_nodelay(true);
    });
    let router = http::public(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(public, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let admin = axum::serve(listeners.admin, http::admin(app.clone()))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let stopping = async {
        shutdown.await;
        drain_and_stop(&app.lifecycle, spread, deadline).await;
        stop.cancel();
        app.rooms.close();
        tasks.close();
        if tokio::time::timeout(LAST_WORDS, tasks.wait()).await.is_err() {
            warn!("some connections did not end in time");
        }
    };
    // A keep-alive connection that is idle must not hold up the end: the listeners end with `stopping`.
    tokio::select! {
        () = stopping => Ok(()),
        served = async { tokio::try_join!(serve, admin) } => {
            served.context("a listener failed")?;
            tasks.wait().await;
            Ok(())
        }
    }
}

fn open_log(config: &Config, metrics: &Metrics) -> anyhow::Result<(Log, Presence)> {
    let limits = &config.limits;
    let Some(url) = &config.redis_url else {
        info!("no REDIS_URL: the log is in memory, for this replica alone");
        let log = MemoryLog::new(limits.log_entries, limits.feed_entries);
        let presence = MemoryPresence::new(config.lease, log.feed());
        return Ok((Log::Memory(log), Presence::Memory(presence)));
    };
    let link = Link::new(url, config.redis_timeout, limits.feed_entries, metrics.clone())
        .context("REDIS_URL is not an address such as redis://127.0.0.1:6379")?;
    let presence = RedisPresence::new(link.clone(), config.lease);
    Ok((Log::Redis(RedisLog::new(link, limits.log_entries)), Presence::Redis(presence)))
}

/// What goes on beside the connections, until `stop`.
fn spawn_keepers(app: &App, stop: &CancellationToken) {
    let (feeds, keeper, checker) = (app.clone(), app.clone(), app.clone());
    let lease = app.config.lease;
    let (a, b, c) = (stop.clone(), stop.clone(), stop.clone());
    app.tasks.spawn(async move { a.run_until_cancelled(feeds.rooms.follow_feeds()).await });
    app.tasks.spawn(async move { b.run_until_cancelled(keeper.rooms.keep(lease)).await });
    app.tasks.spawn(async move { c.run_until_cancelled(watch_log(&checker)).await });
}

/// Keeps readiness true to whether the log answers.
async fn watch_log(app: &App) {
    let mut was_up = None;
    let mut ticks = tokio::time::interval(LOG_CHECK);
    loop {
        ticks.tick().await;
        let up = app.rooms.log().is_up().await;
        app.lifecycle.log_is_up(up);
        match (was_up, up) {
            (Some(true), true) | (Some(false), false) => {}
            (_, true) => info!("the log answers"),
            (_, false) => {
                warn!(
                    "the log does not answer: not ready until it does. Is Redis running at REDIS_URL?"
                );
            }
        }
        was_up = Some(up);
        app.rates.forget_quiet();
    }
}

async fn drain_and_stop(lifecycle: &Lifecycle, spread: Duration, deadline: Duration) {
    lifecycle.last_drain(spread, deadline);
    let end = match *lifecycle.phase().borrow() {
        Phase::Draining(drain) => drain.deadline,
        _ => tokio::time::Instant::now(),
    };
    match tokio::time::timeout_at(end + LAST_WORDS, lifecycle.no_connections()).await {
        Ok(()) => info!("drained"),
        Err(_) => warn!(left = lifecycle.status().connections, "drain deadline passed"),
    }
    lifecycle.stop();
}
