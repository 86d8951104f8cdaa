//! `rollcall-drill`: see `--help`.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use clap::Parser;
use rollcall_chaos::{
    cluster::{Place, Stack},
    command::{exit_code, forget, on_stack, write},
    drills::{DRILLS, Drill, Outcome, Scene},
};

/// Provokes failures of a deploy on a stack of its own, under an audience, and checks what is left.
#[derive(Debug, Parser)]
struct Arguments {
    /// The drills, or `all`; that one leaves out `release-before`, whose image `scripts/build --before` makes.
    #[arg(required_unless_present_any = ["list", "quick"])]
    names: Vec<String>,
    /// Name every drill, and what it must end in, and end.
    #[arg(long)]
    list: bool,
    /// Those that a test run has time for, with few repetitions.
    #[arg(long)]
    quick: bool,
    /// The same seed makes the same random moments. Random if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Where reports go.
    #[arg(long, value_name = "DIRECTORY", default_value = "reports")]
    reports: PathBuf,
    /// Leave the stack up at the end.
    #[arg(long)]
    keep: bool,
    /// Name of the stack.
    #[arg(long, default_value = "rollcall-drill")]
    project: String,
    /// Its port on 127.0.0.1.
    #[arg(long, default_value_t = 18110)]
    port: u16,
    /// First three numbers of its network.
    #[arg(long, default_value = "172.30.94")]
    network: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for drill in DRILLS {
            println!("{:<27}{}", drill.name, drill.summary);
        }
        return ExitCode::SUCCESS;
    }
    until_interrupted(&arguments).await.unwrap_or_else(|error| {
        eprintln!("rollcall-drill: {error:#}");
        ExitCode::FAILURE
    })
}

fn chosen(arguments: &Arguments) -> anyhow::Result<Vec<&'static Drill>> {
    let names = &arguments.names;
    if let Some(unknown) =
        names.iter().find(|name| *name != "all" && DRILLS.iter().all(|drill| drill.name != **name))
    {
        bail!("no drill is called {unknown}; --list names them");
    }
    let all = names.iter().any(|name| name == "all");
    let quick = arguments.quick && names.is_empty();
    let wanted = |drill: &&Drill| {
        (all && drill.usual)
            || (quick && drill.quick)
            || names.iter().any(|name| name == drill.name)
    };
    Ok(DRILLS.iter().filter(wanted).collect())
}

/// Works on a stack of its own, and takes it down whatever happens.
async fn until_interrupted(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let drills = chosen(arguments)?;
    let place = Place {
        project: arguments.project.clone(),
        port: arguments.port,
        network: arguments.network.clone(),
    };
    let stack = Stack::at(place)?;
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let scene = Scene::new(stack, &arguments.reports, seed, arguments.quick)?;
    let report = arguments.reports.join("drills.json");
    forget(&report)?;
    on_stack(&scene.stack, arguments.keep, hold(&drills, &scene, &report)).await
}

async fn hold(drills: &[&Drill], scene: &Scene, report: &Path) -> anyhow::Result<ExitCode> {
    println!("seed {}: {} drills, each under 60 clients\n", scene.seed, drills.len());
    scene.stack.down().await?;
    let mut outcomes = Vec::new();
    for drill in drills {
        print!("{:<27}", drill.name);
        std::io::stdout().flush()?;
        let outcome = drill.conduct(scene).await.unwrap_or_else(|error| drill.not_held(&error));
        tell(&outcome);
        outcomes.push(outcome);
    }
    write(report, &outcomes)?;
    let passed = outcomes.iter().filter(|outcome| outcome.passed).count();
    println!("\n{passed} of {} drills passed · {}", outcomes.len(), report.display());
    Ok(exit_code(passed == outcomes.len()))
}

fn tell(outcome: &Outcome) {
    let Outcome { seconds, requests_failed, requests, messages_lost, messages, .. } = outcome;
    let (mark, colour) = if outcome.passed { ("✓", "32") } else { ("✗", "31") };
    let mark = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{colour}m{mark}\x1b[0m")
    } else {
        mark.to_owned()
    };
    println!(
        "{mark} {seconds:6.1} s  failed requests {requests_failed} of {requests}  lost {messages_lost} of {messages}"
    );
    if !outcome.line.is_empty() {
        println!("    {}", outcome.line);
    }
    for failure in &outcome.failures {
        println!("    ✗ {}", failure.replace('\n', "\n      "));
    }
}
