//! A container made again with another limit, all else as it was: Docker cannot change that one of a container that exists.

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Where Docker listens.
const DOCKER: &str = "/var/run/docker.sock";

/// Kills a container and starts one in its place that has the same name, labels, settings and addresses, and so many
/// descriptors; as many as Docker gives by itself if that is none.
///
/// # Errors
///
/// If Docker refuses any of it.
pub async fn remake(container: &str, descriptors: Option<u64>) -> anyhow::Result<()> {
    let known = ask(Method::GET, &format!("/containers/{container}/json"), None).await?;
    let made = made_like(&known, descriptors).context("Docker tells too little of it")?;
    ask(Method::DELETE, &format!("/containers/{container}?force=true"), None).await?;
    ask(Method::POST, &format!("/containers/create?name={container}"), Some(made)).await?;
    ask(Method::POST, &format!("/containers/{container}/start"), None).await.map(drop)
}

/// What to ask for, to get a container like this one.
fn made_like(known: &Value, descriptors: Option<u64>) -> Option<Value> {
    let mut made = known.get("Config")?.clone();
    let mut host = known.get("HostConfig")?.clone();
    host["Ulimits"] = match descriptors {
        Some(most) => json!([{ "Name": "nofile", "Soft": most, "Hard": most }]),
        None => Value::Null,
    };
    made["HostConfig"] = host;
    let networks = known.pointer("/NetworkSettings/Networks")?.as_object()?;
    let address = |network: &Value| json!({ "IPAMConfig": network.get("IPAMConfig") });
    let networks = networks.iter().map(|(name, network)| (name.clone(), address(network)));
    made["NetworkingConfig"] =
        json!({ "EndpointsConfig": networks.collect::<serde_json::Map<_, _>>() });
    Some(made)
}

async fn ask(method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
    let http = Client::builder().unix_socket(DOCKER).build()?;
    let mut request = http.request(method, format!("http://docker{path}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.context("Docker does not answer")?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("Docker: {path}: {status}: {text}");
    }
    ensure!(text.is_empty() || text.starts_with('{'), "Docker: {path}: {text}");
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_again_differs_in_its_limit_only() {
        let known = json!({
            "Id": "8f", "Config": { "Image": "sha256:1", "Labels": { "rollcall.slot": "blue" } },
            "HostConfig": { "Memory": 7, "Ulimits": null },
            "NetworkSettings": { "Networks": { "net": { "IPAMConfig": { "IPv4Address": "10.0.0.11" }, "Gateway": "10.0.0.1" } } },
        });
        let made = made_like(&known, Some(1_024)).expect("enough is known");
        assert_eq!(made["Labels"]["rollcall.slot"], "blue");
        assert_eq!(made["HostConfig"]["Memory"], 7);
        assert_eq!(made["HostConfig"]["Ulimits"][0]["Hard"], 1_024);
        let network = &made["NetworkingConfig"]["EndpointsConfig"]["net"];
        assert_eq!(*network, json!({ "IPAMConfig": { "IPv4Address": "10.0.0.11" } }));
        let again = made_like(&known, None).expect("enough is known");
        assert_eq!(again["HostConfig"], known["HostConfig"]);
    }
}
