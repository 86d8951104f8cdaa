//! One run: stack, workload, faults, healing, the truth at the end. What it leaves is a history.

use std::{
    path::Path,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use rollcall_client::{Client, Config, Event};
use tokio::time::sleep;

use crate::{
    cluster::{Stack, redis},
    history::{Loss, Recorder, What},
    limits,
    nemesis::{Part, Step, heal, strike, until_well},
    readings::{record_logs, record_resources},
    workload::{self, ROOMS, Workload},
};

/// How long everybody may take to have everything once all is healed.
const SETTLE: Duration = Duration::from_secs(30);

/// Columns for the names of two faults, with their replicas and seconds.
const WIDTH: usize = 52;
/// Seconds until all replicas served again; clients connected; operations; deliveries, one a client;
/// and of the time since the fault began the p99 (ms) and the longest silence (s).
const HEADINGS: &str = "ready s    live      ok  fail  info  delivered  p99 ms  silence s  gaps";

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of workload and plan.
    pub seed: u64,
    /// The faults, and when.
    pub plan: Vec<Step>,
    /// How long the workload lasts at least.
    pub length: Duration,
    /// How long after healing presence is looked at.
    pub convergence: Duration,
    /// What the server does wrong, if it is told to.
    pub mutant: Option<String>,
    /// The stack has the limits of [`limits::small`].
    pub small: bool,
    /// Somebody sits at the page, in a browser.
    pub has_page: bool,
}

/// Runs it on a stack that is up, and writes the history to `path`.
///
/// # Errors
///
/// If a fault could not be carried out or healed, or the history not be written: then the run
/// proves nothing.
pub async fn run(stack: &Stack, settings: &Settings, path: &Path) -> anyhow::Result<()> {
    let recorder = Recorder::create(path)?;
    let (seed, mutant) = (settings.seed, settings.mutant.clone());
    recorder.record(What::Run { seed, mutant });
    // Some come late, and a run may be over before.
    let clients = workload::at_once(seed, settings.has_page);
    recorder.record(What::Cast { clients, probe: false, strangers: false });
    if settings.small {
        recorder.record(What::Listed { members: limits::LISTED });
        // Logs of a few messages lose their oldest entries from the first minute to the last.
        recorder.record(What::Destroying { loss: Loss::Trimmed });
    }
    let workload = Workload::start(&stack.url(), recorder.clone(), seed, settings.has_page);
    sleep(Duration::from_secs(4)).await;
    record_resources(stack, &recorder, "before").await?;
    carry_out(stack, &workload, settings).await?;
    println!("        healing");
    heal(stack).await?;
    workload.quieten();
    recorder.record(What::Healed);
    let healed = Instant::now();
    settle(stack, &workload).await?;
    sleep(settings.convergence.saturating_sub(healed.elapsed())).await;
    observe(stack, &recorder).await?;
    record_resources(stack, &recorder, "after").await?;
    record_logs(stack, &recorder).await?;
    workload.dismiss().await;
    recorder.finish()
}

async fn carry_out(stack: &Stack, workload: &Workload, settings: &Settings) -> anyhow::Result<()> {
    let elapsed = || workload.shared().recorder.elapsed();
    println!("   at  {:<WIDTH$}{HEADINGS}", "fault");
    let mut peace = Duration::ZERO;
    for step in &settings.plan {
        // A step that took longer than planned still leaves a moment of peace.
        sleep(step.at.saturating_sub(elapsed()).max(peace)).await;
        peace = step.peace();
        let what: Vec<String> = step.strikes.iter().map(describe).collect();
        print!("{}  {:<WIDTH$}", clock(elapsed()), what.join(" + "));
        flush();
        workload.shared().live.look();
        let strikes = step.strikes.iter().map(|it| strike(stack, workload, step.number, it));
        for done in futures_util::future::join_all(strikes).await {
            done.inspect_err(|_| println!())?;
        }
        let undone = Instant::now();
        until_well(stack, SETTLE).await.inspect_err(|_| println!())?;
        println!("{}", figures(workload, undone.elapsed()));
        record_resources(stack, &workload.shared().recorder, "during").await?;
    }
    sleep(settings.length.saturating_sub(elapsed())).await;
    Ok(())
}

fn describe(strike: &crate::nemesis::Strike) -> String {
    let about = strike.fault.about();
    match about.part {
        Part::Replica => format!("{} {} {} s", about.name, strike.replica, strike.hold.as_secs()),
        _ => about.name.to_owned(),
    }
}

fn clock(at: Duration) -> String {
    format!("{:02}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

fn flush() {
    use std::io::Write;
    // A terminal that is gone shows nothing either way.
    let _ = std::io::stdout().flush();
}

/// In the columns of [`HEADINGS`]. The p99 and the silence are those since the fault began, the others
/// since the run did.
fn figures(workload: &Workload, recovery: Duration) -> String {
    let live = &workload.shared().live;
    let window = live.look();
    format!(
        "{:>7.1} {:>7} {:>7} {:>5} {:>5} {:>10} {:>7.0} {:>10.1} {:>5}",
        recovery.as_secs_f64(),
        format!("{}/{}", live.serving.load(Relaxed), live.clients.load(Relaxed)),
        live.ok.load(Relaxed),
        live.fail.load(Relaxed),
        live.info.load(Relaxed),
        live.deliveries.load(Relaxed),
        window.p99_ms,
        window.silence.as_secs_f64(),
        live.gaps.load(Relaxed),
    )
}

/// Waits until all clients have everything, or ought to have it. The checker names those that do not.
async fn settle(stack: &Stack, workload: &Workload) -> anyhow::Result<()> {
    let until = Instant::now() + SETTLE;
    let mut connection = redis::connect(stack).await?;
    loop {
        // Again each time: what is retried may still be appended.
        let heads = redis::heads(&mut connection).await?;
        let unsettled = workload.unsettled(&heads);
        if unsettled.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            println!("        not settled after {SETTLE:?}: {}", unsettled.join(", "));
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Enters each room on every replica as a newcomer, and records the list of members that it is told.
async fn observe(stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
    // One member for all of them, so that none is taken for one of the others' company.
    let key = rollcall_client::new_key();
    for slot in stack.running().await? {
        let mut config = Config::new(&format!("http://{}:8080", slot.address), "observer", &ROOMS);
        config.key.clone_from(&key);
        config.dial_limit = Duration::from_secs(5);
        let (handle, mut events) = Client::start(config);
        let mut me = String::new();
        let seen = async {
            let mut rooms = 0;
            while rooms < ROOMS.len() {
                match events.next().await {
                    Some(Event::Connected { member, .. }) => me = member,
                    Some(Event::Joined { room, members, .. }) => {
                        let present = members.into_iter().map(|it| it.member);
                        let present = present.filter(|member| *member != me).collect();
                        let replica = slot.replica.clone();
                        recorder.record(What::Observed { room, replica, present });
                        rooms += 1;
                    }
                    Some(_) => {}
                    None => anyhow::bail!("{} turned a newcomer away", slot.replica),
                }
            }
            Ok(())
        };
        tokio::time::timeout(SETTLE, seen).await??;
        // Not to be seen by the next one, nor by anybody at the end.
        let _ended = handle.bye().await;
        let rest = async { while events.next().await.is_some() {} };
        let _late = tokio::time::timeout(Duration::from_secs(2), rest).await;
    }
    // Until everybody has been told that they are gone.
    sleep(Duration::from_secs(1)).await;
    Ok(())
}
