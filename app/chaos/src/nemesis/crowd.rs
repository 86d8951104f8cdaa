//! More members of one room than are listed.

use std::time::Duration;

use crate::workload::{CROWDED, Character, Role};

use super::scene::Scene;

/// A room lists 200; past that it tells counts.
const CROWD: usize = 210;
/// They come spread over this: one door, 50 a second.
const ARRIVAL: Duration = Duration::from_secs(4);

/// They are of the workload: each talks, hears everything, says `bye`, and is nowhere in the end.
pub async fn crowd(scene: &Scene<'_>) -> anyhow::Result<()> {
    for number in 0..CROWD {
        let after = ARRIVAL * u32::try_from(number)? / u32::try_from(CROWD)?;
        let name = format!("crowd-{}-{}", scene.step, number + 1);
        let rooms = vec![CROWDED.to_owned()];
        scene.workload.enter(Character { name, role: Role::Crowd, rooms, after });
    }
    tokio::time::sleep(ARRIVAL).await;
    scene.hold().await;
    Ok(())
}
