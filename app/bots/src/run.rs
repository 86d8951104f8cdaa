//! One run: gather, measure, let the command work, settle, judge.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::Context;
use rollcall_client::new_key;
use rollcall_protocol::EntryId;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    RunOptions, audience,
    cast::Cast,
    command::Running,
    participant::Recording,
    probe::{Probe, Probed},
    report::{Evidence, Report, Rolls},
    roll_call::{self, Paint},
    room_log::RoomLogs,
    stage::Stage,
    verdict::{self, Heard, Said},
};

/// How a run ended.
pub enum Outcome {
    Judged { ok: bool },
    Interrupted,
}

/// What remains of the command.
struct Rolled {
    exit: i32,
    from_ms: u64,
    to_ms: u64,
}

/// Runs it all. `interrupt` may come at any time and leaves nothing running.
pub async fn run(options: &RunOptions, interrupt: &CancellationToken) -> anyhow::Result<Outcome> {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let cast = options.stage.cast()?;
    let rooms = all_rooms(&cast);
    let redis = RoomLogs::open(&options.redis, rooms.clone()).await?;
    let probe = Probe::new(&options.stage.url, audience::ROOMS[0], new_key())?;
    let probe_member = probe.member();
    let mut stage = Stage::new(&options.stage.url, seed);
    let before = async {
        let gathering = gather(&mut stage, options, &cast, &rooms);
        let gathered = timeout(options.max_wait(), gathering).await;
        gathered.ok().with_context(|| too_late(&stage, options))??;
        eprintln!("{} clients are live; seed {seed}", options.clients);
        stage.start_probe(probe);
        sleep(Duration::from_secs_f64(options.baseline_seconds)).await;
        anyhow::Ok(())
    };
    match interrupt.run_until_cancelled(before).await {
        None => return Ok(Outcome::Interrupted),
        Some(gathered) => gathered?,
    }
    let Some(rolled) = roll(&stage, options, interrupt).await? else {
        return Ok(Outcome::Interrupted);
    };
    let after = judge(stage, options, redis, rolled, seed, &probe_member);
    let Some(report) = interrupt.run_until_cancelled(after).await else {
        return Ok(Outcome::Interrupted);
    };
    let report = report?;
    report.write(&options.report)?;
    print!("{}", roll_call::render(&report, paint()));
    Ok(Outcome::Judged { ok: report.ok })
}

fn all_rooms(cast: &Cast) -> Vec<String> {
    let cast = cast.rooms.iter().map(|scene| scene.name.clone());
    cast.chain(audience::ROOMS.map(str::to_owned)).collect()
}

fn too_late(stage: &Stage, options: &RunOptions) -> String {
    let (limit, url) = (options.max_wait_seconds, &options.stage.url);
    let why = stage.obstacle().unwrap_or_else(|| "is the stack up?".to_owned());
    format!("not everybody was live after {limit} s at {url}: {why}")
}

async fn gather(
    stage: &mut Stage,
    options: &RunOptions,
    cast: &Cast,
    rooms: &[String],
) -> anyhow::Result<()> {
    let size = options.clients.saturating_sub(cast.characters().len());
    stage.gather_audience(size, rooms, options.rate).await?;
    stage.gather_cast(cast).await?;
    Ok(())
}

/// Runs the command; none if it was interrupted.
async fn roll(
    stage: &Stage,
    options: &RunOptions,
    interrupt: &CancellationToken,
) -> anyhow::Result<Option<Rolled>> {
    let now_ms = || stage.clock.unix_micros(Instant::now()) / 1000;
    stage.begin_roll();
    let from_ms = now_ms();
    let mut running = Running::start(&options.command)?;
    let Some(status) = interrupt.run_until_cancelled(running.wait()).await else {
        running.stop().await;
        return Ok(None);
    };
    Ok(Some(Rolled { exit: exit_code(status?), from_ms, to_ms: now_ms() }))
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

async fn judge(
    mut stage: Stage,
    options: &RunOptions,
    mut redis: RoomLogs,
    rolled: Rolled,
    seed: u64,
    probe_member: &str,
) -> anyhow::Result<Report> {
    let limit = Duration::from_secs_f64(options.settle_seconds);
    let (said, settled, probed) = stage.quieten(limit).await?;
    let heads = redis.heads().await?;
    stage.settle(heads.clone(), limit).await;
    let recordings = stage.dismiss().await;
    let logs = redis.read().await?;
    let heard = heard(&recordings, &heads);
    let spoken = spoken(&recordings, &probed, probe_member, said.saturating_sub(settled));
    let verdict = verdict::judge(&logs, &heard, &spoken);
    let rolls = match &options.rolls_file {
        Some(path) if rolled.exit == 0 => Some(Rolls::read(path)?),
        _ => None,
    };
    let roll_ms = (rolled.from_ms, rolled.to_ms);
    let (promise, exit) = (options.promise, rolled.exit);
    let evidence = Evidence {
        promise,
        seed,
        verdict,
        recordings,
        probed,
        rolls,
        said,
        settled,
        roll_ms,
        exit,
    };
    Ok(Report::new(evidence))
}

fn heard(recordings: &[Recording], heads: &BTreeMap<String, EntryId>) -> Vec<Heard> {
    let rooms =
        recordings.iter().flat_map(|client| client.rooms.iter().map(move |it| (client, it)));
    rooms
        .map(|(client, (room, record))| Heard {
            who: client.name.clone(),
            room: room.clone(),
            from: record.from,
            until: heads.get(room).copied().unwrap_or(record.from),
            received: record.deliveries.iter().map(|delivery| delivery.id).collect(),
        })
        .collect()
}

/// What each member said, by room. What is unsettled is not known by member, so each may have
/// that much more in the log than was acknowledged.
fn spoken(
    recordings: &[Recording],
    probed: &Probed,
    probe_member: &str,
    unsettled: u64,
) -> Vec<Said> {
    let mut spoken: BTreeMap<(&str, &str), Said> = BTreeMap::new();
    for client in recordings {
        for room in client.rooms.keys() {
            let said = spoken.entry((&client.member, room)).or_default();
            said.unknown = unsettled;
        }
        for (room, n, id) in &client.acked {
            spoken.entry((&client.member, room)).or_default().acked.push((*n, *id));
        }
    }
    let probe = spoken.entry((probe_member, audience::ROOMS[0])).or_default();
    (probe.acked, probe.unknown) = (probed.acked.clone(), probed.unknown);
    let named = spoken.into_iter().map(|((member, room), said)| Said {
        member: member.to_owned(),
        room: room.to_owned(),
        ..said
    });
    named.collect()
}

/// Colours for people who look at a terminal and do not mind.
fn paint() -> Paint {
    let minds = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stdout().is_terminal() && !minds { Paint::Colours } else { Paint::Plain }
}
