//! The stack a drill is held on, and what an engineer would look at before and after.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::{crowd::Crowd, journal::Journal};
use crate::cluster::{Ended, Playbook, RELEASES, REPLICAS, Stack, haproxy};

/// Where drills are held.
pub struct Scene {
    /// The stack.
    pub stack: Stack,
    /// What the random moments are made of.
    pub seed: u64,
    /// Few repetitions instead of many.
    pub quick: bool,
    /// The audience.
    pub crowd: Crowd,
    /// HAProxy is killed in the middle of whatever is done, to see that the audience notices.
    pub spoiled: bool,
    pub(super) bots: PathBuf,
    reports: PathBuf,
}

impl Scene {
    /// On this stack, which need not be up yet. The bots lie beside this program.
    ///
    /// # Errors
    ///
    /// If there is no place for reports.
    pub fn new(stack: Stack, reports: &Path, seed: u64, quick: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(reports)?;
        let bots = env::current_exe()?.with_file_name("rollcall-bots");
        let (crowd, spoiled, reports) = (Crowd::default(), false, fs::canonicalize(reports)?);
        Ok(Self { stack, seed, quick, crowd, spoiled, bots, reports })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.reports.join(name)
    }

    pub(super) fn haproxy_socket(&self) -> PathBuf {
        self.stack.haproxy_socket()
    }

    /// A file of the control side.
    pub(super) fn control(&self, name: &str) -> PathBuf {
        self.stack.control(name)
    }

    pub(super) fn journal(&self) -> Journal {
        Journal::from_now(self.control("deploys.jsonl"))
    }

    pub(super) fn roll(&self, release: &str) -> Playbook {
        self.stack.playbook("rolling-update").set("release", release)
    }

