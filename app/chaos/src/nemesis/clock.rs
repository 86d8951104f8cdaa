//! Redis' clock is set. Entry IDs, leases and the memory of senders' numbers go by it.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    links::drop_redis,
    scene::Scene,
    witness::{Witnesses, nothing_untrue},
};
use crate::cluster::{
    network::{Way, mend},
    redis::set_clock,
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(25 * 3_600);
/// How long answers are kept from a replica: so many sends are in the log, and their senders do not know.
const UNANSWERED: Duration = Duration::from_millis(1_500);
const WITNESSES: usize = 9;
/// Two leases: whoever is to be told that others are gone has been told by then.
const TOLD: Duration = Duration::from_secs(24);

/// An hour ahead, and back. Whoever vanishes meanwhile leaves a lease of the wrong time.
pub async fn jump_an_hour(scene: &Scene<'_>) -> anyhow::Result<()> {
    scene.workload.clock_is_set();
    set_clock(scene.stack, HOUR).await?;
    scene.hold().await;
    set_clock(scene.stack, Duration::ZERO).await
}

/// A day ahead, and back, while a replica has sends under way whose answers it never gets: their retries come to a log whose
/// clock says that they are more than a day old.
///
/// What must hold: no message is in the log twice, none is lost, and nobody is told that anybody left.
pub async fn jump_a_day(scene: &Scene<'_>) -> anyhow::Result<()> {
    let witnesses = Witnesses::gather(scene, "day", &["calendar"], WITNESSES).await?;
    let container = scene.container().await?;
    witnesses.begin();
    drop_redis(scene, &container, Way::In).await?;
    sleep(UNANSWERED).await;
    scene.workload.clock_is_set();
    set_clock(scene.stack, DAY).await?;
    mend(&container).await?;
    scene.hold().await;
    set_clock(scene.stack, Duration::ZERO).await?;
    sleep(TOLD).await;
    nothing_untrue(scene, &witnesses.dismiss().await?);
    Ok(())
}
