//! Breaks the stack by the plan of a seed, and mends it.

mod broken_room;
mod clock;
mod crowd;
mod deploy;
mod descriptors;
mod fault;
mod flood;
mod fullness;
mod haproxy;
mod heal;
mod isolation;
mod links;
mod plain;
mod plan;
mod pour;
mod redis;
mod replica;
mod scene;
mod stampede;
mod traffic;
mod witness;

use std::time::Duration;

use anyhow::Context;

pub use fault::{About, FAULTS, Fault, Part, UNAVAILABLE};
pub use heal::{heal, until_well};
pub use plan::{Step, Strike, least, plan, repeated};

use crate::{
    cluster::Stack,
    history::What,
    workload::{CROWDED, FLOODED, Workload},
};
use broken_room::BROKEN;
use scene::Scene;

/// Carries out one fault, from its beginning until it is undone.
///
/// # Errors
///
/// If it could not be done or undone: then nothing was proven about it.
pub async fn strike(
    stack: &Stack,
    workload: &Workload,
    step: u32,
    strike: &Strike,
) -> anyhow::Result<()> {
    let about = strike.fault.about();
    let recorder = &workload.shared().recorder;
    let target = target(strike);
    let (fault, replica, hold) = (about.name.to_owned(), strike.replica, strike.hold);
    recorder.record(What::Fault { step, fault: fault.clone(), target });
    let scene = Scene { stack, workload, recorder, step, replica, hold };
    let done = dispatch(strike.fault, &scene).await;
    recorder.record(What::Undone { step, fault });
    done.with_context(|| format!("step {step}, {}", about.name))
}

/// What a history says that it hits.
fn target(strike: &Strike) -> String {
    match (strike.fault, strike.fault.about().part) {
        (Fault::Flood, _) => FLOODED.to_owned(),
        (Fault::Crowd, _) => CROWDED.to_owned(),
        (Fault::UnreadableRoom | Fault::UnreadableEntry, _) => BROKEN.to_owned(),
        (Fault::RedisFullLong | Fault::RedisFills, _) => "redis".to_owned(),
        (_, Part::Replica | Part::Deploy | Part::Witnessed) => strike.replica.to_owned(),
        (_, part) => format!("{part:?}").to_lowercase(),
    }
}

async fn dispatch(fault: Fault, scene: &Scene<'_>) -> anyhow::Result<()> {
    use crate::cluster::network::{Fate, Way};
    use links::{cut_haproxy, cut_redis};
    match fault {
        Fault::ReplicaKill => replica::kill(scene).await,
        Fault::ReplicaTerm => replica::terminate(scene).await,
        Fault::ReplicaPause => replica::pause(scene).await,
        Fault::ReplicaOom => replica::out_of_memory(scene).await,
        Fault::ReplicaStarved => replica::starve(scene).await,
        Fault::Roll => deploy::roll(scene).await,
        Fault::RollKill => deploy::roll_and_kill(scene).await,
        Fault::HaproxyReload => haproxy::reload(scene).await,
        Fault::HaproxyKill => haproxy::kill(scene).await,
        Fault::RedisKill => redis::kill(scene).await,
        Fault::RedisPauseShort => redis::pause(scene, Duration::from_millis(600)).await,
        Fault::RedisPauseLong => redis::pause(scene, scene.hold).await,
        Fault::RedisClientKill => redis::kill_clients(scene).await,
        Fault::RedisPauseWrite => redis::pause_writes(scene).await,
        Fault::RedisFunctionFlush => redis::flush_functions(scene).await,
        Fault::RedisRewriteAof => redis::rewrite_aof(scene).await,
        Fault::RedisFull => fullness::refuse(scene).await,
        Fault::RedisTruncatedAof => redis::truncate_aof(scene).await,
        Fault::RedisPowerLoss => redis::lose_power(scene).await,
        Fault::RedisFlushall => redis::flush_all(scene).await,
        Fault::RedisTrim => redis::trim(scene).await,
        Fault::RedisClockJump => clock::jump_an_hour(scene).await,
        Fault::RedisCutDrop => cut_redis(scene, Way::Both, Fate::Dropped).await,
        Fault::RedisCutReset => cut_redis(scene, Way::Both, Fate::Reset).await,
        Fault::RedisCutIn => cut_redis(scene, Way::In, Fate::Dropped).await,
        Fault::RedisCutOut => cut_redis(scene, Way::Out, Fate::Dropped).await,
        Fault::RedisDelay => links::delay(scene, Duration::from_millis(300)).await,
        Fault::RedisThin => links::thin(scene, 8 << 10).await,
        Fault::HaproxyCutDrop => cut_haproxy(scene, Way::Both, Fate::Dropped).await,
        Fault::HaproxyCutReset => cut_haproxy(scene, Way::Both, Fate::Reset).await,
        Fault::HaproxyCutIn => cut_haproxy(scene, Way::In, Fate::Dropped).await,
        Fault::HaproxyCutOut => cut_haproxy(scene, Way::Out, Fate::Dropped).await,
        Fault::Flood => flood::flood(scene).await,
        Fault::ResendStorm => traffic::resend_storm(scene).await,
        Fault::Garbage => traffic::garbage(scene).await,
        Fault::Stampede => stampede::stampede(scene).await,
        Fault::Crowd => crowd::crowd(scene).await,
        Fault::ReplicaDeaf => isolation::deafen(scene).await,
        Fault::ReplicaFrozen => isolation::freeze(scene).await,
        Fault::RedisFullLong => fullness::refuse_for_long(scene).await,
        Fault::RedisFills => fullness::fill(scene).await,
        Fault::UnreadableRoom => broken_room::another_type(scene).await,
        Fault::UnreadableEntry => broken_room::unreadable_entry(scene).await,
        Fault::ClockJumpDay => clock::jump_a_day(scene).await,
        Fault::UnbalancedRoll => deploy::roll_unbalanced(scene).await,
        Fault::Descriptors1024 => descriptors::exhaust(scene).await,
    }
}