    /// The release that serves everywhere, as when a drill begins.
    pub(super) async fn release(&self) -> anyhow::Result<&'static str> {
        self.stack.release_everywhere().await?.context("not one release everywhere")
    }

    /// The release that does not serve.
    pub(super) async fn other_release(&self) -> anyhow::Result<&'static str> {
        self.stack.other_release().await
    }

    /// Everything up, one release everywhere, one slot a replica: whatever the drill before has left.
    pub(super) async fn come_to_rest(&self) -> anyhow::Result<()> {
        let _free = fs::remove_file(self.control("lock"));
        let _none = fs::remove_file(self.control("bad-releases.json"));
        if self.is_at_rest().await {
            return Ok(());
        }
        self.stack.up(RELEASES[0]).await?;
        match self.stack.release_everywhere().await? {
            Some(_) => Ok(()),
            None => self.roll(RELEASES[0]).succeed().await.map(drop),
        }
    }

    /// A look takes a tenth of a second; `site.yml`, which would find nothing to do, seven seconds.
    async fn is_at_rest(&self) -> bool {
        self.served_by().await == REPLICAS.len()
            && self.stack.release_everywhere().await.is_ok_and(|release| release.is_some())
            && self.expect_no_leftovers().await.is_ok()
    }

    /// The same with so many replicas, also where the drill before has left more or fewer.
    pub(super) async fn come_to_rest_with(&self, replicas: usize) -> anyhow::Result<()> {
        if self.served_by().await == 0 {
            self.stack.up(RELEASES[0]).await?;
        }
        if self.served_by().await == replicas {
            return Ok(());
        }
        self.scaled(replicas).await.map(drop)
    }

    /// How many replicas HAProxy has; none where it is away.
    async fn served_by(&self) -> usize {
        haproxy::serving(&self.haproxy_socket()).await.map_or(0, |replicas| replicas.len())
    }

    /// `scale.yml` makes it so many.
    pub(super) async fn scaled(&self, replicas: usize) -> anyhow::Result<Ended> {
        let scale = self.stack.playbook("scale");
        let scale = match self.stack.machines {
            // Their inventory lists them.
            Some(_) => scale.set("without", &REPLICAS[replicas..].join(",")),
            None => scale.set("replicas", &replicas.to_string()),
        };
        let ended = scale.succeed().await?;
        let serving = self.releases().await?;
        ensure!(serving.len() == replicas, "{replicas} replicas should serve, not {serving:?}");
        Ok(ended)
    }

    /// Replica -> the release that its only running slot has.
    pub(super) async fn releases(&self) -> anyhow::Result<BTreeMap<String, String>> {
        self.stack.releases().await
    }

    /// Every slot's container by its ID, and whether it runs: what must be the same if nothing was changed,
    /// or if everything was put back.
    pub(super) async fn containers(&self) -> anyhow::Result<Vec<String>> {
        let format = "{{.Names}} {{.ID}} {{.State}} {{.Label \"rollcall.release\"}}";
        let mut all = self.stack.listed(&["--format", format]).await?;
        all.sort();
        Ok(all)
    }

    /// All replicas serve this release, each in one slot.
    pub(super) async fn expect_serving(&self, release: &str) -> anyhow::Result<()> {
        let serving = self.releases().await?;
        let all = serving.len() == REPLICAS.len() && serving.values().all(|it| it == release);
        ensure!(all, "{release} should serve everywhere, not {serving:?}");
        Ok(())
    }

    /// A deploy has come to its end, whatever that was.
    pub(super) async fn expect_no_leftovers(&self) -> anyhow::Result<()> {
        let containers = self.containers().await?;
        let aside = containers.iter().any(|container| container.contains("-aside"));
        ensure!(!aside, "something is still set aside: {containers:?}");
        ensure!(!self.control("lock").exists(), "the lock is still held");
        Ok(())
    }

    /// One replica serves this release, and the others that one.
    pub(super) async fn expect_only_on(
        &self,
        one: &str,
        release: &str,
        others: &str,
    ) -> anyhow::Result<()> {
        let on = |replica| if replica == one { release } else { others };
        let wanted = REPLICAS.map(|replica| (replica.to_owned(), on(replica).to_owned()));
        let (serving, wanted) = (self.releases().await?, BTreeMap::from(wanted));
        ensure!(serving == wanted, "{wanted:?} should serve, not {serving:?}");
        Ok(())
    }

    /// A directory with these executables, for `-e hooks=`. What is in it from before goes.
    pub(super) fn hooks(&self, scripts: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let hooks = self.file("drill-hooks");
        let _none = fs::remove_dir_all(&hooks);
        fs::create_dir_all(&hooks)?;
        for (name, text) in scripts {
            fs::write(hooks.join(name), format!("#!/bin/sh\n{text}\n"))?;
            fs::set_permissions(hooks.join(name), fs::Permissions::from_mode(0o755))?;
        }
        Ok(hooks)
    }

    pub(super) async fn expect_as_before(&self, before: &[String]) -> anyhow::Result<()> {
        let after = self.containers().await?;
        ensure!(after == before, "not as before: {before:?}, now {after:?}");
        Ok(())
    }
}

impl Ended {
    /// The line with these words, which the operator must have seen.
    pub(super) fn line(&self, words: &str) -> anyhow::Result<String> {
        let found = self.output.lines().find(|line| line.contains(words));
        let found = found.with_context(|| format!("nobody said {words:?}:\n{}", self.tail(12)))?;
        Ok(found.trim().to_owned())
    }

    pub(super) fn expect_success(&self) -> anyhow::Result<()> {
        ensure!(self.status.success(), "it failed:\n{}", self.tail(15));
        Ok(())
    }

    pub(super) fn expect_failure(&self) -> anyhow::Result<()> {
        ensure!(!self.status.success(), "it claims success:\n{}", self.tail(15));
        Ok(())
    }

    pub(super) fn expect_within(&self, seconds: f64) -> anyhow::Result<()> {
        let took = self.took.as_secs_f64();
        ensure!(took <= seconds, "it took {took:.1} s, more than {seconds} s:\n{}", self.tail(12));
        Ok(())
    }
}
