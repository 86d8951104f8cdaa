//! What a page is told: events, and what time it is on the stage.

use std::convert::Infallible;

use axum::response::sse;
use serde::Serialize;

use crate::event::Event;

/// One thing that a page is told.
#[derive(Debug, Clone)]
pub enum Told {
    /// Something happened.
    Event(Box<Event>),
    /// What came before this is true already; what comes now happens.
    Now(Now),
    /// The stage is alive, whether anything happens or not.
    Beat,
    /// A recording is over.
    End,
    /// Too many pages are open.
    Full,
}

/// The time on the stage.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Now {
    /// In ms since its beginning.
    pub at: u64,
    /// It stands still: the page shows this moment only.
    pub frozen: bool,
    /// It is that of a recording.
    pub replay: bool,
}

impl Told {
    /// As the page gets it.
    ///
    /// # Errors
    ///
    /// Never: a stream of events wants to know.
    pub fn sse(&self) -> Result<sse::Event, Infallible> {
        Ok(match self {
            Self::Event(event) => sse::Event::default().data(json(event)),
            Self::Now(now) => sse::Event::default().event("now").data(json(now)),
            // A comment would do for the connection, but no script sees one.
            Self::Beat => sse::Event::default().event("beat").data("{}"),
            Self::End => sse::Event::default().event("end").data("{}"),
            Self::Full => sse::Event::default().event("full").data("{}"),
        })
    }
}

fn json(told: &impl Serialize) -> String {
    serde_json::to_string(told).expect("it has only strings for keys")
}
