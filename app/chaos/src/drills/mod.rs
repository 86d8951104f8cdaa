//! Drills: a deploy fails, or is made to, on the real stack under an audience; what must still be
//! true afterwards is checked, and what the operator saw is kept. And the table of what changes unnoticed.

mod audience;
mod conduct;
mod crowd;
mod faults;
mod journal;
mod list;
mod machine_rows;
mod operators;
mod refusals;
mod releases;
mod rows;
mod scene;
mod stubborn;
mod table;
mod tiers;
mod verdicts;
mod watch;

use futures_util::future::BoxFuture;

pub use conduct::{Felt, Outcome};
pub use crowd::Crowd;
pub use list::DRILLS;
pub use machine_rows::MACHINE_ROWS;
pub use rows::{ROWS, Row};
pub use scene::Scene;
pub use table::Table;

use audience::Promise;
use conduct::Trial;

/// Does something to the stack, and returns the line that the operator saw.
type Act = for<'a> fn(&'a Scene) -> BoxFuture<'a, anyhow::Result<String>>;

/// A drill.
pub struct Drill {
    /// What it is called.
    pub name: &'static str,
    /// What it must end in, in a line.
    pub summary: &'static str,
    /// Whether it is one of those that every test run has time for.
    pub quick: bool,
    /// Whether it is one of `all`. One that needs an image of another commit has to be asked for.
    pub usual: bool,
    promise: Promise,
    /// So many replicas serve at any moment.
    min_ready: usize,
    run: Act,
}

impl Drill {
    /// What became of it if the stage could not be set, or nobody could be asked: nothing was proven.
    #[must_use]
    pub fn not_held(&self, error: &anyhow::Error) -> Outcome {
        Outcome::not_held(self.name, error)
    }

    /// Provokes it under an audience, and judges.
    ///
    /// # Errors
    ///
    /// If the stage could not be set: then nothing is proven either way.
    pub async fn conduct(&self, scene: &Scene) -> anyhow::Result<Outcome> {
        scene.come_to_rest().await?;
        let Self { name, promise, min_ready, run, .. } = *self;
        Trial { name, promise, min_ready, run }.hold(scene).await
    }
}
