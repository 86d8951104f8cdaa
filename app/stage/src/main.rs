//! What a speaker shows: the replicas, everybody who is there, and the log that proves itself. A process of its own beside
//! the stack, which only listens.

mod assets;
mod event;
mod http;
mod recording;
mod replay;
mod told;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{http::Show, replay::Replay};

/// The stage: what the hall sees of a Rollcall stack, at http://127.0.0.1:PORT/stage
#[derive(Debug, Parser)]
#[command(name = "rollcall-stage", version)]
struct Arguments {
    /// Where the page is, on this machine only.
    #[arg(long, env = "ROLLCALL_STAGE_PORT", default_value_t = 8070)]
    port: u16,
    /// Show a recording; no stack is needed.
    #[arg(long, value_name = "FILE")]
    replay: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rollcall-stage: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let show = Show::Replay(Replay::open(&arguments.replay)?);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}: try another --port"))?;
    println!("The stage is at http://{}/stage", listener.local_addr()?);
    let (mut interrupted, mut ended) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        served = axum::serve(listener, http::router(show)) => served?,
        _ = interrupted.recv() => {}
        _ = ended.recv() => {}
    }
    Ok(())
}
