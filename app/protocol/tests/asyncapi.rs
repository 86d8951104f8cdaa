//! `asyncapi.json` describes every frame, and every fixture is as it says.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn description() -> Value {
    read(&crate_folder().join("asyncapi.json"))
}

/// All fixtures of frames, of this release and of older ones: the side that says it, where it is, what it is.
fn fixtures() -> Vec<(&'static str, String, Value)> {
    let mut found = Vec::new();
    for folder in ["fixtures", "fixtures/release-1.0.0"] {
        for entry in fs::read_dir(crate_folder().join(folder)).expect("fixtures") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let side = ["client", "server"].into_iter().find(|it| name.starts_with(it));
            if let Some(side) = side {
                found.push((side, path.display().to_string(), read(&path)));
            }
        }
    }
    found
}

/// The schema of a frame, with all that it refers to.
fn schema(description: &Value, side: &str, frame: &Value) -> Value {
    let kind = frame["type"].as_str().expect("a type");
    let payload = &description["components"]["messages"][format!("{side}_{kind}")]["payload"];
    assert!(payload.is_object(), "{side}_{kind} is not described");
    let mut schema = payload.clone();
    schema["components"] = json!({ "schemas": description["components"]["schemas"] });
    schema
}

#[test]
fn every_fixture_is_as_described() {
    let (description, fixtures) = (description(), fixtures());
    assert!(fixtures.len() > 50, "{}", fixtures.len());
    for (side, path, frame) in fixtures {
        let schema = schema(&description, side, &frame);
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors: Vec<_> = validator.iter_errors(&frame).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
        let described = schema["properties"].as_object().expect("properties");
        for field in frame.as_object().expect("an object").keys() {
            assert!(described.contains_key(field), "{path}: {field} is not described");
        }
        for required in schema["required"].as_array().expect("required") {
            let mut less = frame.clone();
            less.as_object_mut().expect("an object").remove(required.as_str().expect("a name"));
            assert!(!validator.is_valid(&less), "{path}: {required} is not missed");
        }
    }
}

#[test]
fn every_frame_is_described_and_no_other() {
    let description = description();
    let messages = description["components"]["messages"].as_object().expect("messages");
    let described: BTreeSet<_> = messages.keys().cloned().collect();
    let known: BTreeSet<_> = fixtures()
        .into_iter()
        .map(|(side, _, frame)| format!("{side}_{}", frame["type"].as_str().expect("a type")))
        .collect();
    assert_eq!(described, known);
}

#[test]
fn every_reference_leads_somewhere() {
    fn look(value: &Value, whole: &Value, found: &mut usize) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(way)) = fields.get("$ref") {
                    let pointer = way.strip_prefix('#').expect("a way inside");
                    assert!(whole.pointer(pointer).is_some(), "{way} leads nowhere");
                    *found += 1;
                }
                fields.values().for_each(|value| look(value, whole, found));
            }
            Value::Array(items) => items.iter().for_each(|value| look(value, whole, found)),
            _ => {}
        }
    }
    let (description, mut found) = (description(), 0);
    look(&description, &description, &mut found);
    assert!(found > 50, "{found}");
}
