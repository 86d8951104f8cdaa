//! A replica that may have 1,024 descriptors, as Docker 29 gives them, and more clients than that.

use std::time::Duration;

use anyhow::ensure;
use futures_util::{SinkExt, future::join_all};
use reqwest::Client;
use rollcall_client::new_key;
use rollcall_protocol::{ClientFrame, RoomCursor, Why};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{
    heal::until_well,
    scene::Scene,
    traffic::Socket,
    witness::{UNDISTURBED, Witnesses, ms, nothing_untrue, served},
};
use crate::cluster::{Slot, docker::pid, remake::remake};

const DESCRIPTORS: u64 = 1_024;
/// So many come to that one replica, past HAProxy, which would share them out.
const CROWD: usize = 1_200;
/// They come in groups: a crowd at the door is another fault.
const GROUP: usize = 50;
const LIMIT: Duration = Duration::from_secs(2);
const WITNESSES: usize = 9;
/// An operator, and HAProxy, are answered within this all the time.
const ANSWERED: Duration = Duration::from_secs(3);
/// Clients that come meanwhile are served within this, by another replica if need be.
const SERVED: Duration = Duration::from_secs(6);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// What must hold: the admin listener answers all the time; connected clients stay served; clients that come now are
/// served by some replica; and the replica's process goes on.
pub async fn exhaust(scene: &Scene<'_>) -> anyhow::Result<()> {
    let slot = scene.stack.newest(scene.replica).await?;
    remake(&slot.container, Some(DESCRIPTORS)).await?;
    until_well(scene.stack, Duration::from_secs(30)).await?;
    let done = crowd(scene, &slot).await;
    remake(&slot.container, None).await?;
    done
}

async fn crowd(scene: &Scene<'_>, slot: &Slot) -> anyhow::Result<()> {
    let witnesses = Witnesses::gather(scene, "few", &["few-descriptors"], WITNESSES).await?;
    let before = pid(&slot.container).await?;
    witnesses.begin();
    let crowd = async {
        let sockets = enter(slot).await;
        let began = Instant::now();
        let late = Witnesses::gather(scene, "late", &["few-descriptors"], WITNESSES).await;
        let took = began.elapsed();
        scene.measured(
            "ms until clients that came later were served",
            &slot.replica,
            ms(took),
            ms(SERVED),
        );
        scene.hold().await;
        if let Ok(late) = late {
            nothing_untrue(scene, &late.dismiss().await?);
        }
        anyhow::Ok(sockets.len())
    };
    let mut longest = Duration::ZERO;
    let entered = tokio::select! {
        entered = crowd => entered?,
        () = ask(&slot.address, &mut longest) => 0,
    };
    let restarts = u64::from(pid(&slot.container).await.is_ok_and(|now| now != before));
    scene.measured(
        "ms without an answer of the admin listener",
        &slot.container,
        ms(longest),
        ms(ANSWERED),
    );
    scene.measured("restarts", &slot.container, restarts, 0);
    let accounts = witnesses.dismiss().await?;
    served(scene, &accounts, UNDISTURBED);
    nothing_untrue(scene, &accounts);
    ensure!(entered > CROWD / 2, "only {entered} of {CROWD} could be opened: no crowd");
    Ok(())
}

/// All that can be opened, whether or not anybody answers.
async fn enter(slot: &Slot) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for first in (0..CROWD).step_by(GROUP) {
        let group = (first..first + GROUP).map(|number| timeout(LIMIT, open(slot, number)));
        sockets.extend(join_all(group).await.into_iter().flatten().flatten());
    }
    sockets
}

/// Each from another address, as HAProxy would tell it: how many one address may have is another bound.
async fn open(slot: &Slot, number: usize) -> Option<Socket> {
    let mut request = format!("ws://{}:8080/api/v1/ws", slot.address).into_client_request().ok()?;
    let address = format!("10.9.{}.{}", number / 250, number % 250 + 1);
    request.headers_mut().insert("X-Forwarded-For", address.parse().ok()?);
    let (mut socket, _) = connect_async(request).await.ok()?;
    let rooms = vec![RoomCursor { room: format!("crowded-{}", number % 25), after: None }];
    let hello = ClientFrame::Hello {
        v: 1,
        client: new_key(),
        name: "crowd".to_owned(),
        why: Why::Fresh,
        rooms,
        moves: false,
        token: None,
    };
    socket.send(Message::text(serde_json::to_string(&hello).ok()?)).await.ok()?;
    Some(socket)
}

/// Asks the admin listener for ever, anew each time. The longest time in which nothing was answered.
async fn ask(address: &str, longest: &mut Duration) {
    let mut answered = Instant::now();
    loop {
        // A connection kept open would prove that nobody can come.
        let http = Client::builder().pool_max_idle_per_host(0).build().unwrap_or_default();
        for path in ["readyz", "drain"] {
            let asked =
                http.get(format!("http://{address}:8090/{path}")).timeout(LIMIT).send().await;
            *longest = answered.elapsed().max(*longest);
            if asked.is_ok() {
                answered = Instant::now();
            }
        }
        sleep(ASK_EVERY).await;
    }
}
