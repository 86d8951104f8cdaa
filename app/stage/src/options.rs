//! What can be set.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, ensure};
use clap::{Args, Parser};
use rollcall_client::Tls;

use crate::{hall, sources::connections::Replica};

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
    #[arg(long, value_name = "URL", value_parser = to_hall)]
    pub join: Option<String>,
    /// Where rollcall-bots write their report: the roll call is shown when it comes.
    #[arg(long, value_name = "FILE")]
    pub verdict: Option<PathBuf>,
    /// The Wi-Fi that phones need first, as their cameras read it: WIFI:T:WPA;S:NAME;P:PASSWORD;; Other users of this machine
    /// can read a command line, and not the variable.
    #[arg(
        long,
        value_name = "WIFI",
        requires = "join",
        env = "ROLLCALL_STAGE_WIFI",
        hide_env_values = true
    )]
    pub wifi: Option<Wifi>,
    /// What the page's keys do: a TOML file.
    #[arg(long, value_name = "FILE")]
    pub acts: Option<PathBuf>,
    /// Keep all that happens, to be shown again by --replay.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// The address of a hall: an address that names no place in the page leads there.
fn to_hall(address: &str) -> anyhow::Result<String> {
    let known = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
    ensure!(known, "it begins with http:// or https://");
    match address.split_once('#') {
        Some(_) => Ok(address.to_owned()),
        None => Ok(format!("{}/#{}", address.trim_end_matches('/'), hall::ROOM)),
    }
}

/// A Wi-Fi, as phones' cameras read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// All of it.
    pub text: String,
    /// Its name.
    pub name: String,
}

impl FromStr for Wifi {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let fields = text.strip_prefix("WIFI:").context("it is WIFI:T:WPA;S:NAME;P:PASSWORD;;")?;
        // What has a meaning there has a backslash before it.
        let (mut name, mut field, mut is_escaped) = (None, String::new(), false);
        for letter in fields.chars() {
            match letter {
                _ if is_escaped => field.push(letter),
                '\\' => {}
                ';' => {
                    name = name.or(field.strip_prefix("S:").map(str::to_owned));
                    field.clear();
                }
                _ => field.push(letter),
            }
            is_escaped = letter == '\\' && !is_escaped;
        }
        let name = name.filter(|name| !name.is_empty()).context("it has no name: S:NAME;")?;
        Ok(Self { text: text.to_owned(), name })
    }
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

#[cfg(test)]
mod tests {
    use super::{Wifi, to_hall};

    #[test]
    fn an_address_leads_to_the_hall() {
        for (told, leads) in [
            ("http://10.0.0.5:8080", "http://10.0.0.5:8080/#hall"),
            ("https://chat.example/", "https://chat.example/#hall"),
            ("https://chat.example/#lobby", "https://chat.example/#lobby"),
        ] {
            assert_eq!(to_hall(told).expect("an address"), leads);
        }
        let refused = to_hall("10.0.0.5").expect_err("refused");
        assert_eq!(refused.to_string(), "it begins with http:// or https://");
    }

    #[test]
    fn a_wifi_has_a_name_whatever_is_in_it() {
        for (told, name) in [
            ("WIFI:T:WPA;S:Hall 1;P:secret;;", "Hall 1"),
            (r"WIFI:S:A\;B\\C;T:nopass;;", r"A;B\C"),
            ("WIFI:T:WPA;P:S:x;S:Hall;;", "Hall"),
        ] {
            assert_eq!(told.parse::<Wifi>().expect("a Wi-Fi").name, name);
        }
        for (told, why) in [
            ("Hall", "it is WIFI:T:WPA;S:NAME;P:PASSWORD;;"),
            ("WIFI:T:WPA;P:secret;;", "it has no name: S:NAME;"),
        ] {
            assert_eq!(told.parse::<Wifi>().expect_err("refused").to_string(), why);
        }
    }
}
