//! A stampede: many clients lose their connections together, come back at once, and resume.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::join_all;
use rollcall_client::{Client, Config, Event, Events, Handle, new_key};
use rollcall_protocol::{EntryId, RoomCursor};
use tokio::time::timeout;

use super::scene::Scene;

const HERD: usize = 1_000;
/// Of these so many must be live, within the time that the other fault of a pair may keep them out.
const ENOUGH: usize = 990;
const GATHERED: Duration = Duration::from_secs(60);
/// Clients of the stampede meet in rooms of their own, 40 in each: they are not of the workload.
const ARENAS: usize = 25;

/// None of them is of the workload.
pub async fn stampede(scene: &Scene<'_>) -> anyhow::Result<()> {
    let keys: Vec<String> = (0..HERD).map(|_| new_key()).collect();
    let mut herd = start(scene, &keys, None).await?;
    scene.hold().await;
    let said = herd.iter_mut().take(ARENAS).enumerate().map(say);
    let said = join_all(said).await;
    ensure!(said.into_iter().all(|said| said), "nobody took what there was to resume");
    herd.clear();
    herd = start(scene, &keys, Some(EntryId::default())).await?;
    for (handle, _) in &herd {
        let _ended = handle.bye().await;
    }
    Ok(())
}

fn arena(number: usize) -> String {
    format!("arena-{}", number % ARENAS)
}

/// Says something in the client's arena. False if it was not taken in time.
async fn say((number, (handle, events)): (usize, &mut (Handle, Events))) -> bool {
    let taken = async {
        let sent = handle.send(&arena(number), "whoever comes back hears this".to_owned()).await;
        while sent.is_ok() {
            match events.next().await {
                Some(Event::Acked { .. }) => return true,
                Some(_) => {}
                None => break,
            }
        }
        false
    };
    timeout(GATHERED, taken).await.unwrap_or_default()
}

/// All of them, when as many are live as must be, and have heard what was said in their arenas if they
/// go on from somewhere.
async fn start(
    scene: &Scene<'_>,
    keys: &[String],
    after: Option<EntryId>,
) -> anyhow::Result<Vec<(Handle, Events)>> {
    let start = |(number, key): (usize, &String)| {
        let mut config = Config::new(&scene.stack.url(), "herd", &[]);
        config.key.clone_from(key);
        config.rooms = vec![RoomCursor { room: arena(number), after }];
        Client::start(config)
    };
    let mut herd: Vec<_> = keys.iter().enumerate().map(start).collect();
    let all = herd.iter_mut().map(|(_, events)| timeout(GATHERED, is_there(events, after)));
    let all = join_all(all).await;
    let there = all.iter().filter(|there| matches!(there, Ok(true))).count();
    ensure!(there >= ENOUGH, "only {there} of {HERD} were there in {GATHERED:?}");
    Ok(herd)
}

/// Live, with all that there was to hear. False if it was turned away.
async fn is_there(events: &mut Events, after: Option<EntryId>) -> bool {
    let (mut live, mut heard) = (false, after.is_none());
    while !(live && heard) {
        match events.next().await {
            Some(Event::AllLive { .. }) => live = true,
            Some(Event::Message { .. }) => heard = true,
            Some(Event::Ended(_)) | None => return false,
            Some(_) => {}
        }
    }
    true
}
