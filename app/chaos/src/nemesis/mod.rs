//! Breaks the stack by the plan of a seed, and mends it.

mod deploy;
mod fault;
mod flood;
mod haproxy;
mod heal;
mod links;
mod plan;
mod redis;
mod replica;
mod stampede;
mod traffic;

use std::time::Duration;

use anyhow::Context;

pub use fault::{About, FAULTS, Fault, Part, UNAVAILABLE};
pub use heal::{heal, until_well};
pub use plan::{Step, Strike, least, plan, repeated};

use crate::{
    cluster::Stack,
    history::{Loss, Recorder, What},
    logs,
    workload::{FLOODED, Workload},
};

/// What a fault needs to know.
pub(crate) struct Scene<'a> {
    pub stack: &'a Stack,
    pub workload: &'a Workload,
    pub recorder: &'a Recorder,
    /// Number of the step.
    pub step: u32,
    /// The replica to hit.
    pub replica: &'static str,
    /// How long.
    pub hold: Duration,
}

impl Scene<'_> {
    /// Says that data will be lost, lets it be lost, and says that it is over. What there was is
    /// written down before: the logs at the end no longer tell.
    pub async fn destroy(
        &self,
        loss: Loss,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        self.recorder.record(What::Snapshot);
        logs::record(self.stack, self.recorder).await?;
        self.recorder.record(What::Destroying { loss });
        let done = work.await;
        self.recorder.record(What::Destroyed);
        done
    }

    /// The container of the replica to hit.
    pub async fn container(&self) -> anyhow::Result<String> {
        Ok(self.stack.newest(self.replica).await?.container)
    }

    /// As long as the fault lasts.
    pub async fn hold(&self) {
        tokio::time::sleep(self.hold).await;
    }
}

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
    let target = match about.part {
        Part::Replica | Part::Deploy => strike.replica.to_owned(),
        _ if strike.fault == Fault::Flood => FLOODED.to_owned(),
        part => format!("{part:?}").to_lowercase(),
    };
    let (fault, replica, hold) = (about.name.to_owned(), strike.replica, strike.hold);
    recorder.record(What::Fault { step, fault: fault.clone(), target });
    let scene = Scene { stack, workload, recorder, step, replica, hold };
    let done = dispatch(strike.fault, &scene).await;
    recorder.record(What::Undone { step, fault });
    done.with_context(|| format!("step {step}, {}", about.name))
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
        Fault::RedisFull => redis::fill(scene).await,
        Fault::RedisTruncatedAof => redis::truncate_aof(scene).await,
        Fault::RedisFlushall => redis::flush_all(scene).await,
        Fault::RedisTrim => redis::trim(scene).await,
        Fault::RedisClockJump => redis::jump_clock(scene).await,
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
    }
}
