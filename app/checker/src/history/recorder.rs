use std::{
    collections::HashMap,
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{Record, What, file::Output};

/// Writes a history. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Recorder {
    began: Instant,
    /// A lock rather than a channel: the order of the lines is then the order of the events, and
    /// nothing waits in a queue when the run is cut short. Held for one buffered write.
    file: Arc<Mutex<BufWriter<Output>>>,
    /// Every member's names so far: each is told once.
    names: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

impl Recorder {
    /// Begins a new history; time counts from here. It is packed if the name of the file ends in `.gz`.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            Output::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let file = Arc::new(Mutex::new(BufWriter::with_capacity(1 << 16, file)));
        Ok(Self { began: Instant::now(), file, names: Arc::default() })
    }

    /// Adds what happened just now.
    pub fn record(&self, what: What) {
        self.record_at(Instant::now(), what);
    }

    /// Adds what happened at `when`: what waited before somebody came to write it down is not late for that.
    pub fn record_at(&self, when: Instant, what: What) {
        let since = when.saturating_duration_since(self.began);
        let at = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk ends in `finish`, which flushes; here there is nobody to tell.
        let _ = serde_json::to_writer(&mut *file, &Record { at, what });
        let _ = file.write_all(b"\n");
    }

    /// Adds that a client was told a member's name, if nobody was told that before.
    pub fn named(&self, client: &str, member: &str, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.get_mut(member) {
            Some(known) if known.iter().any(|it| it == name) => return,
            Some(known) => known.push(name.to_owned()),
            None => drop(names.insert(member.to_owned(), vec![name.to_owned()])),
        }
        drop(names);
        let (client, member, name) = (client.to_owned(), member.to_owned(), name.to_owned());
        self.record(What::Named { client, member, name });
    }

    /// Since the run began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Writes the last line and everything that is buffered.
    ///
    /// # Errors
    ///
    /// If it cannot be written: the history is then not to be trusted.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.record(What::End);
        self.flush()?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.get_mut().finish().context("cannot write the history")
    }

    /// Writes everything that is buffered.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn flush(&self) -> anyhow::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().context("cannot write the history")
    }
}
