use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

use super::Stack;

/// A playbook with its settings, as an operator would run it.
#[derive(Debug)]
pub struct Playbook {
    name: String,
    command: std::process::Command,
}

/// A playbook that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What the operator saw, both streams.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

impl Playbook {
    pub(super) fn new(stack: &Stack, root: &Path, name: &str) -> Self {
        let mut command = std::process::Command::new(root.join(".venv/bin/ansible-playbook"));
        command.current_dir(root.join("ansible")).arg(format!("playbooks/{name}.yml"));
        let mut playbook = Self { name: name.to_owned(), command };
        let place = &stack.place;
        playbook = playbook
            .set("rollcall_project", &place.project)
            .set("rollcall_port", &place.port.to_string())
            .set("rollcall_network_prefix", &place.network)
            .set("rollcall_run_dir", &stack.run_dir.to_string_lossy());
        if let Some(machines) = &stack.machines {
            playbook.command.args(["-i", machines.inventory()]).env("PATH", machines.search_path());
        }
        if let Some(image) = &stack.redis_image {
            playbook = playbook.set("rollcall_redis_image", image);
        }
        for (name, value) in &stack.set {
            playbook = playbook.set(name, value);
        }
        if !stack.env.is_empty() {
            let extra = serde_json::json!({ "rollcall_server_env_extra": stack.env });
            playbook.command.args(["-e", &extra.to_string()]);
        }
        playbook
    }

    /// With one more variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.command.args(["-e", &format!("{name}={value}")]);
        self
    }

    /// With one more argument of `ansible-playbook`.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// As a command line, for a program that runs it itself. The working directory matters to
    /// Ansible, so `env` changes it.
    #[must_use]
    pub fn command_line(&self) -> Vec<String> {
        let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let mut line = vec!["env".to_owned()];
        if let Some(directory) = self.command.get_current_dir() {
            line.extend(["-C".to_owned(), text(directory.as_os_str())]);
        }
        line.push(text(self.command.get_program()));
        line.extend(self.command.get_args().map(text));
        line
    }

    /// Starts it in a process group of its own; its output is piped.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(self) -> anyhow::Result<Child> {
        let mut command = Command::from(self.command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = command.process_group(0).kill_on_drop(true).spawn();
        started.with_context(|| format!("cannot start {}.yml; scripts/setup?", self.name))
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub async fn run(self) -> anyhow::Result<Ended> {
        let began = Instant::now();
        let output = self.start()?.wait_with_output().await?;
        let text = [output.stdout, output.stderr].concat();
        let output_text = String::from_utf8_lossy(&text).into_owned();
        Ok(Ended { status: output.status, output: output_text, took: began.elapsed() })
    }

    /// Runs it, and takes anything but success for an error.
    ///
    /// # Errors
    ///
    /// If it cannot be started or fails; with the end of what it printed.
    pub async fn succeed(self) -> anyhow::Result<Ended> {
        let name = self.name.clone();
        let ended = self.run().await?;
        if !ended.status.success() {
            bail!("{name}.yml failed:\n{}", ended.tail(20));
        }
        Ok(ended)
    }
}

impl Ended {
    /// The last lines of what it printed.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.output.trim_end().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
