//! One browser, driven through Debian's chromedriver by the few calls of the WebDriver protocol that are needed.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// What starts it, one process a browser.
const DRIVER: &str = "chromedriver";
/// How long chromedriver may take to start, and a command in the browser.
const STARTED: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(30);
/// Nothing that calls home, and no sandbox: the harness runs as root.
const FLAGS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
];

/// A browser with one page. It ends when this is dropped.
pub struct Browser {
    http: Client,
    session: String,
    driver: Child,
    /// Where chromedriver writes: it would end if nobody held the other end.
    _output: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one with a profile of its own, which chromedriver makes and removes. It believes whatever certificate has
    /// one of these keys, each the SHA-256 of a public key in base64.
    ///
    /// # Errors
    ///
    /// If chromedriver or Chromium are not there or do not start.
    pub async fn start(keys: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(DRIVER);
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own, to be ended as a whole.
        let started = command.process_group(0).kill_on_drop(true).spawn();
        let mut driver =
            started.context("chromedriver is missing: apt-get install chromium-driver")?;
        let mut output = BufReader::new(driver.stdout.take().context("no output of chromedriver")?);
        let port =
            timeout(STARTED, port(&mut output)).await.context("chromedriver does not start")??;
        let http = Client::builder().timeout(DONE).build()?;
        let base = format!("http://127.0.0.1:{port}/session");
        let believed = format!("--ignore-certificate-errors-spki-list={}", keys.join(","));
        let flags = FLAGS.into_iter().chain((!keys.is_empty()).then_some(&*believed));
        let options = json!({ "args": flags.collect::<Vec<_>>() });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let made = call(&http, &base, &wanted).await?;
        let id = made["sessionId"].as_str().context("chromedriver made no session")?;
        Ok(Self { http, session: format!("{base}/{id}"), driver, _output: output })
    }

    /// Opens an address.
    ///
    /// # Errors
    ///
    /// If it cannot be loaded.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        call(&self.http, &format!("{}/url", self.session), &json!({ "url": url })).await.map(drop)
    }

    /// Runs a function's body in the page. What it returns.
    ///
    /// # Errors
    ///
    /// If it throws, or the page does not answer.
    pub async fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let body = json!({ "script": script, "args": arguments });
        call(&self.http, &format!("{}/execute/sync", self.session), &body).await
    }

    /// Closes it as a person would.
    pub async fn close(self) {
        // What does not close in time is killed with chromedriver.
        let _closed = self.http.delete(&self.session).send().await;
    }
}

impl Drop for Browser {
    /// Chromium outlives its driver: a page that nobody reads would go on talking to the next stack at this port.
    fn drop(&mut self) {
        if let Some(group) = self.driver.id().and_then(|id| i32::try_from(id).ok()) {
            // Nobody is left in it if all have ended by themselves.
            let _gone = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

async fn port(output: &mut BufReader<ChildStdout>) -> anyhow::Result<u16> {
    let mut line = String::new();
    while output.read_line(&mut line).await? > 0 {
        if let Some((_, port)) = line.trim_end().rsplit_once("successfully on port ") {
            return Ok(port.trim_end_matches('.').parse()?);
        }
        line.clear();
    }
    bail!("chromedriver ended")
}

async fn call(http: &Client, url: &str, body: &Value) -> anyhow::Result<Value> {
    let answer: Value = http.post(url).json(body).send().await?.json().await?;
    match answer["value"].get("error") {
        Some(error) => bail!("the browser: {error}: {}", answer["value"]["message"]),
        None => Ok(answer["value"].clone()),
    }
}
