//! The real stack, under a name of its own: brought up and down by the playbooks that operators
//! use, and handled through Docker as an engineer at a shell would.

pub mod certificates;
pub mod docker;
pub mod forward;
pub mod haproxy;
pub mod machines;
pub mod network;
mod playbook;
pub mod redis;
pub mod remake;
pub mod resources;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

pub use playbook::{Ended, Playbook};

use crate::cluster::{docker::docker, machines::Machines};

/// The releases that rolls go between.
pub const RELEASES: [&str; 2] = ["1.0.0", "1.1.0"];
/// The release that can be made wrong on purpose; `scripts/build --mutants` makes it.
pub const MUTANT_RELEASE: &str = "mutant";
/// Its replicas.
pub const REPLICAS: [&str; 3] = ["r1", "r2", "r3"];

/// Where a stack is, and what makes it another than its neighbours.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Name of the stack: prefix of its containers, and their label.
    #[arg(long, default_value = "rollcall-chaos")]
    pub project: String,
    /// Port that HAProxy binds, on 127.0.0.1.
    #[arg(long, default_value_t = 18090)]
    pub port: u16,
    /// First three numbers of its network.
    #[arg(long, default_value = "172.30.92")]
    pub network: String,
}

/// A stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Where it is.
    pub place: Place,
    /// What every replica gets in its environment besides what it always gets.
    pub env: BTreeMap<String, String>,
    /// Other variables of the playbooks, by name.
    pub set: BTreeMap<String, String>,
    /// What Redis runs from, if not the usual image.
    pub redis_image: Option<String>,
    /// The machines that its replicas are on besides this one, if they are.
    pub machines: Option<Machines>,
    /// The repository.
    root: PathBuf,
    /// Where its state is. Every playbook is told, so that a stack of an earlier release, which has it elsewhere, does not
    /// have it in another place once it was taken down.
    run_dir: PathBuf,
}

/// The name of an image, made of `ROLLCALL_IMAGES` as scripts/build and the playbooks make it.
#[must_use]
pub fn image(name: &str) -> String {
    image_of(env::var("ROLLCALL_IMAGES").ok().as_deref(), name)
}

fn image_of(images: Option<&str>, name: &str) -> String {
    let images = images.filter(|images| !images.is_empty()).unwrap_or("rollcall");
    format!("{images}-{name}")
}

/// As the playbooks check it: paths and filters are made of it.
fn is_name(project: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=40).contains(&project.len())
        && project.starts_with(plain)
        && project.chars().all(|c| plain(c) || "-_".contains(c))
}

/// Where the playbooks have the state of a stack.
fn state_of(root: &Path, project: &str) -> anyhow::Result<PathBuf> {
    let mut asked = std::process::Command::new(root.join(".venv/bin/python"));
    asked.arg(root.join("ansible/module_utils/rollcall_state.py")).arg(project);
    let told = asked.output().context("no .venv; scripts/setup makes it")?;
    let errors = String::from_utf8_lossy(&told.stderr);
    ensure!(told.status.success(), "where the state of {project} is, is not known: {errors}");
    Ok(PathBuf::from(String::from_utf8(told.stdout)?.trim_end()))
}

/// A place for one server process of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The replica.
    pub replica: String,
    /// `blue` or `green`.
    pub colour: String,
    /// The container that fills it.
    pub container: String,
    /// Its address in the stack's network.
    pub address: String,
}

