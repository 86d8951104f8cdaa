//! What lies there, read and written into a history: the room logs, and what the stack's processes take.

use crate::{
    cluster::{Stack, redis, resources},
    history::{Recorder, Resources, What},
    workload::is_of_workload,
};
use rollcall_witness::hash_of_stored;

/// Writes down what the room logs of the workload have.
///
/// # Errors
///
/// If Redis does not answer, or an entry lacks what every entry has.
pub async fn record_logs(stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
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
                hash: hash_of_stored(&entry.text, entry.what.as_deref(), entry.of.as_deref()),
            });
        }
    }
    Ok(())
}

/// Writes down what each container takes now. `when` is `before`, `during` or `after`.
///
/// # Errors
///
/// If Docker cannot say what runs.
pub async fn record_resources(
    stack: &Stack,
    recorder: &Recorder,
    when: &str,
) -> anyhow::Result<()> {
    for (container, it) in resources::look(stack).await? {
        let (since, when) = (Some(it.since), when.to_owned());
        let (rss, fds, threads, tasks) = (it.rss, it.fds, it.threads, it.tasks);
        let taken = Resources { when, container, since, rss, fds, threads, tasks };
        recorder.record(What::Resources(taken));
    }
    Ok(())
}
