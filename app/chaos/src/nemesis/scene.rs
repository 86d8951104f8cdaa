//! What a fault is given to work on.

use std::time::Duration;

use crate::{
    cluster::Stack,
    history::{Loss, Recorder, What},
    readings::record_logs,
    workload::Workload,
};

/// What a fault needs to know.
pub(crate) struct Scene<'a> {
    pub stack: &'a Stack,
    pub workload: &'a Workload,
    pub recorder: &'a Recorder,
    /// Number of the step.
    pub step: u32,
    /// The replica to hit.
    pub replica: &'static str,
    /// How long.
    pub hold: Duration,
}

impl Scene<'_> {
    /// Says that data will be lost, lets it be lost, and says that it is over. What there was is
    /// written down before: the logs at the end no longer tell.
    pub async fn destroy<T>(
        &self,
        loss: Loss,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.recorder.record(What::Snapshot);
        record_logs(self.stack, self.recorder).await?;
        self.recorder.record(What::Destroying { loss });
        let done = work.await;
        self.recorder.record(What::Destroyed);
        done
    }

    /// Writes down a figure that must not be above a limit.
    pub fn measured(&self, figure: &str, of: &str, value: u64, limit: u64) {
        let (figure, of) = (figure.to_owned(), of.to_owned());
        self.recorder.record(What::Measured { figure, of, value, limit });
    }

    /// The container of the replica to hit.
    pub async fn container(&self) -> anyhow::Result<String> {
        Ok(self.stack.newest(self.replica).await?.container)
    }

    /// As long as the fault lasts.
    pub async fn hold(&self) {
        tokio::time::sleep(self.hold).await;
    }
}
