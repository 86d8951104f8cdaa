//! The rows of the table: each a change of one tier, from where it begins to its settled end, under an audience of its
//! own, whose history the checker judges.

use futures_util::future::BoxFuture;

use super::{
    Act, Outcome, Promise, Scene,
    conduct::Trial,
    tiers::{
        OF_HAPROXY, OF_REPLICAS, certified_anew, forget_image, haproxy_from, haproxy_with,
        kill_one, next_image, rebalanced, remembering, rolled, rolled_back, scaled, stored_in,
    },
};
use crate::cluster::{RELEASES, REPLICAS};

pub(super) const OLD: &str = RELEASES[0];
pub(super) const NEW: &str = RELEASES[1];
const MORE: usize = 5;
const FEWER: usize = 2;
const HAPROXY: &str = "haproxy:3.0";
const REDIS: &str = "redis:8.0";

/// How long messages take is in the table, and not judged but for the two seconds after which one is `late`: a browser,
/// Ansible and three replicas on one machine take their share of it.
pub(super) const MOVED_ONCE: Promise = Promise::Slower { rolls: 1 };
const UNMOVED: Promise = Promise::Slower { rolls: 0 };

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// What changes, as the table has it.
    pub change: &'static str,
    pub(super) promise: Promise,
    /// So many replicas serve at any moment.
    pub(super) min_ready: usize,
    /// Brings the stack to where the change begins, before anybody comes.
    pub(super) prepare: for<'a> fn(&'a Scene) -> BoxFuture<'a, anyhow::Result<()>>,
    pub(super) run: Act,
}

