//! The cast, the audience, and the roll call that proves that nobody lost a message.

mod accounts;
mod acts;
mod asker;
mod at_page;
mod audience;
mod cast;
mod command;
mod containers;
mod live;
mod participant;
mod phase;
mod probe;
mod promises;
mod report;
mod roll_call;
mod rolls;
mod room_log;
mod run;
mod scene;
mod stage;
mod voice;

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rollcall_checker::history::{Phase, Recorder};
use rollcall_client::Tls;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{accounts::Accounts, cast::Cast, run::Outcome, stage::Stage, voice::Script};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Bots that talk through a Rollcall stack, and judge what it did with their words.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Let cast and audience talk while COMMAND works on the stack, then call the roll.
    Run(Box<RunOptions>),
    /// Let the cast talk until Ctrl-C.
    Talk(StageOptions),
    /// Add a cast of one's own to a stack that runs: it talks until Ctrl-C.
    Cast(CastOptions),
}

#[derive(Debug, Args)]
struct CastOptions {
    /// The cast: a TOML file.
    file: PathBuf,
    #[command(flatten)]
    place: PlaceOptions,
}

/// Where the bots talk.
#[derive(Debug, Args)]
struct PlaceOptions {
    /// The service.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Authorities to believe where the service is `https://`, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The stack's API key: with it the cast has accounts, and its names are its own. Without it they are guests.
    #[arg(long, value_name = "FILE", env = "ROLLCALL_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
    /// The stack's journal, `deploys.jsonl` in its directory: with it one sees what a deploy does, and the cast answers.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// Where the bots talk, and what.
#[derive(Debug, Args)]
struct StageOptions {
    #[command(flatten)]
    place: PlaceOptions,
    /// Another cast than the built-in heist crew: a TOML file.
    #[arg(long, value_name = "FILE")]
    cast: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunOptions {
    #[command(flatten)]
    stage: StageOptions,
    /// The Redis that holds the room logs.
    #[arg(long)]
    redis: String,
    /// Cast and audience together.
    #[arg(long, default_value_t = 300)]
    clients: usize,
    /// Where the figures go.
    #[arg(long, value_name = "FILE", default_value = "reports/roll.json")]
    report: PathBuf,
    /// Where the history goes, of which the verdict is made; beside the figures if absent. Packed if it ends in `.gz`.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Where COMMAND writes which replica had a turn, and how long it took. Then each replica must have one.
    #[arg(long, value_name = "FILE")]
    rolls_file: Option<PathBuf>,
    /// What COMMAND does, and so what must not be noticed of it.
    #[arg(long, value_enum, default_value = "roll")]
    promise: Promise,
    /// Rolls within COMMAND: nobody may move more often.
    #[arg(long, default_value_t = 1)]
    rolls: u32,
    /// The stack's name, for the containers to look at.
    #[arg(long, default_value = "rollcall")]
    project: String,
    /// How long to measure before COMMAND starts.
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0)]
    baseline_seconds: f64,
    /// How long everybody may take to have everything after COMMAND.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    settle_seconds: f64,
    /// How long everybody may take to be live before COMMAND.
    #[arg(long = "max-wait", value_name = "SECONDS", default_value_t = 60.0)]
    max_wait_seconds: f64,
    /// One more client, who sits at the page in a real browser.
    #[arg(long)]
    page: bool,
    /// Whose certificates that browser believes, whoever signed them: SHA-256 of a public key in base64. May be repeated.
    #[arg(long, value_name = "HASH")]
    page_key: Vec<String>,
    /// A new connection for each request of the probe, as always with --ca.
    #[arg(long)]
    new_connections: bool,
    /// What the whole audience says per second.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Who in the audience says what: the same seed, the same remarks. Random if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the audience's public IDs are added, one a line, before it says anything: names can be anybody's.
    #[arg(long, value_name = "FILE")]
    guests: Option<PathBuf>,
    /// What to do to the stack, with its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What COMMAND does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Promise {
    /// Nothing, or nothing that anybody may notice.
    Quiet,
    /// A rolling update: nobody notices.
    Roll,
    /// One to a release that is known to be slow: how long messages take is not judged.
    SlowRoll,
    /// A planned change of the store: nobody moves, and sends wait for two seconds at most.
    Store,
    /// A replica is killed: nothing is lost and everybody is back at once.
    Kill,
    /// Something that all need is away for a while: nothing is lost and everybody is back after it.
    Outage,
    /// A show: any of these, in any order, and rooms that are frozen. Nothing is lost, and everybody is back after it.
    Show,
}

