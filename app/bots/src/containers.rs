//! The containers of a stack by their real names, for people who have to look at one.

use tokio::process::Command;

/// Those of these replicas, or of all if there are none: what Docker has of the project, or how they are called if
/// Docker does not tell.
pub async fn of(project: &str, replicas: &[String]) -> Vec<String> {
    let known = listed(project).await;
    let is_of = |name: &String, replica: &String| {
        let slot = name.strip_prefix(&format!("{project}-{replica}-"));
        matches!(slot, Some("blue" | "green"))
    };
    let named = |replica: &String| {
        let mut names: Vec<String> =
            known.iter().filter(|name| is_of(name, replica)).cloned().collect();
        if names.is_empty() {
            names.push(format!("{project}-{replica}-green (or -blue)"));
        }
        names
    };
    replicas.iter().flat_map(named).collect()
}

/// Nothing if Docker cannot be asked.
async fn listed(project: &str) -> Vec<String> {
    let label = format!("label=rollcall.project={project}");
    let mut docker = Command::new("docker");
    docker.args(["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]);
    let told = docker.output().await.ok().filter(|told| told.status.success());
    let names = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    let mut names: Vec<String> = names.unwrap_or_default().lines().map(str::to_owned).collect();
    names.sort();
    names
}
