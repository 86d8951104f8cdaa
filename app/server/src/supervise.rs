//! Tasks that must not die unnoticed: one that panics, or a long-lived one that ends, ends the process.

use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

/// Runs tasks, and tells of those that died. Clones share them.
#[derive(Clone)]
pub struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
    deaths: mpsc::UnboundedSender<&'static str>,
}

/// Tells which task died.
pub struct Deaths(mpsc::UnboundedReceiver<&'static str>);

impl Supervisor {
    /// Runs tasks on `tasks`; long-lived ones until `stop`.
    #[must_use]
    pub fn new(tasks: TaskTracker, stop: CancellationToken) -> (Self, Deaths) {
        // Bounded by the number of tasks, each of which dies once.
        let (deaths, told) = mpsc::unbounded_channel();
        (Self { tasks, stop, deaths }, Deaths(told))
    }

    /// Runs a task that may end, but not by a panic.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let deaths = self.deaths.clone();
        self.tasks.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                error!(task = name, "a task panicked");
                // Nobody hears it once the process is on its way out.
                let _ = deaths.send(name);
            }
        });
    }

    /// Runs a task that has to live until the replica stops.
    pub fn keep(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (stop, deaths) = (self.stop.clone(), self.deaths.clone());
        self.spawn(name, async move {
            if stop.run_until_cancelled(task).await.is_some() {
                error!(task = name, "a task ended that has to live");
                let _ = deaths.send(name);
            }
        });
    }
}

impl Deaths {
    /// Waits for the first task that dies: its name.
    pub async fn first(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(name) => name,
            // No supervisor is left, so no task can die.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn supervisor() -> (Supervisor, Deaths, CancellationToken) {
        let stop = CancellationToken::new();
        let (supervisor, deaths) = Supervisor::new(TaskTracker::new(), stop.clone());
        (supervisor, deaths, stop)
    }

    /// The first that dies; none if by the paused clock nobody is told for a minute.
    async fn told(deaths: &mut Deaths) -> Option<&'static str> {
        tokio::time::timeout(Duration::from_secs(60), deaths.first()).await.ok()
    }

    /// Fault S8: a panic ended such a task silently, and the replica stayed "ready".
    #[tokio::test(start_paused = true)]
    async fn s8_a_task_that_panics_is_told() {
        let (supervisor, mut deaths, _stop) = supervisor();
        supervisor.spawn("calm", async {});
        supervisor.keep("feeds", async { panic!("on purpose") });
        assert_eq!(told(&mut deaths).await, Some("feeds"));
    }

    #[tokio::test(start_paused = true)]
    async fn s8_a_long_lived_task_that_ends_is_told() {
        let (supervisor, mut deaths, _stop) = supervisor();
        supervisor.keep("leases", async {});
        assert_eq!(told(&mut deaths).await, Some("leases"));
    }

    #[tokio::test]
    async fn a_stop_is_no_death() {
        let (supervisor, mut deaths, stop) = supervisor();
        supervisor.keep("leases", std::future::pending());
        stop.cancel();
        supervisor.tasks.close();
        supervisor.tasks.wait().await;
        assert!(deaths.0.try_recv().is_err());
    }
}
