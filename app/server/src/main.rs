//! `rollcall-server`: wires the process to the replica that the library runs.

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use rollcall_server::{
    Listeners,
    config::{Config, LogFormat},
    mutants::{self, Mutant},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    start_logging(&config);
    #[cfg(feature = "mutants")]
    if let Some(mutant) = config.mutant {
        mutants::choose(mutant, config.mutant_dose);
    }
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config).await?;
    let (terminate, interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    info!(
        replica = config.replica,
        release = config.release,
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
        std::process::exit(1);
    });
}

fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter);
    let json = match config.log_format {
        LogFormat::Auto => !std::io::stdout().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    if json { logs.json().flatten_event(true).init() } else { logs.with_target(false).init() }
}
