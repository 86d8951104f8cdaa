//! Accounts in Redis and in memory: the same words, the same answers.

mod support;

use std::time::Duration;

use rollcall_protocol::Mark;
use rollcall_server::{
    accounts::{
        AccountError, Accounts, Arriving, Identity, MOST_SESSIONS, MemoryAccounts, NotIdentified,
        RedisAccounts, Seen, Standing, Store, Token,
    },
    config::RedisSettings,
    log::Link,
    metrics::Metrics,
};
use support::{Redis, accounts::PASSWORD, logs::eventually};

const SESSION: Duration = Duration::from_secs(3600);

fn in_memory() -> Store {
    Store::Memory(MemoryAccounts::default())
}

fn in_redis(redis: &Redis, new_below: f64) -> Store {
    let settings = RedisSettings::at(&redis.url(), Duration::from_secs(5));
    let link = Link::new(&settings, 1000, Metrics::new()).expect("an address");
    Store::Redis(RedisAccounts::new(link, new_below))
}

async fn both(check: impl AsyncFn(Accounts)) {
    check(Accounts::new(in_memory(), SESSION)).await;
    let redis = Redis::start().await;
    check(Accounts::new(in_redis(&redis, 0.75), SESSION)).await;
}

async fn created(accounts: &Accounts, name: &str) -> Result<String, AccountError> {
    accounts.create(name, PASSWORD.to_owned()).await
}

async fn signed_in(accounts: &Accounts, name: &str) -> Token {
    accounts.sign_in(name, PASSWORD.to_owned()).await.expect("a session").token
}

fn guest(name: &str) -> Arriving {
    Arriving { name: name.to_owned(), device: "00000000000000d1".to_owned(), token: None }
}

#[tokio::test]
async fn a_name_is_one_accounts_however_it_is_written() {
    both(async |accounts| {
        created(&accounts, "Ada").await.expect("an account");
        for name in ["ADA", "\u{410}da", "Ada"] {
            assert!(matches!(created(&accounts, name).await, Err(AccountError::Taken)), "{name}");
            let shown = accounts.identify(&guest(name)).await;
            assert_eq!(shown, Ok(Identity::Guest { name: format!("{name} (guest)") }));
            assert!(matches!(accounts.make_bot(name).await, Err(AccountError::Taken)));
        }
        let opened = accounts.sign_in("aDA", PASSWORD.to_owned()).await.expect("a session");
        assert_eq!(opened.person.name, "Ada");
        let who = accounts.identify(&Arriving { token: Some(opened.token), ..guest("x") }).await;
        let Ok(Identity::Person(person)) = who else { panic!("{who:?}") };
        assert_eq!((&*person.name, person.role), ("Ada", Mark::Registered));
        for (name, password) in [("Ada", "wrong password"), ("Nobody", PASSWORD), ("Ada", "")] {
            let refused = accounts.sign_in(name, password.to_owned()).await;
            assert!(matches!(refused, Err(AccountError::Wrong)), "{name} {password}");
        }
    })
    .await;
}

#[tokio::test]
async fn with_more_sessions_than_there_may_be_the_oldest_ends() {
    both(async |accounts| {
        created(&accounts, "Ada").await.expect("an account");
        let first = signed_in(&accounts, "Ada").await;
        let mut newest = first.clone();
        for _ in 1..MOST_SESSIONS {
            newest = signed_in(&accounts, "Ada").await;
        }
        let person = accounts.person(&first).await.expect("as many as there may be");
        let opened = accounts.sign_in("Ada", PASSWORD.to_owned()).await.expect("one more");
        assert_eq!(opened.ended, [person.session]);
        assert_eq!(accounts.person(&first).await, Err(NotIdentified::BadToken));
        let person = accounts.person(&newest).await.expect("the others go on");
        accounts.sign_out(&person).await.expect("a store that answers");
        assert_eq!(accounts.person(&newest).await, Err(NotIdentified::BadToken));
        let person = accounts.person(&opened.token).await.expect("the last");
        accounts.sign_out_everywhere(&person).await.expect("a store that answers");
        assert_eq!(accounts.person(&opened.token).await, Err(NotIdentified::BadToken));
    })
    .await;
}

