//! The room logs, as they go into a history.

use crate::{
    cluster::{Stack, redis},
    history::{Recorder, What},
    workload::{hash, is_of_workload},
};

/// Writes down what the room logs have.
pub(crate) async fn record(stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
    let mut connection = redis::connect(stack).await?;
    for (room, key) in redis::logs(&mut connection).await? {
        if !is_of_workload(&room) {
            continue;
        }
        for entry in redis::read(&mut connection, &key).await? {
            recorder.record(What::Entry {
                room: room.clone(),
                id: entry.id,
                prev: entry.prev,
                member: entry.member,
                n: entry.n,
                hash: hash(&entry.text),
            });
        }
    }
    Ok(())
}
