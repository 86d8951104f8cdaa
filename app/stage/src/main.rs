//! What a speaker shows: the replicas, everybody who is there, and the log that proves itself. A process of its own beside
//! the stack, which only listens.

mod acts;
mod assets;
mod chain;
mod event;
mod hall;
mod http;
mod hub;
mod key;
mod options;
mod picture;
mod recording;
mod replay;
mod sources;
mod told;
mod undo;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing_subscriber::EnvFilter;

use crate::{
    acts::Acts,
    event::{Stage, VERSION, What},
    http::Show,
    hub::Hub,
    key::Key,
    options::{Options, Stack},
    recording::Recorder,
    replay::Replay,
    sources::{connections, journal, proxy, verdict, witness},
};

/// What the sources tell may wait for its turn.
const WAITING: usize = 1_024;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rollcall-stage: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {address}: try another --port"))?;
    let (show, sources) = match &options.replay {
        Some(path) => (Show::Replay(Replay::open(path)?), None),
        None => {
            let (hub, acts, sources) = open(&options.stack)?;
            (Show::Live(hub.clone(), acts), Some((hub, sources)))
        }
    };
    let address = listener.local_addr()?;
    let told = || std::env::var(key::VARIABLE).ok();
    let key = show.needs_key().then(|| Key::new(address.port(), told())).transpose()?;
    let query = key.as_ref().map_or(String::new(), |key| format!("?{}", key.query()));
    println!("The stage is at http://{address}/stage{query}");
    let told = async move {
        match sources {
            Some((hub, sources)) => hub.run(sources).await,
            None => std::future::pending().await,
        }
    };
    let (mut interrupted, mut ended) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        served = axum::serve(listener, http::router(show, key)) => served?,
        () = told => {}
        _ = interrupted.recv() => {}
        _ = ended.recv() => {}
    }
    Ok(())
}

/// A stage on which a stack is shown, what can be done to it, and what its sources tell.
fn open(stack: &Stack) -> anyhow::Result<(Hub, Acts, mpsc::Receiver<What>)> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let acts = Acts::read(stack.acts.as_deref(), sender.clone())?;
    let replicas = stack.replicas()?;
    let (tls, recorder) = (stack.tls()?, stack.record.as_deref());
    let recorder = recorder.map(Recorder::create).transpose()?;
    let mut rooms = stack.room.clone();
    if stack.join.is_some() {
        rooms.retain(|room| room != hall::ROOM);
        rooms.push(hall::ROOM.to_owned());
    }
    let stage = Stage { v: VERSION, room: rooms[0].clone(), join: stack.join.clone() };
    let hub = Hub::new(stage, stack.wifi.clone(), recorder);
    tokio::spawn(connections::watch(replicas, sender.clone()));
    if let Some(path) = stack.journal() {
        tokio::spawn(journal::follow(path, sender.clone()));
    }
    if let Some(socket) = stack.haproxy() {
        tokio::spawn(proxy::follow(socket, sender.clone()));
    }
    if let Some(path) = stack.verdict.clone() {
        tokio::spawn(verdict::follow(path, sender.clone()));
    }
    let place = witness::Place { url: stack.url.clone(), tls, rooms };
    tokio::spawn(witness::listen(place, sender));
    Ok((hub, acts, receiver))
}
