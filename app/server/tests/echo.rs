//! The client crate's example, as people copy it, against a server.
#![allow(missing_docs)]

mod support;

#[allow(dead_code, reason = "its main function is for people")]
#[path = "../../client/examples/echo.rs"]
mod echo;

use rollcall_client::{Client, Config, Event};
use support::{PATIENCE, Replica};
use tokio::time::timeout;

#[tokio::test]
async fn the_example_echoes_each_message_once() {
    let replica = Replica::start(None, &[]).await;
    let url = format!("http://{}", replica.public);
    let (handle, mut events) = Client::start(Config::new(&url, "Ada", &["den"]));
    assert!(timeout(PATIENCE, events.all_live()).await.expect("in time"));
    let service = url.clone();
    let echo = tokio::spawn(async move { echo::echo(&service, "den").await });
    let came = events.find(|event| match event {
        Event::Presence { name, .. } if name == "Echo" => Some(()),
        Event::Members { members, .. } if members.iter().any(|it| it.name == "Echo") => Some(()),
        _ => None,
    });
    timeout(PATIENCE, came).await.expect("in time").expect("a client that lives");

    for text in ["hello", "once more"] {
        handle.send("den", text).await.expect("a ticket");
    }
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let message = events.find(|event| match event {
            Event::Message { message, .. } => Some((message.name, message.text)),
            _ => None,
        });
        heard
            .push(timeout(PATIENCE, message).await.expect("in time").expect("a client that lives"));
    }
    let echoes: Vec<_> = heard.iter().filter(|(name, _)| name == "Echo").collect();
    let said = |text: &str| ("Echo".to_owned(), format!("Ada said: {text}"));
    assert_eq!(echoes, [&said("hello"), &said("once more")]);
    assert!(!echo.is_finished(), "{heard:?}");
}