impl Stack {
    /// The stack at a place; nothing is started yet.
    ///
    /// # Errors
    ///
    /// If the working directory is not the repository's top, or nothing tells where the state of a stack is.
    pub fn at(place: Place) -> anyhow::Result<Self> {
        let root = env::current_dir()?;
        ensure!(
            root.join("ansible/playbooks/site.yml").exists(),
            "no ansible/playbooks here; run it through scripts/"
        );
        ensure!(is_name(&place.project), "{} is no name for a stack", place.project);
        let run_dir = state_of(&root, &place.project)?;
        let (env, set) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { place, env, set, redis_image: None, machines: None, root, run_dir })
    }

    /// A file that the control machine keeps of it.
    #[must_use]
    pub fn control(&self, name: &str) -> PathBuf {
        self.run_dir.join(name)
    }

    /// Where HAProxy answers questions.
    #[must_use]
    pub fn haproxy_socket(&self) -> PathBuf {
        self.control("run/haproxy.sock")
    }

    /// The service, as clients reach it; by TLS if that is set.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.set.contains_key("rollcall_tls") { "https" } else { "http" };
        let address = self.machines.as_ref().map_or("127.0.0.1", Machines::floating_address);
        format!("{scheme}://{address}:{}", self.place.port)
    }

    /// The name of one of its containers: `haproxy`, `redis`, or that of a slot.
    #[must_use]
    pub fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.place.project)
    }

    /// Whether there is a playbook of this name.
    #[must_use]
    pub fn has_playbook(&self, name: &str) -> bool {
        self.root.join(format!("ansible/playbooks/{name}.yml")).exists()
    }

    /// Redis, in the stack's network.
    #[must_use]
    pub fn redis_address(&self) -> String {
        match &self.machines {
            Some(machines) => machines.redis_address().to_owned(),
            None => format!("{}.2", self.place.network),
        }
    }

    /// This machine, in the stack's network, and with it HAProxy, which runs in the machine's own.
    #[must_use]
    pub fn gateway_address(&self) -> String {
        format!("{}.1", self.place.network)
    }

    /// A playbook against this stack, not yet run.
    #[must_use]
    pub fn playbook(&self, name: &str) -> Playbook {
        Playbook::new(self, &self.root, name)
    }

    /// Brings up whatever is missing of the stack, in this release.
    ///
    /// # Errors
    ///
    /// If the playbook fails; with what it printed.
    pub async fn up(&self, release: &str) -> anyhow::Result<()> {
        self.playbook("site").set("release", release).succeed().await.map(drop)
    }

    /// Removes everything of the stack, room logs included.
    ///
    /// # Errors
    ///
    /// If the playbook fails; with what it printed.
    pub async fn down(&self) -> anyhow::Result<()> {
        let teardown = self.playbook("teardown").set("keep_logs", "false").set("yes", "true");
        teardown.succeed().await.map(drop)
    }

    /// Removes everything of the stack after some work, and hands on what the work came to.
    ///
    /// # Errors
    ///
    /// If the work failed, or the removal, or both: then neither hides the other.
    pub async fn down_after<T>(&self, done: anyhow::Result<T>) -> anyhow::Result<T> {
        match (done, self.down().await) {
            (done, Ok(())) => done,
            (Ok(_), Err(left)) => Err(left.context("the stack is still there")),
            (Err(error), Err(left)) => bail!("{error:#}\nand the stack is still there: {left:#}"),
        }
    }

    /// The slots that have a container, running or not, in the order of the replicas' names.
    ///
    /// # Errors
    ///
    /// If Docker cannot say.
    pub async fn slots(&self) -> anyhow::Result<Vec<Slot>> {
        self.slots_where("label=rollcall.slot").await
    }

    /// The slots whose container runs. A roll under way may have two of one replica.
    ///
    /// # Errors
    ///
    /// If Docker cannot say.
    pub async fn running(&self) -> anyhow::Result<Vec<Slot>> {
        self.slots_where("status=running").await
    }

    /// The slots whose container has processes, be they frozen: Docker does not take paused for running.
    ///
    /// # Errors
    ///
    /// If Docker cannot say.
    pub async fn running_or_paused(&self) -> anyhow::Result<Vec<Slot>> {
        Ok([self.running().await?, self.slots_where("status=paused").await?].concat())
    }

    /// The slot of a replica that runs; in the middle of a roll, that of the newer container.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn newest(&self, replica: &str) -> anyhow::Result<Slot> {
        // Docker lists the newest first.
        let slots = self.running().await?;
        let found = slots.into_iter().find(|slot| slot.replica == replica);
        found.with_context(|| format!("{replica} does not run"))
    }

    /// Replica -> the release that its only running slot has.
    ///
    /// # Errors
    ///
    /// If Docker cannot say, or both slots of a replica run.
    pub async fn releases(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let format = "{{.Label \"rollcall.replica\"}} {{.Label \"rollcall.release\"}}";
        let mut releases = BTreeMap::new();
        for line in self.listed(&["--format", format, "--filter", "status=running"]).await? {
            let (replica, release) = line.split_once(' ').context("no release")?;
            if releases.insert(replica.to_owned(), release.to_owned()).is_some() {
                bail!("both slots of {replica} run");
            }
        }
        Ok(releases)
    }

    /// The one of [`RELEASES`] that serves on all replicas, if one does.
    ///
    /// # Errors
    ///
    /// As [`Self::releases`].
    pub async fn release_everywhere(&self) -> anyhow::Result<Option<&'static str>> {
        let serving = self.releases().await?;
        let all = |it: &&str| REPLICAS.iter().all(|r| serving.get(*r).is_some_and(|on| on == *it));
        Ok(RELEASES.into_iter().find(all))
    }

    /// The one of [`RELEASES`] that the first replica does not serve.
    ///
    /// # Errors
    ///
    /// As [`Self::releases`].
    pub async fn other_release(&self) -> anyhow::Result<&'static str> {
        let serving = self.releases().await?;
        let now = serving.values().next().map(String::as_str);
        Ok(if now == Some(RELEASES[0]) { RELEASES[1] } else { RELEASES[0] })
    }

    async fn slots_where(&self, filter: &str) -> anyhow::Result<Vec<Slot>> {
        let format = "{{.Names}} {{.Label \"rollcall.replica\"}} {{.Label \"rollcall.slot\"}}";
        let listed = self.listed(&["--format", format, "--filter", filter]).await?;
        let mut slots: Vec<Slot> = listed.iter().filter_map(|line| self.slot(line)).collect();
        slots.sort_by(|a, b| a.replica.cmp(&b.replica));
        Ok(slots)
    }

    /// `docker ps` of the containers of slots, on every machine, a line each.
    ///
    /// # Errors
    ///
    /// If a Docker cannot say.
    pub async fn listed(&self, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let project = format!("label=rollcall.project={}", self.place.project);
        let of_slots = ["ps", "--all", "--filter", "label=rollcall.slot", "--filter", &project];
        let command = [&of_slots[..], arguments].concat();
        let mut listed = docker(&command).await?;
        for other in self.machines.iter().flat_map(Machines::dockers) {
            listed += &docker(&[&["--host", &other], &command[..]].concat()).await?;
        }
        Ok(listed.lines().map(str::to_owned).collect())
    }

    fn slot(&self, line: &str) -> Option<Slot> {
        let [container, replica, colour] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let number: u8 = replica.strip_prefix('r')?.parse().ok()?;
        let host = if colour == "blue" { 10 + number } else { 110 + number };
        Some(Slot {
            replica: replica.to_owned(),
            colour: colour.to_owned(),
            container: container.to_owned(),
            address: format!("{}.{host}", self.place.network),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{image_of, is_name};

    #[test]
    fn images_are_named_as_the_playbooks_name_them() {
        assert_eq!(image_of(Some("mine"), "redis:faults"), "mine-redis:faults");
        for images in [None, Some("")] {
            assert_eq!(image_of(images, "redis:faults"), "rollcall-redis:faults");
        }
    }

    #[test]
    fn o10_a_name_that_would_lead_elsewhere_is_none() {
        assert!(is_name("rollcall-chaos") && is_name("r_2"));
        let too_long = "x".repeat(41);
        for name in ["", "..", "a/b", "-a", "A", "a b", "a\n", "ä", &too_long] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
