//! `rollcall-drill`: see `--help`.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use clap::Parser;
use rollcall_chaos::{
    cluster::{Place, Stack, certificates::Certificates, machines::Machines},
    command::{exit_code, forget, on_stack, write},
    drills::{Crowd, DRILLS, Drill, MACHINE_ROWS, Outcome, ROWS, Row, Scene, Table},
};

/// Instead of drills: the table of what changes while everybody talks.
const TIERS: &str = "tiers";
/// The same of a stack whose replicas are on three machines.
const MACHINES: &str = "machines";

/// Provokes failures of a deploy on a stack of its own, under an audience, and checks what is left.
#[derive(Debug, Parser)]
struct Arguments {
    /// The drills, or `all`; that one leaves out `release-before`, whose image `scripts/build --before` makes. Or `tiers`:
    /// the table of what changes while everybody talks, over TLS and with a browser, a row per change. Or `machines`: the
    /// same rows of a stack on three machines, which `scripts/hosts` makes.
    #[arg(required_unless_present_any = ["list", "quick"])]
    names: Vec<String>,
    /// Name every drill, and what it must end in, and end.
    #[arg(long)]
    list: bool,
    /// Those that a test run has time for, with few repetitions.
    #[arg(long)]
    quick: bool,
    /// Of `tiers` and `machines`: clients that talk.
    #[arg(long, default_value_t = 300)]
    clients: usize,
    /// Of `tiers` and `machines`: only this row; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = row_named)]
    row: Vec<&'static Row>,
    /// Of `tiers` and `machines`: HAProxy is killed in the middle of each row, and each has to break for it.
    #[arg(long)]
    spoiled: bool,
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
        for (table, rows) in [(TIERS, ROWS), (MACHINES, MACHINE_ROWS)] {
            for Row { name, change, .. } in rows {
                println!("{:<27}{change}", format!("{table} --row {name}"));
            }
        }
        return ExitCode::SUCCESS;
    }
    until_interrupted(&arguments).await.unwrap_or_else(|error| {
        eprintln!("rollcall-drill: {error:#}");
        ExitCode::FAILURE
    })
}

fn row_named(name: &str) -> Result<&'static Row, String> {
    let found = ROWS.iter().chain(MACHINE_ROWS).find(|row| row.name == name);
    found.ok_or_else(|| "no such row; --list names them".to_owned())
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
    let place = Place {
        project: arguments.project.clone(),
        port: arguments.port,
        network: arguments.network.clone(),
    };
    let stack = Stack::at(place)?;
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut scene = Scene::new(stack, &arguments.reports, seed, arguments.quick)?;
    if [[TIERS], [MACHINES]].iter().any(|table| arguments.names == table) {
        let certificates = Certificates::make(&arguments.reports.join("tiers-tls")).await?;
        scene.stack.set.extend(certificates.settings());
        let (clients, certificates) = (arguments.clients, Some(certificates));
        // A connection that is used all the time is the one that an address which moves could leave behind.
        let connects_anew = arguments.names == [TIERS];
        scene.crowd = Crowd { clients, has_page: true, connects_anew, certificates };
    }
    if arguments.names == [TIERS] {
        return tabulate(arguments, scene, ROWS).await;
    }
    if arguments.names == [MACHINES] {
        let machines = Machines::up(&std::env::current_dir()?).await?;
        scene.stack.set.extend(machines.pair());
        scene.stack.machines = Some(machines.clone());
        let ended = tabulate(arguments, scene, MACHINE_ROWS).await;
        return if arguments.keep { ended } else { machines.down().await.and(ended) };
    }
    let drills = chosen(arguments)?;
    let report = arguments.reports.join("drills.json");
    forget(&report)?;
    on_stack(&scene.stack, arguments.keep, hold(&drills, &scene, &report)).await
}

/// Makes one of the tables, or the rows of it that were asked for.
async fn tabulate(
    arguments: &Arguments,
    mut scene: Scene,
    all: &'static [Row],
) -> anyhow::Result<ExitCode> {
    scene.spoiled = arguments.spoiled;
    let report = arguments.reports.join(format!("{}.json", arguments.names[0]));
    forget(&report)?;
    let all: Vec<_> = all.iter().collect();
    let rows = if arguments.row.is_empty() { &all } else { &arguments.row };
    on_stack(&scene.stack, arguments.keep, fill(rows, &scene, &report)).await
}

/// Makes the table, row by row. Where HAProxy is killed in the middle of each, no row may hold.
async fn fill(rows: &[&Row], scene: &Scene, report: &Path) -> anyhow::Result<ExitCode> {
    let clients = scene.crowd.clients;
    println!("seed {}: {} rows, each under {clients} clients\n", scene.seed, rows.len());
    scene.stack.down().await?;
    let mut table = Table::new(clients);
    let mut all_noticed = true;
    for row in rows {
        print!("{:<27}", row.name);
        std::io::stdout().flush()?;
        let outcome = row.measure(scene).await;
        tell(&outcome);
        all_noticed &= outcome.felt.abrupt > 0 && !outcome.passed;
        // What a broken row has left is no beginning for the next.
        if !outcome.passed {
            scene.stack.down().await?;
        }
        table.add(row, outcome);
        write(report, &table)?;
    }
    println!("\n{table}\n{}", report.display());
    Ok(exit_code(if scene.spoiled { all_noticed } else { table.ok }))
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
    let Outcome { seconds, felt, .. } = outcome;
    let (mark, colour) = if outcome.passed { ("✓", "32") } else { ("✗", "31") };
    let mark = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{colour}m{mark}\x1b[0m")
    } else {
        mark.to_owned()
    };
    println!(
        "{mark} {seconds:6.1} s  failed requests {} of {}  lost {} of {}",
        felt.requests_failed, felt.requests, felt.messages_lost, felt.messages
    );
    if !outcome.line.is_empty() {
        println!("    {}", outcome.line);
    }
    for failure in &outcome.failures {
        println!("    ✗ {}", failure.replace('\n', "\n      "));
    }
}
