//! Where a run is, and how far everybody is with it.

use std::{collections::BTreeMap, sync::Arc};

use rollcall_protocol::EntryId;
use tokio::sync::watch;

/// Where the run is; everybody watches it.
#[derive(Debug, Clone)]
pub enum Phase {
    /// Everybody talks.
    Talk,
    /// Nobody speaks any more; the heads are not known yet.
    Quiet,
    /// Nobody speaks; everybody waits until it has its rooms up to these heads.
    Settle(Arc<BTreeMap<String, EntryId>>),
    /// Everybody goes.
    Stop,
}

/// Waits until speaking is over, or nobody leads the run any more.
pub async fn quiet(phase: &mut watch::Receiver<Phase>) {
    let _over = phase.wait_for(|phase| !matches!(phase, Phase::Talk)).await;
}

/// How far all participants are together.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    /// Why somebody could not connect for the first time.
    pub obstacle: Option<String>,
    /// Messages acknowledged or refused for good.
    pub settled: u64,
    /// Have all rooms up to the heads asked for.
    pub caught_up: usize,
}
