//! What the processes of the stack take at the end, against what they took at the beginning.

use std::collections::HashMap;

use super::{anomaly::Anomaly, book::Book};

/// What a container takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub rss: u64,
    pub fds: u64,
    pub threads: u64,
    pub tasks: u64,
}

/// A bound is `before × RATIO + floor`. An allocator keeps what it once had, an outlet of each
/// connection that is closing counts still, so small numbers may double; a leak of one descriptor
/// a connection is far above this after a few minutes.
const RATIO: f64 = 1.5;
/// A replica has 7.5 MB before the load, and 8 to 18 MB after ten minutes of all faults, a flood and a
/// stampede of 1,000 clients among them. A kilobyte a message is 43 MB in an hour, at 12 messages a
/// second; the bound is about 36 MB.
const RSS: u64 = 24 << 20;
/// After a reload the old worker is there as long as its sockets are.
const RSS_OF_HAPROXY: u64 = 48 << 20;
/// What was said during the run lies in Redis's memory, so its bound can only be a loose one.
const RSS_OF_REDIS: u64 = 256 << 20;
const FDS: u64 = 32;
const THREADS: u64 = 8;
const TASKS: u64 = 64;

#[derive(Debug, Default)]
pub(super) struct Leaks {
    before: HashMap<String, Taken>,
}

impl Leaks {
    pub fn before(&mut self, container: &str, taken: Taken) {
        self.before.insert(container.to_owned(), taken);
        // A replica's other slot has none of its own.
        self.before.entry(replica(container).to_owned()).or_insert(taken);
    }

    pub fn after(&self, book: &mut Book, container: &str, taken: Taken) {
        let known = self.before.get(container);
        let Some(before) = known.or_else(|| self.before.get(replica(container))) else {
            return book.note(Anomaly::Incomplete, |_| {
                format!("what {container} took before the load is not known")
            });
        };
        let is_unread = container != replica(container) && (before.tasks == 0 || taken.tasks == 0);
        if is_unread {
            // A replica has at least the task that answers: it was not asked, or did not answer.
            book.note(Anomaly::Incomplete, |_| {
                format!("how many tasks {container} had before or after the load is not known")
            });
        }
        let rss = match container {
            it if it.ends_with("redis") => RSS_OF_REDIS,
            it if it.ends_with("haproxy") => RSS_OF_HAPROXY,
            _ => RSS,
        };
        for (what, before, after, floor) in [
            ("bytes of memory", before.rss, taken.rss, rss),
            ("descriptors", before.fds, taken.fds, FDS),
            ("threads", before.threads, taken.threads, THREADS),
            ("tasks", before.tasks, taken.tasks, TASKS),
        ] {
            let bound = (before as f64 * RATIO) as u64 + floor;
            if after > bound {
                book.note(Anomaly::Leak, |_| {
                    format!("{container}: {before} {what} before, {after} after, at most {bound}")
                });
            }
        }
    }
}

/// A container's name without its slot.
fn replica(container: &str) -> &str {
    container.trim_end_matches("-blue").trim_end_matches("-green")
}
