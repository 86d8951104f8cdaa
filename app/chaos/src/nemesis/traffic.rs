//! Faults that clients make: too much, too often, too broken, and all at once.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rollcall_client::{Client, Config, Events, Handle, new_key};
use rollcall_protocol::{ClientFrame, EntryId, RoomCursor, ServerFrame, Why};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::Scene;
use crate::{
    history::{Id, What},
    workload::ROOMS,
};

const STAMPEDE: usize = 1_000;
/// Clients of the stampede meet in rooms of their own, 40 in each: they are not of the workload.
const ARENAS: usize = 25;
const STORMERS: usize = 8;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One member, several sockets, one message: whatever happens it is in the log once.
pub async fn resend_storm(scene: &Scene<'_>) -> anyhow::Result<()> {
    let (room, key, name) = (ROOMS[0], new_key(), format!("stormer-{}", scene.step));
    let (client, role) = (name.clone(), "stormer".to_owned());
    scene.recorder.record(What::Began { client, role, rooms: vec![] });
    let (op, text) = scene.workload.shared().invoke(&name, room, 40);
    let until = Instant::now() + scene.hold;
    let storms = (0..STORMERS).map(|_| storm(scene, &key, &name, room, &text, until));
    let acked = futures_util::future::join_all(storms).await.into_iter().flatten().next();
    match acked {
        Some(id) => scene.recorder.record(What::Ok { op, id: Some(id), duplicate: false }),
        None => {
            let why = "no answer in all the storm".to_owned();
            scene.recorder.record(What::Info { op, why });
        }
    }
    Ok(())
}

/// Sends one message over and over, and returns the entry that an `ack` named.
async fn storm(
    scene: &Scene<'_>,
    key: &str,
    name: &str,
    room: &str,
    text: &str,
    until: Instant,
) -> Option<Id> {
    let mut acked = None;
    while Instant::now() < until {
        let Some(mut socket) = greet(scene, key, name, room).await else { continue };
        let send = ClientFrame::Send { room: room.to_owned(), n: 1, text: text.to_owned() };
        let send = serde_json::to_string(&send).ok()?;
        for _ in 0..20 {
            if socket.send(Message::text(send.as_str())).await.is_err() {
                break;
            }
        }
        let listening = async {
            while let Some(Ok(Message::Text(frame))) = socket.next().await {
                if let Ok(ServerFrame::Ack { id: Some(id), .. }) = serde_json::from_str(&frame) {
                    acked = id.to_string().parse().ok();
                }
            }
        };
        let _enough = timeout(Duration::from_millis(300), listening).await;
    }
    acked
}

async fn open(scene: &Scene<'_>) -> Option<Socket> {
    let url = format!("{}/api/v1/ws", scene.stack.url().replace("http", "ws"));
    let opened = timeout(Duration::from_secs(2), connect_async(url)).await;
    opened.ok()?.ok().map(|(socket, _)| socket)
}

/// A connection that has said hello and enters a room.
pub(super) async fn greet(scene: &Scene<'_>, key: &str, name: &str, room: &str) -> Option<Socket> {
    let mut socket = open(scene).await?;
    let rooms = vec![RoomCursor { room: room.to_owned(), after: None }];
    let (client, name) = (key.to_owned(), name.to_owned());
    let hello = ClientFrame::Hello { v: 1, client, name, why: Why::Fresh, rooms };
    socket.send(Message::text(serde_json::to_string(&hello).ok()?)).await.ok()?;
    Some(socket)
}

/// What no client should send. Nobody else may notice.
pub async fn garbage(scene: &Scene<'_>) -> anyhow::Result<()> {
    let until = Instant::now() + scene.hold;
    let frames = [
        Message::text("{"),
        Message::text("[]"),
        Message::text(r#"{"type":"no such"}"#),
        Message::text(r#"{"type":"hello","v":99,"client":"x","name":"","why":"fresh"}"#),
        Message::text(r#"{"type":"send","room":"north","n":-1,"text":7}"#),
        Message::binary(vec![0xff; 64]),
        Message::text("x".repeat(15 << 10)),
        Message::text("x".repeat(1 << 20)),
    ];
    while Instant::now() < until {
        for frame in &frames {
            if let Some(mut socket) = open(scene).await {
                // Turned away at once or after a while: both are right.
                let _ = socket.send(frame.clone()).await;
                let _ = timeout(Duration::from_millis(50), socket.next()).await;
            }
        }
        half_requests(scene).await;
    }
    Ok(())
}

async fn half_requests(scene: &Scene<'_>) {
    let address = format!("127.0.0.1:{}", scene.stack.place.port);
    for request in ["GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: webs", "\0\x01\x02\r\n\r\n"] {
        let Ok(mut socket) = TcpStream::connect(&address).await else { return };
        let mut answer = [0; 64];
        let _ = socket.write_all(request.as_bytes()).await;
        let _ = timeout(Duration::from_millis(50), socket.read(&mut answer)).await;
    }
}

/// Many clients, none of the workload's, that come, lose their connections together, and resume.
pub async fn stampede(scene: &Scene<'_>) -> anyhow::Result<()> {
    let keys: Vec<String> = (0..STAMPEDE).map(|_| new_key()).collect();
    let mut herd = start(scene, &keys, None).await;
    scene.hold().await;
    herd.clear();
    herd = start(scene, &keys, Some(EntryId::default())).await;
    for (handle, _) in &herd {
        let _ended = handle.bye().await;
    }
    Ok(())
}

async fn start(
    scene: &Scene<'_>,
    keys: &[String],
    after: Option<EntryId>,
) -> Vec<(Handle, Events)> {
    let start = |(number, key): (usize, &String)| {
        let mut config = Config::new(&scene.stack.url(), "herd", &[]);
        config.key.clone_from(key);
        config.rooms = vec![RoomCursor { room: format!("arena-{}", number % ARENAS), after }];
        Client::start(config)
    };
    let mut herd: Vec<_> = keys.iter().enumerate().map(start).collect();
    let all =
        herd.iter_mut().map(|(_, events)| timeout(Duration::from_secs(20), events.all_live()));
    futures_util::future::join_all(all).await;
    herd
}
