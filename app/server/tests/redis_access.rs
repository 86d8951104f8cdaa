//! What opens the door of Redis: a user, a password in a file, TLS with a CA of one's own.

mod support;

use std::{path::Path, process::Command, time::Duration};

use rollcall_server::{
    config::RedisSettings,
    log::{Link, Log},
    metrics::Metrics,
};
use support::{
    PATIENCE, Redis, Replica, Socket, key,
    logs::{bounds, entry, redis_log_of, taken},
};

fn openssl(folder: &Path, words: &str) {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    let done = done.expect("openssl is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A CA, and a certificate of it for this machine.
fn certify(folder: &Path) {
    std::fs::write(folder.join("san"), "subjectAltName=IP:127.0.0.1").expect("a file");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ours -days 2"));
    openssl(folder, &format!("req {key} -keyout own.key -out own.csr -subj /CN=redis"));
    let sign = "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -out own.pem -days 2 -extfile san";
    openssl(folder, sign);
}

/// Redis with TLS besides its own port; the address with TLS, and the folder with the CA.
async fn start_with_tls() -> (Redis, String) {
    let mut redis = Redis::reserve().await;
    let tls = redis.hold_port();
    certify(redis.folder());
    let file = |name: &str| redis.folder().join(name).display().to_string();
    let (own, key, ca, port) = (file("own.pem"), file("own.key"), file("ca.pem"), tls.to_string());
    redis.set(&["--tls-port", &port, "--tls-cert-file", &own, "--tls-key-file", &key]);
    redis.set(&["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]);
    redis.launch().await;
    (redis, format!("rediss://127.0.0.1:{tls}"))
}

#[tokio::test]
async fn tls_with_a_ca_of_ones_own_carries_log_and_feeds() {
    let (redis, url) = start_with_tls().await;
    let ca = redis.folder().join("ca.pem").display().to_string();
    let replica = Replica::launch(Some(&url), &["--redis-ca-file", &ca]).await;
    replica.wait_ready().await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "sealed").await;
    assert_eq!(teal.messages(1).await[0].text, "sealed");
    // Nobody else's CA is believed.
    let (other, _) = start_with_tls().await;
    let ca = Some(other.folder().join("ca.pem"));
    let settings = RedisSettings::at(&url, Duration::from_secs(1));
    assert!(
        !redis_log_of(&RedisSettings { ca_file: ca, ..settings.clone() }, bounds()).is_up().await
    );
    assert!(!redis_log_of(&settings, bounds()).is_up().await, "nor this one's unasked");
}

/// A log whose door is open to one user, who may do no more than a replica does.
fn log_of_user(redis: &Redis, password: &Path) -> Log {
    let settings = RedisSettings::at(&redis.url(), Duration::from_secs(1));
    let (user, password_file) = (Some("rollcall".to_owned()), Some(password.to_owned()));
    redis_log_of(&RedisSettings { user, password_file, ..settings }, bounds())
}

#[tokio::test]
async fn o23_a_password_comes_from_a_file_and_can_change_under_a_replica() {
    let redis = Redis::start().await;
    let file = redis.folder().join("password");
    std::fs::write(&file, "first\n").expect("a file");
    let own = "ACL SETUSER rollcall on >first ~{* ~rollcall:* +@all -@dangerous -@admin +role +info +function +ping";
    let answer = redis.command(&own.split(' ').collect::<Vec<_>>()).await;
    assert!(answer.starts_with("+OK"), "{answer}");
    redis.command(&["ACL", "SETUSER", "default", "-@all", "+acl", "+client"]).await;
    let log = log_of_user(&redis, &file);
    taken(&log, &entry("vault", "teal", 1)).await;
    // Two are good for a while.
    redis.command(&["ACL", "SETUSER", "rollcall", ">second"]).await;
    std::fs::write(&file, "second\n").expect("a file");
    redis.command(&["ACL", "SETUSER", "rollcall", "<first"]).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let second = entry("vault", "teal", 2);
    let sent = log.append_settled(&second, rollcall_protocol::EntryId::ZERO);
    tokio::time::timeout(PATIENCE, sent).await.expect("the new one is read").expect("and is good");
    std::fs::write(&file, "wrong").expect("a file");
    assert!(!log_of_user(&redis, &file).is_up().await);
}

#[tokio::test]
async fn what_cannot_be_right_is_said_at_the_start() {
    let settings = RedisSettings::at("rediss://127.0.0.1:1", Duration::from_secs(1));
    let nowhere = Some("/nowhere/at/all".into());
    let wrong = [
        RedisSettings { password_file: nowhere.clone(), ..settings.clone() },
        RedisSettings { ca_file: nowhere, ..settings.clone() },
        RedisSettings {
            url: Some("redis://127.0.0.1:1".to_owned()),
            ca_file: Some("Cargo.toml".into()),
            ..settings
        },
    ];
    for settings in wrong {
        let refused = Link::new(&settings, 1, Metrics::new()).err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|why| why.contains("_FILE")), "{refused:?}");
    }
}
