//! Rooms by REST: two replicas, and people with accounts.

use serde_json::Value;

use super::{
    PATIENCE, Redis, Replica, Socket,
    accounts::{Answer, QUICK, ask, bearer, enter, token_of},
    key,
};

/// Two replicas, and an account on each.
pub struct Stack {
    pub redis: Redis,
    pub one: Replica,
    pub two: Replica,
    pub ada: String,
    pub bob: String,
}

impl Stack {
    pub async fn start() -> Self {
        let redis = Redis::start().await;
        let one = Replica::start(Some(&redis), &QUICK).await;
        let two = Replica::start(Some(&redis), &QUICK).await;
        let ada = token_of(one.public, "Ada").await;
        let bob = token_of(one.public, "Bob").await;
        Self { redis, one, two, ada, bob }
    }
}

pub async fn with(replica: &Replica, token: &str, what: &str, body: Option<&Value>) -> Answer {
    let (method, path) = what.split_once(' ').expect("a method and a path");
    let path = format!("/api/v1{path}");
    ask(replica.public, method, &path, &[("authorization", &bearer(token))], body).await
}

pub async fn made(stack: &Stack, room: &Value) {
    let answer = with(&stack.one, &stack.ada, "POST /rooms", Some(room)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["data"]["name"], room["name"]);
}

pub fn names(answer: &Answer) -> Vec<&str> {
    let rooms = answer.body["data"]["rooms"].as_array().expect("a list");
    rooms.iter().filter_map(|room| room["name"].as_str()).collect()
}

/// Asks until it is so: replicas hear of a change a moment later.
pub async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("in time");
}

pub async fn member(replica: &Replica, token: &str, room: &str) -> (Socket, String) {
    enter(replica.public, &key(), "any", Some(token), room).await
}
