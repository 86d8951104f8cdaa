//! Faults that clients make: too often, too much, and too broken.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{bail, ensure};
use futures_util::{SinkExt, StreamExt};
use rollcall_client::new_key;
use rollcall_protocol::{ClientFrame, RoomCursor, ServerFrame, Why};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::scene::Scene;
use crate::{
    cluster::redis::command,
    history::{Id, What},
    workload::ROOMS,
};

const STORMERS: usize = 8;
/// No frame may be nearly as long.
const TOO_MUCH: usize = 1 << 20;
/// Nobody is borne with for so many malformed frames.
const NONSENSE: usize = 40;
/// Who sends them is in a room of its own.
const BABBLE: &str = "babble";
/// How long it is tried again while nobody is let in, after the time that a fault lasts.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(100);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One member, several sockets, one message: whatever happens it is in the log once, and every `ack`
/// names that entry.
pub async fn resend_storm(scene: &Scene<'_>) -> anyhow::Result<()> {
    let (room, key, name) = (ROOMS[0], new_key(), format!("stormer-{}", scene.step));
    let (client, role) = (name.clone(), "stormer".to_owned());
    scene.recorder.record(What::Began { client, role, rooms: vec![] });
    let before = life(scene).await;
    let (op, text) = scene.workload.shared().invoke(&name, room, 40);
    let until = Instant::now() + scene.hold;
    let storms = (0..STORMERS).map(|_| storm(scene, &key, &name, room, &text, until));
    let storms = futures_util::future::join_all(storms).await;
    let sent: u64 = storms.iter().map(|(sent, _)| sent).sum();
    let acked: BTreeSet<Id> = storms.into_iter().flat_map(|(_, acked)| acked).collect();
    let Some(newest) = acked.last().copied() else {
        let why = "no answer in all the storm".to_owned();
        scene.recorder.record(What::Info { op, why });
        ensure!(sent > 0, "nothing was sent: no connection could be opened");
        return Ok(());
    };
    scene.recorder.record(What::Ok { op, id: Some(newest), duplicate: false });
    let after = life(scene).await;
    // A Redis that has lost the first takes it for new; else a second answer is for the checker to find.
    if before.is_some() && before == after {
        for other in acked.into_iter().filter(|id| *id != newest) {
            scene.recorder.record(What::Ok { op, id: Some(other), duplicate: false });
        }
    }
    Ok(())
}

/// What is another when Redis may have lost data; none if it does not say.
async fn life(scene: &Scene<'_>) -> Option<String> {
    let (server, commands): (String, String) = (
        command(scene.stack, &["INFO", "server"]).await.ok()?,
        command(scene.stack, &["INFO", "commandstats"]).await.ok()?,
    );
    let process = server.lines().find(|line| line.starts_with("run_id:"))?;
    let flushed = commands.lines().find_map(|line| line.strip_prefix("cmdstat_flushall:"));
    Some(format!("{process} {}", flushed.unwrap_or_default()))
}

/// Sends one message over and over. How often, and the entries that an `ack` named.
async fn storm(
    scene: &Scene<'_>,
    key: &str,
    name: &str,
    room: &str,
    text: &str,
    until: Instant,
) -> (u64, BTreeSet<Id>) {
    let (mut sent, mut acked) = (0, BTreeSet::new());
    let send = ClientFrame::send(room, 1, text);
    let send = serde_json::to_string(&send).unwrap_or_default();
    while Instant::now() < until || (sent == 0 && Instant::now() < until + PATIENCE) {
        let Some(mut socket) = greet(&scene.stack.url(), key, name, room).await else { continue };
        for _ in 0..20 {
            if socket.send(Message::text(send.as_str())).await.is_err() {
                break;
            }
            sent += 1;
        }
        let listening = async {
            while let Some(Ok(Message::Text(frame))) = socket.next().await {
                if let Ok(ServerFrame::Ack { id: Some(id), .. }) = serde_json::from_str(&frame) {
                    acked.extend(id.to_string().parse::<Id>());
                }
            }
        };
        let _enough = timeout(Duration::from_millis(300), listening).await;
    }
    (sent, acked)
}

