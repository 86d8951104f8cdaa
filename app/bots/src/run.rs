//! One run: gather, measure, let the command work, settle, read the logs, and have the history judged.

use std::{
    collections::BTreeMap, fs, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus,
    time::Duration,
};

use anyhow::Context;
use rollcall_checker::{
    check_file,
    history::{Phase, Recorder, What},
};
use rollcall_client::Tls;
use rollcall_protocol::EntryId;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    RunOptions,
    asker::Asker,
    audience,
    cast::Cast,
    command::Running,
    containers,
    live::{self, Screen, say},
    probe::Probe,
    report::Report,
    roll_call::{self, Paint},
    rolls,
    room_log::RoomLogs,
    stage::Stage,
    voice::Script,
};

/// How long everybody talks on after the command: what it left behind has to serve.
const AFTER: Duration = Duration::from_secs(3);

/// How a run ended.
pub enum Outcome {
    Judged { ok: bool },
    Interrupted,
}

/// Runs it all. `interrupt` may come at any time and leaves nothing running.
pub async fn run(options: &RunOptions, interrupt: &CancellationToken) -> anyhow::Result<Outcome> {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let cast = options.stage.cast()?;
    let rooms = all_rooms(&cast);
    let mut redis = RoomLogs::open(&options.redis, rooms.clone()).await?;
    let since = redis.heads().await?;
    let history = options.history();
    let recorder = recorder(options, &history)?;
    recorder.record(What::Run { seed, mutant: None });
    // And the probe.
    let clients = options.clients.max(cast.characters().len()) as u64 + 1 + u64::from(options.page);
    recorder.record(What::Cast { clients, probe: true, strangers: true });
    let script = Script::new(recorder.clone());
    let tls = options.stage.place.tls()?;
    let probe = probe(options, tls.as_ref(), script.clone())?;
    let board = script.board.clone();
    board.expect(options.clients);
    let screen = Screen::open(board.clone());
    let mut stage = Stage::new(&options.stage.place.url, tls, seed, script);
    if let Some(path) = &options.stage.place.journal {
        stage.follow(path.clone());
    }
    let before = async {
        board.title("Everybody comes in");
        let gathering = gather(&mut stage, options, &cast, &rooms, &since);
        let gathered = timeout(options.max_wait(), gathering).await;
        gathered.ok().with_context(|| too_late(&stage, options))??;
        say(&format!("{} clients are live; seed {seed}", options.clients));
        say(&where_to_look(&options.stage.place.url, &cast));
        board.title("Everybody talks");
        recorder.record(What::PhaseBegan { phase: Phase::Quiet, rolls: 0, turns: false });
        stage.start_probe(probe);
        sleep(Duration::from_secs_f64(options.baseline_seconds)).await;
        anyhow::Ok(())
    };
    match interrupt.run_until_cancelled(before).await {
        None => return Ok(Outcome::Interrupted),
        Some(gathered) => gathered?,
    }
    board.title("It begins, while everybody talks");
    if !carry_out(&recorder, options, interrupt).await? {
        return Ok(Outcome::Interrupted);
    }
    board.title("Everybody falls silent, and gets what is missing");
    let after = settle(stage, options, &mut redis, &recorder, &since);
    let Some(settled) = interrupt.run_until_cancelled(after).await else {
        return Ok(Outcome::Interrupted);
    };
    settled?;
    board.title("The roll is called");
    let report = judge(options, &history).await?;
    drop(screen);
    print_roll_call(options, &report).await;
    Ok(Outcome::Judged { ok: report.ok })
}

fn recorder(options: &RunOptions, history: &Path) -> anyhow::Result<Recorder> {
    for file in [history, &options.report] {
        if let Some(folder) = file.parent() {
            let context = || format!("cannot make {}", folder.display());
            fs::create_dir_all(folder).with_context(context)?;
        }
    }
    Recorder::create(history)
}

fn all_rooms(cast: &Cast) -> Vec<String> {
    let cast = cast.rooms.iter().map(|scene| scene.name.clone());
    cast.chain(audience::ROOMS.map(str::to_owned)).collect()
}

