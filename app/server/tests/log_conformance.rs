//! The log in Redis and the log in memory do the same, and what a model says.

mod support;

use std::collections::HashMap;

use proptest::{prelude::*, test_runner::TestRunner};
use rollcall_protocol::EntryId;
use rollcall_server::log::{Appended, Log, NewEntry};
use support::{
    Redis, assert_chain,
    logs::{bounds, entry, memory_log, redis_log, taken},
};

/// What the log should do, as `protocol/README.md` tells it to senders.
#[derive(Default)]
struct Model {
    sent: HashMap<(String, String), (u64, EntryId, String)>,
}

impl Model {
    fn check(&mut self, entry: &NewEntry, outcome: Appended) -> Result<(), TestCaseError> {
        let sender = (entry.room.clone(), entry.member.clone());
        match (self.sent.get(&sender), outcome) {
            (Some((last, ..)), Appended::Taken(_)) => prop_assert_eq!(entry.n, last + 1),
            (Some((last, id, text)), Appended::Duplicate(got)) => {
                prop_assert!(entry.n < *last || (entry.n == *last && entry.text == *text));
                prop_assert_eq!(got, (entry.n == *last).then_some(*id));
            }
            (Some((last, _, text)), Appended::NumberTaken { expected }) => {
                prop_assert!(entry.n == *last && entry.text != *text);
                prop_assert_eq!(expected, last + 1);
            }
            (Some((last, ..)), Appended::Expected(n)) => {
                prop_assert!(entry.n > last + 1);
                prop_assert_eq!(n, last + 1);
            }
            (_, Appended::NumberTaken { .. }) => {
                prop_assert!(false, "here no number has two texts");
            }
            (None, Appended::Taken(_)) => {}
            (None, other) => prop_assert!(false, "first message: {:?}", other),
        }
        if let Appended::Taken(id) = outcome {
            self.sent.insert(sender, (entry.n, id, entry.text.clone()));
        }
        Ok(())
    }
}

async fn follows_the_model(log: &Log, sends: &[NewEntry]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut expected: HashMap<String, Vec<(EntryId, String)>> = HashMap::new();
    for send in sends {
        let outcome = log.append(send, None).await.expect("an answer");
        model.check(send, outcome)?;
        if let Appended::Taken(id) = outcome {
            expected.entry(send.room.clone()).or_default().push((id, send.text.clone()));
        }
    }
    for (room, entries) in expected {
        let page = log.read_after(&room, EntryId::ZERO, 10_000).await.expect("an answer");
        let read: Vec<_> = page.entries.iter().map(|e| (e.id, e.text.clone())).collect();
        prop_assert_eq!(&read, &entries);
        prop_assert_eq!(Some(page.last), entries.last().map(|(id, _)| *id));
        prop_assert_eq!(log.last(&room).await.expect("an answer"), page.last);
        assert_chain(EntryId::ZERO, &page.entries);
    }
    Ok(())
}

fn sends() -> impl Strategy<Value = Vec<NewEntry>> {
    let send = (0..3_u8, 0..3_u8, 1..6_u64, any::<bool>());
    prop::collection::vec(send, 1..40).prop_map(|sends| {
        let entry = |(room, member, n, other)| {
            let entry = entry(&format!("room{room}"), &format!("m{member}"), n);
            NewEntry { text: format!("{}{}", entry.text, if other { "!" } else { "" }), ..entry }
        };
        sends.into_iter().map(entry).collect()
    })
}

#[test]
fn both_logs_follow_the_model() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let redis = runtime.block_on(Redis::start());
    let log = {
        let _inside = runtime.enter();
        redis_log(&redis, bounds())
    };
    let config = ProptestConfig { cases: 100, ..ProptestConfig::default() };
    // Proptest prints the shrunk case and its seed when one fails.
    let result = TestRunner::new(config).run(&sends(), |sends| {
        runtime.block_on(async {
            follows_the_model(&memory_log(bounds()), &sends).await?;
            redis.command(&["FLUSHALL"]).await;
            follows_the_model(&log, &sends).await
        })
    });
    result.expect("the model");
}

async fn pages_meet(log: &Log) {
    let mut ids = Vec::new();
    for n in 1..=10 {
        ids.push(taken(log, &entry("vault", "teal", n)).await);
    }
    let page = log.read_after("vault", ids[3], 4).await.expect("a page");
    assert_eq!(page.entries.iter().map(|e| e.id).collect::<Vec<_>>(), ids[4..8]);
    assert_eq!(page.last, ids[9]);
    let page = log.read_before("vault", Some(ids[8]), 3).await.expect("a page");
    assert_eq!(page.entries.iter().map(|e| e.id).collect::<Vec<_>>(), ids[5..8]);
    let page = log.read_before("vault", None, 2).await.expect("a page");
    assert_eq!(page.entries.iter().map(|e| e.id).collect::<Vec<_>>(), ids[8..]);
    let page = log.read_before("nowhere", None, 2).await.expect("a page");
    assert_eq!((page.entries.len(), page.last), (0, EntryId::ZERO));
}

#[tokio::test]
async fn pages_meet_in_both_logs() {
    pages_meet(&memory_log(bounds())).await;
    let redis = Redis::start().await;
    pages_meet(&redis_log(&redis, bounds())).await;
}

#[tokio::test]
async fn a_flushed_function_library_is_loaded_again() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    taken(&log, &entry("vault", "teal", 1)).await;
    redis.command(&["FUNCTION", "FLUSH"]).await;
    taken(&log, &entry("vault", "teal", 2)).await;
}

#[tokio::test]
async fn the_chain_survives_a_trim_to_nothing() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let last = taken(&log, &entry("vault", "teal", 1)).await;
    redis.command(&["XTRIM", &redis.log_key("vault").await, "MAXLEN", "0"]).await;
    taken(&log, &entry("vault", "teal", 2)).await;
    let page = log.read_after("vault", EntryId::ZERO, 10).await.expect("a page");
    assert_eq!(page.entries[0].prev, last);
}
