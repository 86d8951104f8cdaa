//! What can be set.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Parser};
use rollcall_client::Tls;

use crate::sources::connections::Replica;

/// The port of a replica's admin listener in a stack of Ansible's.
const ADMIN_PORT: u16 = 8090;
/// The last number of the first replica's addresses in a stack's network: blue and green.
const FIRST: [u8; 2] = [11, 111];
/// More have no addresses there.
const MOST: u8 = 99;

/// The stage: what a hall sees of a Rollcall stack, at http://127.0.0.1:PORT/stage
#[derive(Debug, Parser)]
#[command(name = "rollcall-stage", version)]
pub struct Options {
    /// Where the page is, on this machine only.
    #[arg(long, env = "ROLLCALL_STAGE_PORT", default_value_t = 8070)]
    pub port: u16,
    /// Show a recording; no stack is needed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["network", "replica", "record", "acts", "verdict"])]
    pub replay: Option<PathBuf>,
    /// The stack.
    #[command(flatten)]
    pub stack: Stack,
}

/// Which stack is shown, and what of it.
#[derive(Debug, Args)]
pub struct Stack {
    /// The service, where two witnesses listen.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Authorities to believe where the service is `https://`, in PEM.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// A room to listen in; the log of the first is shown.
    #[arg(long, default_value = "lobby")]
    pub room: Vec<String>,
    /// First three numbers of the stack's network, such as 172.30.90.
    #[arg(long, value_name = "PREFIX")]
    pub network: Option<String>,
    /// How many replicas there are in it.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST)))]
    pub replicas: u8,
    /// A replica by itself, NAME=BLUE,GREEN: the ADDRESS:PORT of its slots' admin listeners.
    #[arg(long, value_name = "REPLICA")]
    pub replica: Vec<Replica>,
    /// The stack's directory, which has the journal of deploys and HAProxy's socket.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The journal of deploys, if it is elsewhere.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// HAProxy's runtime socket, if it is elsewhere.
    #[arg(long, value_name = "SOCKET")]
    pub haproxy: Option<PathBuf>,
    /// Where the audience joins: shown, and as a picture for phones.
    #[arg(long, value_name = "URL")]
    pub join: Option<String>,
    /// Where rollcall-bots write their report: the roll call is shown when it comes.
    #[arg(long, value_name = "FILE")]
    pub verdict: Option<PathBuf>,
    /// What the page's keys do: a TOML file.
    #[arg(long, value_name = "FILE")]
    pub acts: Option<PathBuf>,
    /// Keep all that happens, to be shown again by --replay.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

impl Stack {
    /// The replicas, and where their admin listeners are.
    ///
    /// # Errors
    ///
    /// If none is named.
    pub fn replicas(&self) -> anyhow::Result<Vec<Replica>> {
        let mut replicas = self.replica.clone();
        if let Some(network) = &self.network {
            for number in 0..self.replicas {
                let slot = |first| format!("{network}.{}:{ADMIN_PORT}", first + number);
                let told = format!("r{}={},{}", number + 1, slot(FIRST[0]), slot(FIRST[1]));
                let replica = told.parse();
                replicas.push(replica.with_context(|| {
                    format!("--network takes three numbers, such as 172.30.90, and not {network:?}")
                })?);
            }
        }
        ensure!(
            !replicas.is_empty(),
            "name the stack that is shown by --network or --replica, or a recording by --replay"
        );
        Ok(replicas)
    }

    /// Over TLS whom to believe.
    ///
    /// # Errors
    ///
    /// If the file has no certificate.
    pub fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let Some(path) = &self.ca else { return Ok(None) };
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(Tls::trusting(&pem).with_context(|| format!("in {}", path.display()))?))
    }

    /// The journal, if one is named.
    pub fn journal(&self) -> Option<PathBuf> {
        let ours = || Some(self.state.as_ref()?.join("deploys.jsonl"));
        self.journal.clone().or_else(ours)
    }

    /// HAProxy's socket, if one is named.
    pub fn haproxy(&self) -> Option<PathBuf> {
        let ours = || Some(self.state.as_ref()?.join("run/haproxy.sock"));
        self.haproxy.clone().or_else(ours)
    }
}
