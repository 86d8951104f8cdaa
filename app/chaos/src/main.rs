//! `rollcall-chaos`: see `--help`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use rollcall_chaos::{
    cluster::{Place, Stack},
    nemesis::{FAULTS, Fault, UNAVAILABLE, plan},
    run::{Settings, run},
};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Breaks a stack on purpose while clients talk through it, and checks that nothing was lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The same seed makes the same plan of faults and the same cast. Random if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this fault; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = named)]
    fault: Vec<Fault>,
    /// Seconds from one fault to the next.
    #[arg(long, default_value_t = 10.0)]
    every: f64,
    /// Name every fault, and those that this machine cannot produce, and end.
    #[arg(long)]
    list: bool,
    /// Where the history goes.
    #[arg(long, value_name = "FILE", default_value = "reports/chaos.jsonl")]
    history: PathBuf,
    /// Leave the stack up at the end.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    place: Place,
}

fn named(name: &str) -> Result<Fault, String> {
    Fault::named(name).ok_or_else(|| "no such fault; --list names them".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        list();
        return ExitCode::SUCCESS;
    }
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    match until_interrupted(&arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for about in FAULTS {
        println!("{:<22}{}", about.name, about.summary);
    }
    for (name, why) in UNAVAILABLE {
        println!("{name:<22}unavailable: {why}");
    }
}

async fn until_interrupted(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stack = stack(arguments)?;
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let done = tokio::select! {
        done = work(arguments, &stack) => done,
        _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
    };
    if !arguments.keep {
        stack.down().await?;
    }
    done
}

fn stack(arguments: &Arguments) -> anyhow::Result<Stack> {
    let mut stack = Stack::at(arguments.place.clone())?;
    // Feeds so short that a replica cut off for seconds falls behind their first entry.
    stack.env.insert("FEED_ENTRIES".to_owned(), "100".to_owned());
    Ok(stack)
}

async fn work(arguments: &Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let every = Duration::from_secs_f64(arguments.every);
    let all: Vec<Fault> = FAULTS.iter().map(|about| about.fault).collect();
    let faults = if arguments.fault.is_empty() { &all } else { &arguments.fault };
    let settings = Settings {
        seed,
        plan: plan(seed, length, every, faults),
        length,
        convergence: Duration::from_secs(30),
        mutant: None,
    };
    println!("seed {seed} · {} steps", settings.plan.len());
    if let Some(directory) = arguments.history.parent() {
        std::fs::create_dir_all(directory).context("cannot make the directory of the history")?;
    }
    stack.down().await?;
    stack.up("1.0.0").await?;
    run(stack, &settings, &arguments.history).await?;
    Ok(ExitCode::SUCCESS)
}
