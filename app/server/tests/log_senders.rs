//! What a room remembers of its senders: the number, text and place of the last message of each, bounded and for some time.

mod support;

use std::time::Duration;

use rollcall_protocol::EntryId;
use rollcall_server::{
    config::LogBounds,
    log::{Appended, NewEntry, Refusal, room_key},
};
use support::{
    Redis,
    logs::{bounds, entry, eventually, memory_log, redis_log, refusal, taken},
};

/// Small posts with fresh keys filled Redis by what was remembered of them.
#[tokio::test]
async fn s2_a_room_remembers_so_many_senders_and_none_for_long() {
    let redis = Redis::start().await;
    let few = LogBounds { senders: 4, numbers_kept: Duration::from_secs(20), ..bounds() };
    for log in [redis_log(&redis, few.clone()), memory_log(few.clone())] {
        for member in ["a", "b", "c", "d"] {
            taken(&log, &entry("vault", member, 1)).await;
        }
        let outcome = refusal(log.append(&entry("vault", "e", 1), None).await);
        assert_eq!(outcome, Err(Refusal::Senders), "those have only just spoken");
        taken(&log, &entry("vault", "a", 2)).await;
        taken(&log, &entry("lobby", "e", 1)).await;
        eventually("the one who was silent for longest makes room", async || {
            refusal(log.append(&entry("vault", "e", 1), None).await).is_ok()
        })
        .await;
        let known = log.append(&entry("vault", "a", 9), None).await.expect("an answer");
        assert_eq!(known, Appended::Expected(3), "it spoke after the others");
    }
    let sent = redis.command(&["KEYS", "*:room:vault:sent:*"]).await;
    assert!(sent.starts_with("*4\r\n"), "{sent}");
    let log = redis_log(&redis, bounds());
    taken(&log, &entry("quiet", "teal", 1)).await;
    let left = redis.command(&["PTTL", &room_key("quiet", "sent:teal")]).await;
    let left: u64 = left.trim_start_matches(':').trim().parse().expect("ms");
    assert!((500_000..=600_000).contains(&left), "{left} ms");
}

/// Requests with fresh keys, from one address within its rates, took every place that a room has for senders: people
/// who came into the room then, or had been silent for a minute, waited for up to half a minute to be heard.
#[tokio::test]
async fn requests_leave_half_of_the_places_to_members_of_the_room() {
    let redis = Redis::start().await;
    let few = LogBounds { senders: 4, ..bounds() };
    let posted = |member| NewEntry { is_in_room: false, ..entry("vault", member, 1) };
    for log in [redis_log(&redis, few.clone()), memory_log(few.clone())] {
        taken(&log, &posted("a")).await;
        taken(&log, &posted("b")).await;
        let outcome = refusal(log.append(&posted("c"), None).await);
        assert_eq!(outcome, Err(Refusal::Senders), "half of the places are not for requests");
        taken(&log, &entry("vault", "c", 1)).await;
        taken(&log, &entry("vault", "d", 1)).await;
        let outcome = refusal(log.append(&entry("vault", "e", 1), None).await);
        assert_eq!(outcome, Err(Refusal::Senders), "all are taken");
        let again = log.append(&posted("a"), None).await.expect("an answer");
        assert!(matches!(again, Appended::Duplicate(Some(_))), "{again:?}");
    }
    let one = LogBounds { senders: 1, ..bounds() };
    taken(&memory_log(one), &posted("a")).await;
}

/// S30: a number belongs to one text.
#[tokio::test]
async fn s30_another_text_under_the_same_number_is_refused() {
    let redis = Redis::start().await;
    for log in [redis_log(&redis, bounds()), memory_log(bounds())] {
        let first = entry("vault", "teal", 1);
        let id = taken(&log, &first).await;
        let other = NewEntry { text: "something else".to_owned(), ..first.clone() };
        let outcome = log.append(&other, None).await.expect("an answer");
        assert_eq!(outcome, Appended::NumberTaken { expected: 2 });
        assert_eq!(
            log.append(&first, None).await.expect("an answer"),
            Appended::Duplicate(Some(id))
        );
        taken(&log, &NewEntry { n: 2, ..other }).await;
    }
}

/// S5, where the server tries again by itself: a day's jump of Redis' clock ends its memory of numbers at once, and what
/// was taken without an answer was taken once more.
#[tokio::test]
async fn s5_what_an_earlier_try_left_is_found_when_its_memory_has_gone() {
    let redis = Redis::start_with_faults().await;
    let log = redis_log(&redis, bounds());
    let head = taken(&log, &entry("vault", "plum", 1)).await;
    let mine = entry("vault", "teal", 7);
    let id = taken(&log, &mine).await;
    taken(&log, &entry("vault", "plum", 2)).await;
    redis.set_clock_ahead(24 * 3600);
    let again =
        async |entry: &NewEntry, head| log.append_settled(entry, head).await.expect("an answer");
    assert_eq!(again(&mine, head).await, Appended::Duplicate(Some(id)));
    let posted = log.append(&mine, Some(EntryId::ZERO)).await.expect("an answer");
    assert_eq!(posted, Appended::Duplicate(Some(id)));
    let other = NewEntry { text: "something else".to_owned(), ..mine.clone() };
    assert_eq!(again(&other, head).await, Appended::NumberTaken { expected: 8 });
    // What was known before is no earlier try, and a log that lost its end has none.
    let highest = EntryId::new(u64::MAX, u64::MAX);
    for (n, head) in [(8, id), (9, highest)] {
        redis.command(&["DEL", &room_key("vault", &format!("sent:{}", mine.member))]).await;
        assert!(matches!(again(&NewEntry { n, ..mine.clone() }, head).await, Appended::Taken(_)));
    }
}

/// The newest 500 entries are looked through, and no more: what a stranger can make Redis read is bounded.
#[tokio::test]
async fn an_earlier_try_is_found_among_the_newest_500_entries() {
    let redis = Redis::start().await;
    let forgets = LogBounds { numbers_kept: Duration::ZERO, ..bounds() };
    for log in [redis_log(&redis, bounds()), memory_log(forgets)] {
        let mine = entry("vault", "teal", 7);
        let id = taken(&log, &mine).await;
        let again = async || {
            redis.command(&["DEL", &room_key("vault", &format!("sent:{}", mine.member))]).await;
            log.append(&mine, Some(EntryId::ZERO)).await.expect("an answer")
        };
        for n in 1..500 {
            taken(&log, &entry("vault", "plum", n)).await;
        }
        assert_eq!(again().await, Appended::Duplicate(Some(id)), "the 500th");
        taken(&log, &entry("vault", "plum", 500)).await;
        assert!(matches!(again().await, Appended::Taken(_)), "the 501st");
    }
}
