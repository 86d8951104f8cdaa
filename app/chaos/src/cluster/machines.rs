//! More machines than this one, as `scripts/hosts` makes them: where the replicas of `inventories/example` are.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::docker::run;

/// Where `scripts/hosts` has what it makes.
const PLACE: &str = "/var/lib/rollcall-hosts";
/// Those besides this one.
const NUMBERS: [u8; 2] = [2, 3];
/// This machine's address between them, and that of a pair of HAProxies, the second of which is on the second machine: as
/// the inventory has it.
const HERE: &str = "10.77.0.1";
const FLOATING: &str = "10.77.0.100";
const SECOND: &str = "10.77.0.2";

/// The machines, while they are up.
#[derive(Debug, Clone)]
pub struct Machines {
    script: PathBuf,
}

impl Machines {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// If `scripts/hosts` fails; with what it said.
    pub async fn up(root: &Path) -> anyhow::Result<Self> {
        let machines = Self { script: root.join("scripts/hosts") };
        machines.call(&["up"]).await.map(|()| machines)
    }

    /// Takes them down.
    ///
    /// # Errors
    ///
    /// As [`Self::up`].
    pub async fn down(&self) -> anyhow::Result<()> {
        self.call(&["down"]).await
    }

    /// Restarts the Docker daemon of one, which ends its containers gently and starts them again.
    ///
    /// # Errors
    ///
    /// As [`Self::up`].
    pub async fn restart_docker(&self, number: u8) -> anyhow::Result<()> {
        self.call(&["restart", &number.to_string()]).await
    }

    /// Cuts the power of one, and gives it back.
    ///
    /// # Errors
    ///
    /// As [`Self::up`].
    pub async fn reboot(&self, number: u8) -> anyhow::Result<()> {
        self.call(&["reboot", &number.to_string()]).await
    }

    /// The inventory that has them.
    #[must_use]
    pub fn inventory(&self) -> &'static str {
        "inventories/example"
    }

    /// What makes a pair of HAProxies of them: variables of the playbooks.
    pub fn pair(&self) -> impl Iterator<Item = (String, String)> {
        let set = [
            ("rollcall_floating_address", format!("{FLOATING}/24")),
            ("rollcall_second_machine", SECOND.to_owned()),
        ];
        set.into_iter().map(|(name, value)| (name.to_owned(), value))
    }

    /// Where clients go.
    #[must_use]
    pub fn floating_address(&self) -> &'static str {
        FLOATING
    }

    /// Where Redis is found.
    #[must_use]
    pub fn redis_address(&self) -> &'static str {
        HERE
    }

    /// Runs a program where clients are: on a machine of their own.
    #[must_use]
    pub fn client(&self) -> (&Path, &'static str) {
        (&self.script, "client")
    }

    /// Where programs are found, first of all an `ssh` that knows them.
    #[must_use]
    pub fn search_path(&self) -> OsString {
        let mut path = OsString::from(format!("{PLACE}/bin:"));
        path.push(env::var_os("PATH").unwrap_or_default());
        path
    }

    /// How their Dockers are reached from here, as in `DOCKER_HOST`.
    pub fn dockers(&self) -> impl Iterator<Item = String> {
        NUMBERS.into_iter().map(|number| format!("unix://{PLACE}/host{number}/docker.sock"))
    }

    async fn call(&self, arguments: &[&str]) -> anyhow::Result<()> {
        run(&self.script.to_string_lossy(), arguments).await.map(drop)
    }
}
