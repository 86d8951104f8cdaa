//! The rows of several machines: a roll over them by SSH, and what becomes of one of them.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};

use super::{
    Promise, Row, Scene,
    rows::{MOVED_ONCE, NEW, OLD, at_rest, serving},
    tiers::{OF_HAPROXY, haproxy_with, rolled, rolled_back, scaled},
};
use crate::cluster::{REPLICAS, haproxy, machines::Machines};

/// The machine that something becomes of.
const UNLUCKY: u8 = 2;
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
        name: "machines-proxy",
        change: "HAProxy: configuration, before three machines",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(serving(scene, OLD)),
        run: |scene| Box::pin(haproxy_with(scene, &[OF_HAPROXY])),
    },
    Row {
        name: "machines-fewer",
        change: "one of three machines is given up",
        promise: MOVED_ONCE,
        min_ready: 2,
        prepare: |scene| Box::pin(serving(scene, OLD)),
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
        prepare: |scene| Box::pin(serving(scene, OLD)),
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
        prepare: |scene| Box::pin(serving(scene, OLD)),
        run: |scene| {
            Box::pin(async move {
                machines(scene)?.reboot(UNLUCKY).await?;
                all_back(scene).await
            })
        },
    },
];

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
