//! `rollcall-server`: wires the process to the replica that the library runs.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rollcall_server::{
    Listeners,
    config::{Config, LogFormat},
    logging,
    mutants::{self, Mutant},
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};
use tracing::{error, info, warn};

/// Without a setting, no more threads than this, however many cores there are: each costs memory, and a container
/// has a limit of processes. One replica does not use as many.
const MAX_WORKERS: usize = 16;
/// Threads for what blocks: looking up the name of Redis.
const BLOCKING_THREADS: usize = 4;

fn main() -> ExitCode {
    let config = Config::parse();
    let json = match config.log_format {
        LogFormat::Auto => None,
        LogFormat::Json => Some(true),
        LogFormat::Text => Some(false),
    };
    logging::start(&config.log_level, json);
    #[cfg(feature = "mutants")]
    if let Some(mutant) = config.mutant {
        mutants::choose(mutant, config.mutant_dose);
    }
    let ran = runtime(&config).and_then(|runtime| runtime.block_on(run(config)));
    if let Err(error) = &ran {
        error!("{error:#}");
    }
    logging::finish();
    if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn runtime(config: &Config) -> anyhow::Result<Runtime> {
    let workers = match config.worker_threads {
        Some(workers) => usize::from(workers),
        None => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS),
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build();
    runtime.context("cannot start threads: is the limit of processes below WORKER_THREADS?")
}

async fn run(config: Config) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config).await?;
    let (terminate, interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    info!(
        replica = config.replica,
        release = config.release,
        workers = tokio::runtime::Handle::current().metrics().num_workers(),
        "chat at http://{}, admin at http://{}",
        listeners.public.local_addr()?,
        listeners.admin.local_addr()?,
    );
    rollcall_server::run(config, listeners, first_signal(terminate, interrupt)).await
}

/// The first signal starts a drain, the second ends the process at once.
async fn first_signal(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv(), if !mutants::active(Mutant::IgnoresSigterm) => {}
        _ = interrupt.recv() => {}
    }
    info!("asked to stop: draining first; a second signal stops at once");
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        warn!("stopped at once");
        logging::finish();
        std::process::exit(1);
    });
}
