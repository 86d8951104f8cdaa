//! The files that git knows.

use std::{path::PathBuf, process::Command};

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Their paths from the top of the repository.
pub fn tracked() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files"]).current_dir(top()).output().expect("git");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let here = |path: &String| top().join(path).is_file();
    let paths: Vec<_> = listed.lines().map(str::to_owned).filter(here).collect();
    assert!(paths.len() > 100, "git ls-files tells {} files", paths.len());
    paths
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).expect("a readable file")
}

/// Whether people read sentences in it; this test's own examples are not meant.
pub fn is_prose(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let kinds = ["rs", "js", "py", "yml", "md", "j2", "lua", "toml", "html", "c", "cfg"];
    let is_script = path.starts_with("scripts/") || path.starts_with("docker/");
    (kinds.contains(&extension) || is_script) && !path.contains("/tidy/")
}