impl From<Promise> for Phase {
    fn from(promise: Promise) -> Self {
        match promise {
            Promise::Quiet => Self::Quiet,
            Promise::Roll => Self::Roll,
            Promise::SlowRoll => Self::SlowRoll,
            Promise::Store => Self::Store,
            Promise::Kill => Self::Kill,
            Promise::Outage => Self::Outage,
            Promise::Show => Self::Show,
        }
    }
}

impl StageOptions {
    fn cast(&self) -> anyhow::Result<Cast> {
        self.cast.as_deref().map_or_else(Cast::built_in, cast_of)
    }
}

fn cast_of(file: &Path) -> anyhow::Result<Cast> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Cast::parse(&text).with_context(|| file.display().to_string())
}

impl PlaceOptions {
    fn accounts(&self) -> anyhow::Result<Option<Accounts>> {
        let Some(file) = &self.api_key_file else { return Ok(None) };
        Accounts::new(&self.url, self.tls()?.as_ref(), file).map(Some)
    }

    fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let Some(path) = &self.ca else { return Ok(None) };
        let context = || format!("cannot read {}", path.display());
        let pem = std::fs::read(path).with_context(context)?;
        Tls::trusting(&pem).map(Some).with_context(context)
    }
}

impl RunOptions {
    fn history(&self) -> PathBuf {
        self.history.clone().unwrap_or_else(|| self.report.with_extension("jsonl.gz"))
    }

    fn max_wait(&self) -> Duration {
        Duration::from_secs_f64(self.max_wait_seconds)
    }
}

/// What a person is told who interrupts a run, and one who has heard enough of a cast.
const STOPPING: &str = "interrupted: stopping what was started";
const SILENT: &str = "the cast is silent; the stack runs on";

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(live::told).init();
    let interrupt = CancellationToken::new();
    let outcome = match Arguments::parse().verb {
        Verb::Run(options) => {
            until_interrupted(run::run(&options, &interrupt), &interrupt, STOPPING).await
        }
        Verb::Talk(StageOptions { place, cast }) => {
            let talk = talk(&place, cast.as_deref(), &interrupt);
            until_interrupted(talk, &interrupt, SILENT).await
        }
        Verb::Cast(CastOptions { place, file }) => {
            until_interrupted(talk(&place, Some(&file), &interrupt), &interrupt, SILENT).await
        }
    };
    match outcome {
        Ok(Outcome::Judged { ok: true }) => ExitCode::SUCCESS,
        Ok(Outcome::Judged { ok: false }) => ExitCode::FAILURE,
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("rollcall-bots: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Drives `work`; a signal asks it to stop, which is told in `words`, a second one drops it.
async fn until_interrupted(
    work: impl Future<Output = anyhow::Result<Outcome>>,
    interrupt: &CancellationToken,
    words: &str,
) -> anyhow::Result<Outcome> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut ctrl_c = signal(SignalKind::interrupt())?;
    tokio::pin!(work);
    tokio::select! {
        outcome = &mut work => return outcome,
        () = any(&mut terminate, &mut ctrl_c) => {}
    }
    live::say(&format!("\n{words}"));
    interrupt.cancel();
    tokio::select! {
        outcome = &mut work => outcome,
        () = any(&mut terminate, &mut ctrl_c) => Ok(Outcome::Interrupted),
    }
}

async fn any(terminate: &mut Signal, ctrl_c: &mut Signal) {
    tokio::select! {
        _signal = terminate.recv() => {}
        _signal = ctrl_c.recv() => {}
    }
}

/// Plays a cast, the built-in one if no file has another, until it is interrupted.
async fn talk(
    place: &PlaceOptions,
    file: Option<&Path>,
    interrupt: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let cast = file.map_or_else(Cast::built_in, cast_of)?;
    // Nobody judges it.
    let script = Script::new(Recorder::create(Path::new("/dev/null"))?);
    let accounts = place.accounts()?;
    let mut stage = Stage::new(&place.url, place.tls()?, 0, script);
    if let Some(path) = &place.journal {
        stage.follow(path.clone());
    }
    let gathering = stage.gather_cast(&cast, accounts.as_ref());
    let gathered = interrupt.run_until_cancelled(gathering).await;
    if let Some(gathered) = gathered {
        gathered?;
        eprintln!("{}", run::where_to_look(&place.url, &cast));
        interrupt.cancelled().await;
    }
    stage.dismiss().await;
    Ok(Outcome::Interrupted)
}
