//! Every golden fixture parses, and serialises back to itself; every frame has a fixture. The frames of older
//! releases, kept as they were, still mean the same: during a roll both releases speak to the same clients.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rollcall_protocol::{ClientFrame, ServerFrame};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn named(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("fixtures/ is part of the crate");
    entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
        })
        .collect()
}

fn fixtures(folder: &Path, side: &str) -> Vec<(String, Value)> {
    let mut found: Vec<_> = named(folder, side)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            (path.display().to_string(), serde_json::from_str(&text).expect("valid JSON"))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn types(fixtures: &[(String, Value)]) -> BTreeSet<String> {
    fixtures.iter().filter_map(|(_, value)| Some(value["type"].as_str()?.to_owned())).collect()
}

#[test]
fn client_frames_round_trip() {
    let fixtures = fixtures(&golden(), "client_");
    for (path, value) in &fixtures {
        let frame: ClientFrame = serde_json::from_value(value.clone()).expect(path);
        assert_ne!(frame, ClientFrame::Unknown, "{path}");
        assert_eq!(&serde_json::to_value(&frame).expect(path), value, "{path}");
    }
    let all = ["bye", "hello", "join", "leave", "ping", "read", "send", "typing"];
    assert_eq!(types(&fixtures), all.map(String::from).into());
}

#[test]
fn server_frames_round_trip() {
    let fixtures = fixtures(&golden(), "server_");
    for (path, value) in &fixtures {
        let frame: ServerFrame = serde_json::from_value(value.clone()).expect(path);
        assert_ne!(frame, ServerFrame::Unknown, "{path}");
        assert_eq!(&serde_json::to_value(&frame).expect(path), value, "{path}");
    }
    let all = [
        "ack", "error", "gap", "goaway", "joined", "live", "members", "message", "pong",
        "presence", "read", "reject", "room", "status", "typing", "welcome",
    ];
    assert_eq!(types(&fixtures), all.map(String::from).into());
}

/// An older release's frames, with a field that this one does not know: each still has all that it said.
fn still_read<F: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(
    release: &Path,
    side: &str,
    unknown: &F,
) {
    let fixtures = fixtures(release, side);
    assert!(!fixtures.is_empty(), "{}", release.display());
    for (path, old) in fixtures {
        let mut with_more = old.clone();
        with_more["colour"] = json!({ "of": ["another", "release"] });
        let frame: F = serde_json::from_value(with_more).expect(&path);
        assert_ne!(&frame, unknown, "{path}");
        let read = serde_json::to_value(&frame).expect(&path);
        for (field, value) in old.as_object().expect("an object") {
            assert_eq!(&read[field], value, "{path}: {field}");
        }
    }
}

#[test]
fn frames_of_older_releases_are_still_read() {
    let releases = named(&golden(), "release-");
    assert!(!releases.is_empty());
    for release in releases {
        still_read(&release, "client_", &ClientFrame::Unknown);
        still_read(&release, "server_", &ServerFrame::Unknown);
    }
}

#[test]
fn unknown_fields_are_ignored_and_unknown_types_are_recognised() {
    let ping = serde_json::from_str(r#"{"type":"ping","t":1,"colour":"red"}"#);
    assert_eq!(ping.ok(), Some(ClientFrame::Ping { t: 1 }));
    let odd = serde_json::from_str(r#"{"type":"teleport","room":"vault"}"#);
    assert_eq!(odd.ok(), Some(ClientFrame::Unknown));
    let odd = serde_json::from_str(r#"{"type":"teleported","to":[1,2]}"#);
    assert_eq!(odd.ok(), Some(ServerFrame::Unknown));
}

/// Whatever the code of a later release, what follows from the rest of the frame stays the same.
#[test]
fn a_code_of_a_later_release_is_no_protocol_error() {
    let coded = [("error", "code"), ("reject_rate", "code"), ("gap", "reason"), ("status", "log")];
    for (name, field) in coded {
        let path = golden().join(format!("server_{name}.json"));
        let text = fs::read_to_string(path).expect("readable");
        let mut frame: Value = serde_json::from_str(&text).expect("valid JSON");
        frame[field] = json!("overcast");
        let read: ServerFrame = serde_json::from_value(frame.clone()).expect(name);
        let mut again = serde_json::to_value(read).expect(name);
        assert_eq!(again[field].take(), json!("other"), "{name}");
        frame[field].take();
        assert_eq!(again, frame, "{name}");
    }
}

#[test]
fn wrong_types_are_errors() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"send","room":"vault","n":"1","text":"x"}"#,
        r#"{"type":"send","room":"vault","n":-1,"text":"x"}"#,
        r#"{"type":"join","room":"vault","after":"latest"}"#,
        r#"{"type":"join"}"#,
    ] {
        assert!(serde_json::from_str::<ClientFrame>(text).is_err(), "{text}");
    }
}