/// Where the cast talks is where there is something to see.
pub fn where_to_look(url: &str, cast: &Cast) -> String {
    format!("the cast talks at {}/#{}", url.trim_end_matches('/'), cast.rooms[0].name)
}

fn probe(options: &RunOptions, tls: Option<&Tls>, script: Script) -> anyhow::Result<Probe> {
    let url = &options.stage.place.url;
    let asker = match options.new_connections || tls.is_some() {
        true => Asker::anew(url, tls)?,
        false => Asker::kept()?,
    };
    Probe::new(asker, url, audience::ROOMS[0], script)
}

fn too_late(stage: &Stage, options: &RunOptions) -> String {
    let (limit, url) = (options.max_wait_seconds, &options.stage.place.url);
    let why = stage.obstacle().unwrap_or_else(|| "is the stack up?".to_owned());
    format!("not everybody was live after {limit} s at {url}: {why}")
}

async fn gather(
    stage: &mut Stage,
    options: &RunOptions,
    cast: &Cast,
    rooms: &[String],
    since: &BTreeMap<String, EntryId>,
) -> anyhow::Result<()> {
    if options.page {
        // The page enters those of the cast by itself, and is asked to speak where they are heard most.
        let since = |room: &String| since.get(room).copied().unwrap_or(EntryId::ZERO);
        let of_page = cast.rooms.iter().map(|scene| (scene.name.clone(), since(&scene.name)));
        stage.gather_at_page(&rooms[0], of_page.collect(), &options.page_key).await?;
    }
    let size = options.clients.saturating_sub(cast.characters().len());
    stage.gather_audience(size, rooms, options.rate, options.guests.as_deref()).await?;
    stage.gather_cast(cast, options.stage.place.accounts()?.as_ref()).await?;
    Ok(())
}

/// Runs the command, and lets everybody talk on for a while; false if it was interrupted.
async fn carry_out(
    recorder: &Recorder,
    options: &RunOptions,
    interrupt: &CancellationToken,
) -> anyhow::Result<bool> {
    let (phase, rolls) = (options.promise.into(), options.rolls);
    let turns = options.rolls_file.is_some();
    recorder.record(What::PhaseBegan { phase, rolls, turns });
    let mut running = Running::start(&options.command)?;
    let Some(status) = interrupt.run_until_cancelled(running.wait()).await else {
        running.stop().await;
        return Ok(false);
    };
    recorder.record(What::PhaseEnded { exit: exit_code(status?) });
    if let Some(path) = &options.rolls_file
        && let Err(error) = rolls::record(path, recorder)
    {
        say(&format!("{error:#}"));
    }
    Ok(interrupt.run_until_cancelled(sleep(AFTER)).await.is_some())
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Lets everybody come to rest and go, and completes the history.
async fn settle(
    mut stage: Stage,
    options: &RunOptions,
    redis: &mut RoomLogs,
    recorder: &Recorder,
    since: &BTreeMap<String, EntryId>,
) -> anyhow::Result<()> {
    let limit = Duration::from_secs_f64(options.settle_seconds);
    stage.quieten(limit).await?;
    recorder.record(What::Healed);
    stage.settle(redis.heads().await?, limit).await;
    stage.dismiss().await;
    redis.record(recorder, since).await?;
    recorder.finish()
}

async fn judge(options: &RunOptions, history: &Path) -> anyhow::Result<Report> {
    let path = history.to_owned();
    let checked = spawn_blocking(move || check_file(&path)).await??;
    let report = Report::new(&checked, history.to_owned());
    let report = report.context("the history has no phase")?;
    report.write(&options.report)?;
    Ok(report)
}

async fn print_roll_call(options: &RunOptions, report: &Report) {
    let containers = containers::of(&options.project, &report.suspected()).await;
    let paint = if live::is_for_colours() { Paint::Colours } else { Paint::Plain };
    print!("{}", roll_call::render(report, &containers, paint));
}
