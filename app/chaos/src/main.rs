//! `rollcall-chaos`: see `--help`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use clap::Parser;
use rollcall_chaos::{
    checker,
    cluster::{Place, RELEASES, Stack, image},
    command::{exit_code, forget, on_stack, write},
    limits,
    mutants::{self, MUTANTS, Mutant, Outcome},
    nemesis::{FAULTS, Fault, Step, UNAVAILABLE, least, plan},
    run::{Settings, run},
};
/// Breaks a stack on purpose while clients talk through it, and checks that nothing was lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long; a run in which a single step takes longer than planned ends later.
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    minutes: f64,
    /// The same seed makes the same plan of faults and the same cast. Random if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this fault, again and again; may be given several times, for pairs of them too.
    #[arg(long, value_name = "NAME", value_parser = named)]
    fault: Vec<Fault>,
    /// Seconds from one fault to the next; at least 1.
    #[arg(long, default_value_t = 10.0, value_parser = interval)]
    every: f64,
    /// Name every fault, and those that this machine cannot produce, and end.
    #[arg(long)]
    list: bool,
    /// Check a recorded history again, and end.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Run servers that are wrong on purpose, and prove that each is caught.
    #[arg(long)]
    mutants: bool,
    /// Only this mutant, without the run in which nothing is wrong; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = mutant_named)]
    mutant: Vec<&'static Mutant>,
    /// Where reports and histories go.
    #[arg(long, value_name = "DIRECTORY", default_value = "reports")]
    reports: PathBuf,
    /// Start the stack with limits of single digits, so that the run comes to each of them.
    #[arg(long)]
    small: bool,
    /// Without the one client who sits at the page: where there is no Chromium.
    #[arg(long)]
    no_page: bool,
    /// Another variable of the playbooks, such as `rollcall_server_image`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    set: Vec<(String, String)>,
    /// Leave the stack up at the end.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    place: Place,
}

fn named(name: &str) -> Result<Fault, String> {
    Fault::named(name).ok_or_else(|| "no such fault; --list names them".to_owned())
}

/// A plan of shorter intervals would be as long as memory lasts.
fn interval(text: &str) -> Result<f64, String> {
    between(text, 1.0, 3_600.0)
}

/// A week at most.
fn minutes(text: &str) -> Result<f64, String> {
    between(text, 0.0, 10_080.0)
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("a number from {least} to {most}"))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "NAME=VALUE".to_owned())
}

fn mutant_named(name: &str) -> Result<&'static Mutant, String> {
    let known = || MUTANTS.iter().map(|mutant| mutant.name).collect::<Vec<_>>().join(", ");
    MUTANTS.iter().find(|mutant| mutant.name == name).ok_or_else(|| format!("one of {}", known()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter("error").with_writer(std::io::stderr).init();
    let done = match &arguments.check {
        _ if arguments.list => list(),
        Some(history) => judge(history, None),
        None => until_interrupted(&arguments).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("rollcall-chaos: {error:#}");
        ExitCode::FAILURE
    })
}

