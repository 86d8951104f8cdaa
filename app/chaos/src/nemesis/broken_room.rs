//! A room that no replica can read, among rooms that all can.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use redis::streams::StreamRangeReply;
use rollcall_client::{Client, Config, Event};
use rollcall_protocol::RoomCursor;
use tokio::time::{sleep, timeout};

use super::{
    scene::Scene,
    witness::{Account, UNDISTURBED, Witnesses, ms, nothing_untrue},
};
use crate::{
    cluster::redis::{command, connect, empty_feeds, heads, logs},
    history::Id,
};

/// The room that breaks.
pub const BROKEN: &str = "broken-room";
/// The one beside it.
const NEIGHBOUR: &str = "next-door";
const WITNESSES: usize = 6;
/// How long the room may take to be itself again when its log is.
const HEALED: Duration = Duration::from_secs(10);

/// The room's log is put aside and its key gets another type. Later the log is back. Meanwhile the replicas have to read the
/// logs of all their rooms, as after any loss of their feeds: one that does so room by room gets no further than this one.
///
/// What must hold: neither who is only next door nor who is in both rooms misses anything next door, or waits for it. In the
/// room itself everything that was said is there in the end, once.
pub async fn another_type(scene: &Scene<'_>) -> anyhow::Result<()> {
    let (neighbours, both, inside) = gather(scene).await?;
    let (key, aside) = keys(scene).await?;
    let () = command(scene.stack, &["RENAME", &key, &aside]).await?;
    let () = command(scene.stack, &["SET", &key, "no log"]).await?;
    empty_feeds(scene.stack).await?;
    scene.hold().await;
    let _gone: u64 = command(scene.stack, &["DEL", &key]).await?;
    let () = command(scene.stack, &["RENAME", &aside, &key]).await?;
    judge(scene, neighbours, both, inside).await
}

/// An entry in the log that is no message of any release, and what follows it.
///
/// What must hold: as above; and of the room's own messages none is missed, before that entry or after it.
pub async fn unreadable_entry(scene: &Scene<'_>) -> anyhow::Result<()> {
    let (neighbours, both, inside) = gather(scene).await?;
    let (key, _) = keys(scene).await?;
    let before = heads(&mut connect(scene.stack).await?).await?.remove(BROKEN);
    let before = before.context("the room has no message")?;
    let id: String = command(scene.stack, &["XADD", &key, "*", "of-release", "9.0.0"]).await?;
    scene.hold().await;
    let missed = missed_by_returning(scene, &key, before).await?;
    let figure = "messages missed over an unreadable entry by clients that come back";
    scene.measured(figure, BROKEN, missed, 0);
    let _gone: u64 = command(scene.stack, &["XDEL", &key, &id]).await?;
    judge(scene, neighbours, both, inside).await
}

/// Somebody who stood at `before`, in front of the entry, comes back. How many of the messages after it are not given.
async fn missed_by_returning(scene: &Scene<'_>, key: &str, before: Id) -> anyhow::Result<u64> {
    let mut connection = connect(scene.stack).await?;
    let newest = heads(&mut connection).await?.remove(BROKEN).context("the room has no message")?;
    let (after, until) = (format!("({before}"), newest.to_string());
    let log: StreamRangeReply = command(scene.stack, &["XRANGE", key, &after, &until]).await?;
    let mut due: BTreeSet<String> =
        log.ids.iter().filter(|it| it.contains_key("text")).map(|it| it.id.clone()).collect();
    ensure!(!due.is_empty(), "nothing was said after the entry");
    let mut config = Config::new(&scene.stack.url(), "returning", &[]);
    config.rooms = vec![RoomCursor { room: BROKEN.to_owned(), after: Some(before.into()) }];
    let (handle, mut events) = Client::start(config);
    let hear = async {
        while let Some(event) = events.next().await {
            if let Event::Message { message, .. } = event {
                due.remove(&message.id.to_string());
                if due.is_empty() || Id::from(message.id) >= newest {
                    break;
                }
            }
        }
    };
    // What has not come by then does not come.
    let _late = timeout(HEALED, hear).await;
    let _ended = handle.bye().await;
    Ok(due.len() as u64)
}

type Groups = (Witnesses, Witnesses, Witnesses);

async fn gather(scene: &Scene<'_>) -> anyhow::Result<Groups> {
    let groups = (
        Witnesses::gather(scene, "next", &[NEIGHBOUR], WITNESSES).await?,
        Witnesses::gather(scene, "both", &[NEIGHBOUR, BROKEN], WITNESSES).await?,
        Witnesses::gather(scene, "inside", &[BROKEN], WITNESSES).await?,
    );
    for group in [&groups.0, &groups.1, &groups.2] {
        group.begin();
    }
    Ok(groups)
}

/// The room's log, and where it is put meanwhile: beside it, so that no other hash slot is concerned.
async fn keys(scene: &Scene<'_>) -> anyhow::Result<(String, String)> {
    let mut connection = connect(scene.stack).await?;
    let key = logs(&mut connection).await?.remove(BROKEN);
    let key = key.context("the room that is to break has no log")?;
    let aside = format!("{key}:aside");
    Ok((key, aside))
}

async fn judge(
    scene: &Scene<'_>,
    neighbours: Witnesses,
    both: Witnesses,
    inside: Witnesses,
) -> anyhow::Result<()> {
    sleep(HEALED).await;
    let (neighbours, both, inside) =
        (neighbours.dismiss().await?, both.dismiss().await?, inside.dismiss().await?);
    for group in [&neighbours, &both] {
        waited(scene, group, "next door", UNDISTURBED);
    }
    // Until the room is healed they wait; after that they do not.
    waited(scene, &inside, "in the broken room", scene.hold + HEALED / 2);
    for group in [&neighbours, &both, &inside] {
        nothing_untrue(scene, group);
    }
    ensure!(inside.len() == WITNESSES, "a witness is missing");
    Ok(())
}

fn waited(scene: &Scene<'_>, group: &[Account], place: &str, limit: Duration) {
    for it in group {
        scene.measured(
            &format!("ms without a message {place}"),
            &it.name,
            ms(it.unheard),
            ms(limit),
        );
        scene.measured(
            &format!("ms without an answer {place}"),
            &it.name,
            ms(it.unanswered),
            ms(limit),
        );
    }
}
