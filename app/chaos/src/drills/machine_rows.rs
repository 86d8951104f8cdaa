//! The rows of several machines: a roll over them by SSH, and what becomes of one of them.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{sleep, timeout};

use super::{
    Promise, Row, Scene,
    rows::{MOVED_ONCE, NEW, OLD, at_rest, serving},
    tiers::{OF_HAPROXY, haproxy_with, rolled, rolled_back, scaled},
};
use crate::cluster::{REPLICAS, docker::docker, haproxy, machines::Machines};

/// The machine that something becomes of.
const UNLUCKY: u8 = 2;
/// How the line ends that says where the address is, if it is at the second machine.
const SECOND: &str = ".2";
/// For so long HAProxy is away: until everybody is elsewhere, and longer.
const GONE_FOR: Duration = Duration::from_secs(6);
/// A daemon that starts again, its containers, and HAProxy's checks of them.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// All of them, each of which leaves the stack where the next begins.
pub const MACHINE_ROWS: &[Row] = &[
    Row {
        name: "machines",
        change: "release, over three machines by SSH",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(serving(scene, OLD)),
        run: |scene| Box::pin(rolled(scene, NEW, &[])),
    },
    Row {
        name: "machines-back",
        change: "the same: rollback",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(serving(scene, NEW)),
        run: |scene| Box::pin(rolled_back(scene, OLD)),
    },
    Row {
        name: "pair",
        change: "HAProxy pair: the address goes to the second machine",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_first(scene)),
        run: |scene| Box::pin(switched(scene)),
    },
    Row {
        name: "pair-release",
        change: "the same: release, while the second has it",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_second(scene)),
        run: |scene| Box::pin(rolled(scene, NEW, &[])),
    },
    Row {
        name: "pair-back",
        change: "the same: the address comes back",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_second(scene)),
        run: |scene| Box::pin(switched(scene)),
    },
    Row {
        name: "pair-kill",
        change: "HAProxy pair: SIGKILL of the active one",
        promise: Promise::Elsewhere,
        min_ready: 3,
        prepare: |scene| Box::pin(at_first(scene)),
        run: |scene| {
            Box::pin(async move {
                // By hand, so that Docker does not start it again.
                docker(&["kill", &scene.stack.container("haproxy")]).await?;
                sleep(GONE_FOR).await;
                scene.stack.up(OLD).await?;
                let line = at(scene).await?;
                ensure!(line.ends_with(SECOND), "the first took the address back: {line}");
                Ok(line)
            })
        },
    },
    Row {
        name: "machines-fewer",
        change: "one of three machines is given up",
        promise: MOVED_ONCE,
        min_ready: 2,
        prepare: |scene| Box::pin(at_first(scene)),
        run: |scene| Box::pin(scaled(scene, REPLICAS.len() - 1)),
    },
    Row {
        name: "machines-more",
        change: "one more machine",
        promise: MOVED_ONCE,
        min_ready: 2,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len() - 1)),
        run: |scene| Box::pin(scaled(scene, REPLICAS.len())),
    },
    Row {
        name: "machine-docker",
        change: "Docker restarted on one of three machines",
        promise: MOVED_ONCE,
        min_ready: 2,
        prepare: |scene| Box::pin(at_first(scene)),
        run: |scene| {
            Box::pin(async move {
                machines(scene)?.restart_docker(UNLUCKY).await?;
                all_back(scene).await
            })
        },
    },
    Row {
        name: "machine-power",
        change: "power cut of one of three machines",
        promise: Promise::Killed,
        min_ready: 2,
        prepare: |scene| Box::pin(at_first(scene)),
        run: |scene| {
            Box::pin(async move {
                machines(scene)?.reboot(UNLUCKY).await?;
                all_back(scene).await
            })
        },
    },
    Row {
        name: "machines-proxy",
        change: "HAProxy: configuration, before three machines",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_first(scene)),
        run: |scene| Box::pin(haproxy_with(scene, &[OF_HAPROXY])),
    },
];

/// The floating address is at this machine, and all is well.
async fn at_first(scene: &Scene) -> anyhow::Result<()> {
    serving(scene, OLD).await?;
    if at(scene).await?.ends_with(SECOND) {
        switched(scene).await?;
    }
    Ok(())
}

async fn at_second(scene: &Scene) -> anyhow::Result<()> {
    serving(scene, OLD).await?;
    if !at(scene).await?.ends_with(SECOND) {
        switched(scene).await?;
    }
    Ok(())
}

/// The line that says where the address is.
async fn at(scene: &Scene) -> anyhow::Result<String> {
    scene.stack.playbook("status").succeed().await?.line(" is at ")
}

/// `switch.yml`.
async fn switched(scene: &Scene) -> anyhow::Result<String> {
    scene.stack.playbook("switch").succeed().await?.line(" is at ")
}

fn machines(scene: &Scene) -> anyhow::Result<&Machines> {
    scene.stack.machines.as_ref().context("there is one machine only")
}

/// Its replica is back by itself.
async fn all_back(scene: &Scene) -> anyhow::Result<String> {
    let socket = scene.haproxy_socket();
    let back = async {
        while haproxy::serving(&socket).await.is_none_or(|all| all.len() < REPLICAS.len()) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BACK_WITHIN, back).await.context("its replica is not back")?;
    Ok(format!("all {} serve again", REPLICAS.len()))
}