/// None, after a pause, if HAProxy is down or has nobody to send it to.
async fn open(url: &str) -> Option<Socket> {
    let url = format!("{}/api/v1/ws", url.replace("http", "ws"));
    match timeout(Duration::from_secs(2), connect_async(url)).await {
        Ok(Ok((socket, _))) => Some(socket),
        _ => {
            sleep(AGAIN).await;
            None
        }
    }
}

/// A connection to the service at `url` that has said hello, and enters a room.
pub(super) async fn greet(url: &str, key: &str, name: &str, room: &str) -> Option<Socket> {
    let mut socket = open(url).await?;
    let rooms = vec![RoomCursor { room: room.to_owned(), after: None }];
    let (client, name) = (key.to_owned(), name.to_owned());
    let hello = ClientFrame::Hello {
        v: 1,
        client,
        name,
        why: Why::Fresh,
        rooms,
        moves: false,
        token: None,
    };
    socket.send(frame(&hello)).await.ok()?;
    Some(socket)
}

pub(super) fn frame(frame: &ClientFrame) -> Message {
    Message::text(serde_json::to_string(frame).unwrap_or_default())
}

/// What no client should send. Nobody else may notice; what is too long ends its connection, and so does
/// too much of what makes no sense.
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
    ];
    let (mut long, mut nonsense) = (false, false);
    // The other fault of a pair may keep everybody out for a while.
    while Instant::now() < until || (!(long && nonsense) && Instant::now() < until + PATIENCE) {
        for frame in &frames {
            if let Some(mut socket) = open(&scene.stack.url()).await {
                // Turned away at once or after a while: both are right.
                let _ = socket.send(frame.clone()).await;
                let _ = timeout(Duration::from_millis(50), socket.next()).await;
            }
        }
        long |= is_ended_by_too_much(scene).await?;
        nonsense |= is_ended_by_nonsense(scene, &frames).await;
        half_requests(scene).await;
        half_a_frame(scene).await;
    }
    ensure!(long, "a frame of {TOO_MUCH} bytes never ended its connection");
    ensure!(nonsense, "{NONSENSE} frames that make no sense never ended a member's connection");
    Ok(())
}

/// A member sends one malformed frame after the other. False if its connection did not end of it.
async fn is_ended_by_nonsense(scene: &Scene<'_>, frames: &[Message]) -> bool {
    let Some(mut socket) = greet(&scene.stack.url(), &new_key(), "babbler", BABBLE).await else {
        return false;
    };
    let pour = async {
        for frame in frames.iter().cycle().take(NONSENSE) {
            if socket.send(frame.clone()).await.is_err() {
                return;
            }
        }
        while let Some(Ok(frame)) = socket.next().await {
            if frame.is_close() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(2), pour).await.is_ok()
}

/// Sends a frame that is far too long. False if nothing came of it: a replica may be frozen, or cut
/// off. It is an error if the connection goes on.
async fn is_ended_by_too_much(scene: &Scene<'_>) -> anyhow::Result<bool> {
    let Some(mut socket) = open(&scene.stack.url()).await else { return Ok(false) };
    let answer = async {
        // The end may come before all of it is sent.
        let _ = socket.send(Message::text("x".repeat(TOO_MUCH))).await;
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                end => return end,
            }
        }
    };
    match timeout(Duration::from_secs(2), answer).await {
        Err(_) => Ok(false),
        Ok(None | Some(Err(_))) => Ok(true),
        // 1001 and 1012 come from replicas that end for a reason of their own.
        Ok(Some(Ok(Message::Close(_)))) => Ok(true),
        Ok(Some(Ok(other))) => bail!("a frame of {TOO_MUCH} bytes was answered: {other:?}"),
    }
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

/// A member sends the beginning of a frame, and is gone.
async fn half_a_frame(scene: &Scene<'_>) {
    let Some(mut socket) = greet(&scene.stack.url(), &new_key(), "babbler", BABBLE).await else {
        return;
    };
    // Final, text, masked, and 4,096 bytes to come.
    let _ = socket.get_mut().write_all(&[0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, b'{']).await;
}
