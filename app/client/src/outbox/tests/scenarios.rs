//! The outbox by the scenarios that the page's outbox is tested with too.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{super::*, named, own, text};

/// One scenario under way.
struct Scenario {
    outbox: Outbox,
    limit: usize,
    now: Instant,
    told: Value,
}

impl Scenario {
    fn tell(&mut self, what: &str, item: impl Into<Value>) {
        self.told
            .as_object_mut()
            .expect("an object")
            .entry(what)
            .or_insert_with(|| Value::Array(Vec::new()));
        self.told[what].as_array_mut().expect("a list").push(item.into());
    }

    /// Carries out one event, then sends what is due; what came of it.
    fn step(&mut self, event: &str, value: &Value) -> Value {
        self.told = Value::Object(serde_json::Map::new());
        match event {
            "say" => self.say(value),
            "live" => {
                let settled = self.outbox.live();
                settled.taken.into_iter().for_each(|(it, _)| self.tell("acked", it.text));
                settled.unknown.into_iter().for_each(|it| self.tell("unknown", it.text));
            }
            "own" => self.outbox.seen(&own(value), true),
            "ack" => {
                let taken = self.outbox.ack(value.as_u64().expect("a number"));
                taken.into_iter().for_each(|it| self.tell("acked", it.text));
            }
            "reject" => self.reject(value),
            "gap" => self.outbox.gap(named(value)),
            "lost" => self.outbox.connection_lost(),
            "pass_ms" => self.now += Duration::from_millis(value.as_u64().expect("ms")),
            other => panic!("no such event: {other}"),
        }
        let free = self.limit - self.outbox.on_its_way();
        for Outgoing { n, text, change } in self.outbox.take_due(free, self.now) {
            let told = match change {
                None => json!([n, text]),
                Some(Change::Edit(of)) => json!([n, text, { "edit": of }]),
                Some(Change::Remove(of)) => json!([n, text, { "remove": of }]),
            };
            self.tell("sends", told);
        }
        self.told.take()
    }

    /// A text, or {`text`, `edit` or `remove`}.
    fn say(&mut self, value: &Value) {
        let of = |what: &str| value.get(what).map(named);
        let change = of("edit").map(Change::Edit).or(of("remove").map(Change::Remove));
        let said = if value.is_string() { value } else { &value["text"] };
        self.outbox.push(text(said), change, self.now).expect("room in the outbox");
    }

    fn reject(&mut self, reject: &Value) {
        let n = reject["n"].as_u64().expect("a number");
        let retry = reject["retry_ms"].as_u64().map(Duration::from_millis);
        let code = named(&reject["code"]);
        match self.outbox.reject(n, code, reject["expected"].as_u64(), retry, self.now) {
            Refusal::Dropped(it) => self.tell("refused", it.text),
            Refusal::Retry(_) | Refusal::Stale => {}
        }
    }
}

/// S5, S24, S28: the page's outbox passes the same.
#[test]
fn the_shared_scenarios() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fixtures");
    let files = ["outbox", "outbox-changes"].map(|folder| fs::read_dir(fixtures.join(folder)));
    let mut count = 0;
    for entry in files.into_iter().flat_map(|files| files.expect("the scenarios")) {
        let path = entry.expect("readable").path();
        let json = fs::read_to_string(&path).expect("readable");
        let scenario: Value = serde_json::from_str(&json).expect("valid JSON");
        let limit = scenario["pending"].as_u64().map_or(32, |limit| limit as usize);
        let outbox = Outbox::new(256);
        let mut run = Scenario { outbox, limit, now: Instant::now(), told: Value::Null };
        for (number, step) in scenario["steps"].as_array().expect("steps").iter().enumerate() {
            let mut due = step.as_object().expect("a step").clone();
            let event =
                due.keys().find(|key| !OUTCOMES.contains(&key.as_str())).expect("an event").clone();
            let value = due.remove(&event).expect("its value");
            let told = run.step(&event, &value);
            assert_eq!(told, Value::Object(due), "{}: step {}: {step}", path.display(), number + 1);
        }
        count += 1;
    }
    assert!(count >= 20, "{count} scenarios");
}

const OUTCOMES: [&str; 4] = ["sends", "acked", "refused", "unknown"];