#[tokio::test]
async fn sessions_end_unless_they_are_used() {
    let redis = Redis::start().await;
    for store in [in_memory(), in_redis(&redis, 0.75)] {
        let short = Accounts::new(store, Duration::from_secs(6));
        created(&short, "Ada").await.expect("an account");
        let (used, unused) = (signed_in(&short, "Ada").await, signed_in(&short, "Ada").await);
        let past_half = Duration::from_millis(3200);
        tokio::time::sleep(past_half).await;
        let person = short.person(&used).await.expect("it goes on");
        assert_eq!(person.left_ms, Some(6000), "renewed after half of its time");
        tokio::time::sleep(past_half).await;
        short.person(&used).await.expect("it goes on");
        assert_eq!(short.person(&unused).await, Err(NotIdentified::BadToken));
    }
}

#[tokio::test]
async fn a_bot_has_one_token_that_does_not_end_and_no_other_role() {
    both(async |accounts| {
        let first = accounts.make_bot("Herald").await.expect("a bot").token;
        let bot = accounts.person(&first).await.expect("it is known");
        assert_eq!((bot.role, bot.left_ms), (Mark::Bot, None));
        let second = accounts.make_bot("Herald").await.expect("the same bot").token;
        assert_eq!(accounts.person(&first).await, Err(NotIdentified::BadToken));
        accounts.person(&second).await.expect("the new token");
        let promoted = accounts.set_role("Herald", Mark::Moderator).await;
        assert!(matches!(promoted, Err(AccountError::IsBot)));
        assert!(matches!(created(&accounts, "herald").await, Err(AccountError::Taken)));
        let nobody = accounts.set_role("Nobody", Mark::Moderator).await;
        assert!(matches!(nobody, Err(AccountError::Unknown)));
    })
    .await;
}

#[tokio::test]
async fn what_is_true_of_those_who_are_here_is_told_of_all_at_once() {
    both(async |accounts| {
        created(&accounts, "Ada").await.expect("an account");
        let token = signed_in(&accounts, "Ada").await;
        let ada = accounts.person(&token).await.expect("a session");
        let stranger = Seen { member: "00000000000000d2".to_owned(), session: None };
        let mut seen = vec![stranger.clone(); 450];
        seen[300] = ada.seen();
        let told = accounts.standing(&seen).await.expect("a store that answers");
        assert_eq!(told.len(), seen.len());
        assert_eq!(told[300], Standing::Welcome(Some(Mark::Registered)));
        assert_eq!(told[449], Standing::Welcome(None));
        accounts.set_role("ada", Mark::Moderator).await.expect("an account");
        assert!(accounts.ban(&stranger.member, None).await.expect("a store that answers"));
        let told = accounts.standing(&seen).await.expect("a store that answers");
        assert_eq!(told[300], Standing::Welcome(Some(Mark::Moderator)));
        assert_eq!(told[0], Standing::Banned);
        accounts.sign_out(&ada).await.expect("a store that answers");
        let told = accounts.standing(&seen[300..=300]).await.expect("a store that answers");
        assert_eq!(told, [Standing::SignedOut]);
    })
    .await;
}

#[tokio::test]
async fn bans_end_by_themselves_or_are_taken_back() {
    both(async |accounts| {
        let device = guest("Teal").device;
        let teal = guest("Teal");
        let identify = || accounts.identify(&teal);
        let short = Some(Duration::from_secs(2));
        accounts.ban(&device, short).await.expect("a store that answers");
        assert_eq!(identify().await, Err(NotIdentified::Banned));
        eventually("the ban is over", async || identify().await.is_ok()).await;
        accounts.ban(&device, None).await.expect("a store that answers");
        assert_eq!(identify().await, Err(NotIdentified::Banned));
        accounts.unban(&device).await.expect("a store that answers");
        assert!(identify().await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn while_memory_is_short_there_are_no_new_accounts_and_the_old_ones_go_on() {
    let redis = Redis::start().await;
    let roomy = Accounts::new(in_redis(&redis, 0.75), SESSION);
    created(&roomy, "Ada").await.expect("an account");
    redis.command(&["CONFIG", "SET", "maxmemory", "100mb"]).await;
    let short = Accounts::new(in_redis(&redis, 0.0001), SESSION);
    assert!(matches!(created(&short, "Grace").await, Err(AccountError::Full)));
    assert!(matches!(short.make_bot("Grace").await, Err(AccountError::Full)));
    signed_in(&short, "Ada").await;
}