fn list() -> anyhow::Result<ExitCode> {
    for about in FAULTS {
        println!("{:<22}{}", about.name, about.summary);
    }
    for (name, why) in UNAVAILABLE {
        println!("{name:<22}unavailable: {why}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the verdict on a history, and writes it to `report`.
fn judge(history: &Path, report: Option<&Path>) -> anyhow::Result<ExitCode> {
    let verdict = checker::check_file(history)?;
    print!("{verdict}");
    if let Some(path) = report {
        write(path, &verdict)?;
    }
    Ok(exit_code(verdict.ok))
}

/// Works on a stack of its own, and takes it down whatever happens.
async fn until_interrupted(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stack = stack(arguments)?;
    fs::create_dir_all(&arguments.reports)?;
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let work = async {
        if arguments.mutants || !arguments.mutant.is_empty() {
            return catch_mutants(arguments, &stack, seed).await;
        }
        chaos(arguments, &stack, seed).await
    };
    on_stack(&stack, arguments.keep, work).await
}

fn stack(arguments: &Arguments) -> anyhow::Result<Stack> {
    let mut stack = Stack::at(arguments.place.clone())?;
    stack.redis_image = Some(image("redis:faults"));
    stack.env = limits::usual();
    if arguments.small {
        stack.env.extend(limits::small());
    }
    if arguments.fault.contains(&Fault::RedisFills) {
        let (redis, replicas) = limits::easily_filled();
        stack.set.extend(redis);
        stack.env.extend(replicas);
    }
    stack.set.extend(arguments.set.iter().cloned());
    Ok(stack)
}

async fn chaos(arguments: &Arguments, stack: &Stack, seed: u64) -> anyhow::Result<ExitCode> {
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let every = Duration::from_secs_f64(arguments.every);
    let all: Vec<Fault> = FAULTS.iter().map(|about| about.fault).collect();
    let faults = if arguments.fault.is_empty() { &all } else { &arguments.fault };
    let (history, report) =
        (arguments.reports.join("chaos.jsonl"), arguments.reports.join("chaos.json"));
    forget(&report)?;
    let plan = plan(seed, length, every, faults);
    if plan.is_empty() {
        let needed = (least(every, faults).as_secs_f64() / 6.0).ceil() / 10.0;
        bail!("{} minutes are over before the first fault is; take {needed}", arguments.minutes);
    }
    let untouched = untouched(&plan);
    println!("seed {seed}: {} steps in {} minutes", plan.len(), arguments.minutes);
    stack.down().await?;
    stack.up(RELEASES[0]).await?;
    let convergence = Duration::from_secs(30);
    let (small, has_page, mutant) = (arguments.small, !arguments.no_page, None);
    let settings = Settings { seed, plan, length, convergence, mutant, small, has_page };
    run(stack, &settings, &history).await?;
    let judged = judge(&history, Some(&report))?;
    if arguments.fault.is_empty() {
        println!("  {untouched}\n");
    }
    Ok(judged)
}

/// Which faults a plan leaves out, in a line: what did not happen has not been survived.
fn untouched(plan: &[Step]) -> String {
    let hit = |fault| plan.iter().flat_map(|step| &step.strikes).any(|it| it.fault == fault);
    let left: Vec<&str> =
        FAULTS.iter().filter(|about| !hit(about.fault)).map(|about| about.name).collect();
    match left[..] {
        [] => format!("All {} faults were hit.", FAULTS.len()),
        _ => format!("Not hit: {} of {} faults: {}.", left.len(), FAULTS.len(), left.join(", ")),
    }
}

async fn catch_mutants(
    arguments: &Arguments,
    stack: &Stack,
    seed: u64,
) -> anyhow::Result<ExitCode> {
    let reports = &arguments.reports;
    let report = reports.join("mutants.json");
    forget(&report)?;
    let all: Vec<&Mutant> = MUTANTS.iter().collect();
    let chosen = if arguments.mutant.is_empty() { &all } else { &arguments.mutant };
    let mut outcomes = Vec::new();
    println!("seed {seed}: {} mutants", chosen.len());
    if arguments.mutants {
        println!("\nnone: first without any");
        outcomes.push(tell(mutants::control(stack, seed, reports).await));
    }
    for mutant in chosen {
        println!("\n{}", mutant.name);
        outcomes.push(tell(mutants::run(stack, mutant, seed, reports).await));
    }
    let wrong: Vec<&str> =
        outcomes.iter().filter(|outcome| !outcome.ok).map(|outcome| outcome.mutant).collect();
    println!("\n{} of {} as they should be", outcomes.len() - wrong.len(), outcomes.len());
    if !wrong.is_empty() {
        println!(
            "survived, not run to the end, or found where nothing was wrong: {}",
            wrong.join(", ")
        );
    }
    write(&report, &outcomes)?;
    Ok(exit_code(wrong.is_empty()))
}

fn tell(outcome: Outcome) -> Outcome {
    let found: Vec<&str> = outcome.found.iter().map(|anomaly| anomaly.name()).collect();
    let verdict = match (outcome.mutant, outcome.ok) {
        _ if outcome.error.is_some() => "NOTHING PROVEN",
        ("none", true) => "nothing found, as it should be",
        ("none", false) => "FOUND WHERE NOTHING WAS WRONG",
        (_, true) => "caught",
        (_, false) => "SURVIVED",
    };
    println!("  {}: {verdict} {}", outcome.mutant, found.join(", "));
    if let Some(error) = &outcome.error {
        println!("  {}", error.replace('\n', "\n  "));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Arguments, Fault};

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn small_limits_a_variable_and_a_run_without_a_page_can_be_asked_for() {
        let usual = Arguments::parse_from(["chaos"]);
        assert!(!usual.small && !usual.no_page && usual.set.is_empty());
        let words = ["chaos", "--small", "--no-page", "--set", "rollcall_server_image=other=1"];
        let asked = Arguments::parse_from(words);
        assert!(asked.small && asked.no_page);
        assert_eq!(asked.set, [("rollcall_server_image".to_owned(), "other=1".to_owned())]);
        assert!(Arguments::try_parse_from(["chaos", "--set", "no value"]).is_err());
    }

    #[test]
    fn every_fault_can_be_asked_for_by_its_name() {
        for about in super::FAULTS {
            let asked = Arguments::parse_from(["chaos", "--fault", about.name]);
            assert_eq!(asked.fault, [about.fault]);
        }
        assert!(Fault::named("no-such-fault").is_none());
    }
}