/// All rows, each of which leaves the stack where the next begins.
pub const ROWS: &[Row] = &[
    Row {
        name: "release",
        change: "release",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(serving(scene, OLD)),
        run: |scene| Box::pin(rolled(scene, NEW, &[])),
    },
    Row {
        name: "release-back",
        change: "release: rollback",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(serving(scene, NEW)),
        run: |scene| Box::pin(rolled_back(scene, OLD)),
    },
    Row {
        name: "setting",
        change: "setting of the replicas",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(serving(scene, OLD)),
        run: |scene| Box::pin(rolled(scene, OLD, &[OF_REPLICAS])),
    },
    Row {
        name: "setting-back",
        change: "setting of the replicas: rollback",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| {
            Box::pin(async move {
                serving(scene, OLD).await?;
                scene.roll(OLD).set(OF_REPLICAS.0, OF_REPLICAS.1).succeed().await.map(drop)
            })
        },
        run: |scene| Box::pin(rolled_back(scene, OLD)),
    },
    Row {
        name: "proxy",
        change: "HAProxy: configuration",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len())),
        run: |scene| Box::pin(haproxy_with(scene, &[OF_HAPROXY])),
    },
    Row {
        name: "proxy-back",
        change: "HAProxy: configuration, back",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| {
            Box::pin(async move {
                at_rest(scene, REPLICAS.len()).await?;
                let proxy = scene.stack.playbook("proxy").set(OF_HAPROXY.0, OF_HAPROXY.1);
                proxy.succeed().await.map(drop)
            })
        },
        run: |scene| Box::pin(haproxy_with(scene, &[])),
    },
    Row {
        name: "certificate",
        change: "HAProxy: certificate",
        promise: UNMOVED,
        min_ready: 3,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len())),
        run: |scene| Box::pin(certified_anew(scene)),
    },
    Row {
        name: "proxy-image",
        change: "HAProxy: image",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len())),
        run: |scene| {
            Box::pin(async move { haproxy_from(scene, &next_image(scene, HAPROXY).await?).await })
        },
    },
    Row {
        name: "proxy-image-back",
        change: "HAProxy: image, back",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| {
            Box::pin(async move {
                at_rest(scene, REPLICAS.len()).await?;
                let next = next_image(scene, HAPROXY).await?;
                let proxy = scene.stack.playbook("proxy").set("rollcall_haproxy_image", &next);
                proxy.succeed().await.map(drop)
            })
        },
        run: |scene| {
            Box::pin(async move {
                let back = haproxy_with(scene, &[]).await;
                forget_image(scene, HAPROXY).await;
                back
            })
        },
    },
    Row {
        name: "scale-up",
        change: "3 → 5 replicas",
        promise: MOVED_ONCE,
        min_ready: 3,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len())),
        run: |scene| Box::pin(scaled(scene, MORE)),
    },
    Row {
        name: "scale-down",
        change: "5 → 2 replicas",
        promise: MOVED_ONCE,
        min_ready: 2,
        prepare: |scene| Box::pin(at_rest(scene, MORE)),
        run: |scene| Box::pin(scaled(scene, FEWER)),
    },
    Row {
        name: "scale-back",
        change: "2 → 3 replicas",
        promise: MOVED_ONCE,
        min_ready: 2,
        prepare: |scene| Box::pin(at_rest(scene, FEWER)),
        run: |scene| Box::pin(scaled(scene, REPLICAS.len())),
    },
    Row {
        name: "rebalance",
        change: "rebalance after a crash",
        promise: MOVED_ONCE,
        min_ready: 2,
        // Clients that come find two replicas, and the third comes back empty.
        prepare: |scene| {
            Box::pin(async move {
                serving(scene, OLD).await?;
                kill_one(scene).await
            })
        },
        run: |scene| {
            Box::pin(async move {
                scene.stack.up(OLD).await?;
                rebalanced(scene).await
            })
        },
    },
    Row {
        name: "store-memory",
        change: "Redis: memory",
        promise: Promise::Held,
        min_ready: 3,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len())),
        run: |scene| Box::pin(remembering(scene, true)),
    },
    Row {
        name: "store-memory-back",
        change: "Redis: memory, back",
        promise: Promise::Held,
        min_ready: 3,
        prepare: |scene| {
            Box::pin(async move {
                at_rest(scene, REPLICAS.len()).await?;
                remembering(scene, true).await.map(drop)
            })
        },
        run: |scene| Box::pin(remembering(scene, false)),
    },
    Row {
        name: "store-image",
        change: "Redis: image",
        promise: Promise::Held,
        min_ready: 3,
        prepare: |scene| Box::pin(at_rest(scene, REPLICAS.len())),
        run: |scene| {
            Box::pin(async move { stored_in(scene, &next_image(scene, REDIS).await?).await })
        },
    },
    Row {
        name: "store-image-back",
        change: "Redis: image, back",
        promise: Promise::Held,
        min_ready: 3,
        prepare: |scene| {
            Box::pin(async move {
                at_rest(scene, REPLICAS.len()).await?;
                stored_in(scene, &next_image(scene, REDIS).await?).await.map(drop)
            })
        },
        run: |scene| {
            Box::pin(async move {
                let back = remembering(scene, false).await;
                forget_image(scene, REDIS).await;
                back
            })
        },
    },
];

impl Row {
    /// Makes the change under an audience, and judges.
    pub async fn measure(&self, scene: &Scene) -> Outcome {
        let measured = async {
            (self.prepare)(scene).await?;
            let Self { name, promise, min_ready, run, .. } = *self;
            Trial { name, promise, min_ready, run }.hold(scene).await
        };
        measured.await.unwrap_or_else(|error| Outcome::not_held(self.name, &error))
    }
}

pub(super) async fn at_rest(scene: &Scene, replicas: usize) -> anyhow::Result<()> {
    scene.come_to_rest_with(replicas).await
}

/// Three replicas, all in this release.
pub(super) async fn serving(scene: &Scene, release: &str) -> anyhow::Result<()> {
    at_rest(scene, REPLICAS.len()).await?;
    if scene.expect_serving(release).await.is_err() {
        scene.roll(release).succeed().await?;
    }
    scene.expect_serving(release).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ROWS;

    #[test]
    fn each_row_has_a_name_of_its_own() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        let changes: BTreeSet<_> = ROWS.iter().map(|row| row.change).collect();
        assert_eq!((names.len(), changes.len()), (ROWS.len(), ROWS.len()));
    }
}
