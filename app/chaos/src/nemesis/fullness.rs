//! Redis has no room left: because it is told so, and because clients within their limits have filled it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use anyhow::ensure;
use tokio::time::sleep;

use super::{
    pour::{Poured, pour, rooms_to_write},
    scene::Scene,
    witness::{Account, Witnesses, ms, nothing_untrue},
};
use crate::{
    cluster::{
        docker::docker,
        redis::{command, connect},
        resources,
    },
    history::Loss,
    limits::EASILY_FILLED,
};

const WITNESSES: usize = 9;
/// What the witnesses may take to be answered again when Redis takes writes again.
const RELIEF: Duration = Duration::from_secs(10);
/// A lease: whoever is to be told that others are gone has been told by then.
const TOLD: Duration = Duration::from_secs(12);
/// While others fill Redis, a message in another room is answered within this.
const ELSEWHERE: Duration = Duration::from_secs(3);
/// When the flood is over, every room takes messages again within this, and nobody lends a hand.
const AGAIN: Duration = Duration::from_secs(15);
/// Per cent of Redis' memory: past this it is full for a message.
const NEARLY: u64 = 95;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Its limit is set to next to nothing for a few seconds: the workload tells what became of that.
pub async fn refuse(scene: &Scene<'_>) -> anyhow::Result<()> {
    with_next_to_no_memory(scene).await
}

/// The same for longer than any lease lives, so that none can be renewed.
///
/// What must hold: as in a standstill nobody is told that anybody left, neither meanwhile nor when it is over, and then
/// everything that waited is taken, once.
pub async fn refuse_for_long(scene: &Scene<'_>) -> anyhow::Result<()> {
    let witnesses = Witnesses::gather(scene, "full", &["brim"], WITNESSES).await?;
    witnesses.begin();
    with_next_to_no_memory(scene).await?;
    sleep(TOLD).await;
    let accounts = witnesses.dismiss().await?;
    for it in &accounts {
        let limit = scene.hold + RELIEF;
        scene.measured(
            "ms without an answer, Redis full for long",
            &it.name,
            ms(it.unanswered),
            ms(limit),
        );
    }
    nothing_untrue(scene, &accounts);
    Ok(())
}

async fn with_next_to_no_memory(scene: &Scene<'_>) -> anyhow::Result<()> {
    let stack = scene.stack;
    let (_, limit): (String, String) = command(stack, &["CONFIG", "GET", "maxmemory"]).await?;
    let () = command(stack, &["CONFIG", "SET", "maxmemory", "1"]).await?;
    scene.hold().await;
    command(stack, &["CONFIG", "SET", "maxmemory", &limit]).await
}

/// Clients that keep to every limit post into sixteen rooms, under fresh keys, and into new rooms, as much as Redis takes. It
/// has little memory in such a run (`main.rs`).
///
/// What must hold: in other rooms messages are taken all the time; nobody is told that anybody left; when it is over every
/// room takes messages again by itself; and neither Redis nor a replica takes more memory than it may.
pub async fn fill(scene: &Scene<'_>) -> anyhow::Result<()> {
    let witnesses = Witnesses::gather(scene, "spill", &["dry-land"], WITNESSES).await?;
    witnesses.begin();
    let mut most = Memory::default();
    let full = AtomicBool::new(false);
    let work = flood(scene, &mut most, &full);
    let (poured, again) = if is_easily_filled(scene).await? {
        // All logs make room, those of the workload too: they begin later, and say so.
        scene.destroy(Loss::Trimmed, work).await?
    } else {
        work.await?
    };
    ensure!(full.load(Relaxed) || poured.was_kept_out(), "Redis was never full");
    let accounts = witnesses.dismiss().await?;
    for (room, took) in again {
        scene.measured("ms until a flooded room took messages again", &room, ms(took), ms(AGAIN));
    }
    for Account { name, unanswered, .. } in &accounts {
        scene.measured(
            "ms without an answer, beside clients that fill Redis",
            name,
            ms(*unanswered),
            ms(ELSEWHERE),
        );
    }
    nothing_untrue(scene, &accounts);
    most.judge(scene).await?;
    drain(scene).await
}

/// Pours until Redis is `full`, and then until every flooded room takes messages again: after how long each did.
async fn flood(
    scene: &Scene<'_>,
    most: &mut Memory,
    full: &AtomicBool,
) -> anyhow::Result<(Poured, Vec<(String, Duration)>)> {
    let flood = async {
        let poured = pour(scene, full).await;
        println!();
        println!("        {poured}");
        (poured, rooms_to_write(scene, 2 * AGAIN).await)
    };
    let watch = async {
        loop {
            match most.look(scene).await {
                Ok(is_full) => full.fetch_or(is_full, Relaxed),
                Err(failed) => return failed,
            };
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        done = flood => Ok(done),
        failed = watch => Err(failed),
    }
}

/// Whether it is a run in which Redis has little memory.
async fn is_easily_filled(scene: &Scene<'_>) -> anyhow::Result<bool> {
    Ok(info(scene, "maxmemory:").await? == EASILY_FILLED)
}

/// The most that was seen, bytes, by container; and of Redis by its own count.
#[derive(Default)]
struct Memory {
    resident: BTreeMap<String, u64>,
    used: u64,
}

impl Memory {
    /// Whether Redis is all but full.
    async fn look(&mut self, scene: &Scene<'_>) -> anyhow::Result<bool> {
        for (container, taken) in resources::look(scene.stack).await? {
            let most = self.resident.entry(container).or_default();
            *most = taken.rss.max(*most);
        }
        let used = info(scene, "used_memory:").await?;
        self.used = self.used.max(used);
        Ok(used >= info(scene, "maxmemory:").await? / 100 * NEARLY)
    }

    /// A container's limit is Docker's, past which the kernel kills; Redis' own is that past which it refuses.
    async fn judge(self, scene: &Scene<'_>) -> anyhow::Result<()> {
        for (container, most) in self.resident {
            let limit =
                docker(&["inspect", "--format", "{{.HostConfig.Memory}}", &container]).await?;
            scene.measured("bytes of memory", &container, most, limit.trim().parse()?);
        }
        let limit = info(scene, "maxmemory:").await?;
        // It refuses before a command rather than in the middle of one: the last one may go past by its own size.
        let (limit, own) = (limit + limit / 16, "bytes that Redis counts");
        scene.measured(own, &scene.stack.container("redis"), self.used, limit);
        Ok(())
    }
}

async fn info(scene: &Scene<'_>, field: &str) -> anyhow::Result<u64> {
    let told: String = command(scene.stack, &["INFO", "memory"]).await?;
    let line = told.lines().find_map(|line| line.strip_prefix(field));
    Ok(line.unwrap_or_default().trim().parse()?)
}

/// Takes what the flood left out of Redis, so that the faults after it find it as it was.
async fn drain(scene: &Scene<'_>) -> anyhow::Result<()> {
    let mut connection = connect(scene.stack).await?;
    let pattern = format!("*:{}*", super::pour::PREFIX);
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await?;
    for some in keys.chunks(500) {
        let _gone: u64 = redis::cmd("UNLINK").arg(some).query_async(&mut connection).await?;
    }
    Ok(())
}
