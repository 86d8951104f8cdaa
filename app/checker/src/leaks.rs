//! What the processes of the stack take at the end, against what they took at the beginning; and each
//! of them while it lives, which with all those faults is some minutes.

use std::collections::{BTreeMap, HashMap};

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
/// stampede of 1,000 clients among them; the bound is about 36 MB. A kilobyte a message, at 12 messages a
/// second, passes that in 40 minutes: only a run whose faults leave processes alive can show it.
const RSS: u64 = 24 << 20;
/// After a reload the old worker is there as long as its sockets are.
const RSS_OF_HAPROXY: u64 = 48 << 20;
/// What was said during the run lies in Redis's memory, so its bound can only be a loose one.
const RSS_OF_REDIS: u64 = 256 << 20;
const FDS: u64 = 32;
const THREADS: u64 = 8;
const TASKS: u64 = 64;

/// What is busy when it is looked at may have more for a moment, and what has just started has less: of
/// the first looks the most counts, and of the last the least.
const LOOKS: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Leaks {
    before: HashMap<String, Taken>,
    /// By container and start of its first process.
    lives: BTreeMap<(String, u64), Life>,
}

/// One process, each time it was looked at.
#[derive(Debug)]
struct Life {
    /// When it was first looked at, and when last, microseconds.
    from: u64,
    until: u64,
    looks: Vec<Taken>,
}

impl Leaks {
    pub fn before(&mut self, container: &str, taken: Taken) {
        self.before.insert(container.to_owned(), taken);
        // A replica's other slot has none of its own.
        self.before.entry(replica(container).to_owned()).or_insert(taken);
    }

    /// At any time, of the process that started at `since`.
    pub fn look(&mut self, container: &str, since: u64, taken: Taken, at: u64) {
        if is_unread(container, taken) {
            return;
        }
        let life = self.lives.entry((container.to_owned(), since));
        let life = life.or_insert_with(|| Life { from: at, until: at, looks: Vec::new() });
        life.until = at;
        life.looks.push(taken);
    }

    pub fn after(&self, book: &mut Book, container: &str, taken: Taken) {
        let known = self.before.get(container);
        let Some(before) = known.or_else(|| self.before.get(replica(container))) else {
            return book.note(Anomaly::Incomplete, |_| {
                format!("what {container} took before the load is not known")
            });
        };
        if is_unread(container, *before) || is_unread(container, taken) {
            book.note(Anomaly::Incomplete, |_| {
                format!("how many tasks {container} had before or after the load is not known")
            });
        }
        compare(book, container, before, taken);
    }

    /// Judges every life. What was watched → for how many seconds at most.
    pub fn finish(&self, book: &mut Book) -> BTreeMap<String, f64> {
        let mut watched: BTreeMap<String, f64> = BTreeMap::new();
        for ((container, _), life) in &self.lives {
            let looks = life.looks.len();
            if looks >= 2 * LOOKS {
                let most = Taken::of(&life.looks[..LOOKS], |it| it.max());
                let least = Taken::of(&life.looks[looks - LOOKS..], |it| it.min());
                compare(book, container, &most, least);
            }
            let (_, name) = container.rsplit_once('-').unwrap_or_default();
            let kind = if is_replica(container) { "replica" } else { name };
            let longest = watched.entry(kind.to_owned()).or_default();
            *longest = longest.max((life.until - life.from) as f64 / 1e6);
        }
        watched
    }
}

impl Taken {
    /// One of several looks, for each of the figures.
    fn of(looks: &[Self], one: fn(&mut dyn Iterator<Item = u64>) -> Option<u64>) -> Self {
        let one = |of: fn(&Self) -> u64| one(&mut looks.iter().map(of)).unwrap_or_default();
        Self {
            rss: one(|it| it.rss),
            fds: one(|it| it.fds),
            threads: one(|it| it.threads),
            tasks: one(|it| it.tasks),
        }
    }
}

fn compare(book: &mut Book, container: &str, before: &Taken, taken: Taken) {
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

/// A replica has at least the task that answers: it was not asked, or did not answer.
fn is_unread(container: &str, taken: Taken) -> bool {
    is_replica(container) && taken.tasks == 0
}

fn is_replica(container: &str) -> bool {
    container != replica(container)
}

/// A container's name without its slot.
fn replica(container: &str) -> &str {
    container.trim_end_matches("-blue").trim_end_matches("-green")
}
