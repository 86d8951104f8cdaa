//! A room's own task: hands on what is new, so that a room with many or slow listeners delays nobody else.

use super::listener::Listener;
use crate::{log::unix_ms, metrics::Metrics, mutants, room::Room};

/// Listeners served before other tasks get a turn.
const TURN: usize = 64;

/// Hands on what is new, until cancelled by dropping.
pub async fn fan_out(room: &Room<Listener>, metrics: &Metrics) {
    loop {
        room.something_new().await;
        mutants::wait_for_a_second().await;
        while let Some((batch, listeners)) = room.take_batch() {
            for turn in listeners.chunks(TURN) {
                turn.iter().for_each(|listener| listener.hear(&batch));
                tokio::task::yield_now().await;
            }
            let now = unix_ms();
            for frame in &batch.frames {
                let late = now.saturating_sub(frame.id.ms);
                metrics.delivery_seconds.observe(late as f64 / 1000.0);
            }
            metrics.messages_out.inc_by((batch.frames.len() * listeners.len()) as u64);
        }
    }
}
