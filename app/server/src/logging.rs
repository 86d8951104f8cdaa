//! The log's lines, on standard output. A thread of their own writes them, so who reads them slowly, or not at all (a
//! log driver whose disk is full, a terminal that was stopped), holds up nobody's chat: lines are dropped and counted.

use std::{
    io::IsTerminal,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait for their reader: some MiB.
const WAITING_LINES: usize = 8_192;
/// How long a reader may take for them at the process's end.
const LAST_LINES: Duration = Duration::from_secs(2);

static WRITER: Mutex<Option<Writer>> = Mutex::new(None);

struct Writer {
    dropped: ErrorCounter,
    /// Writes what waits when it is dropped. If nobody reads it says so itself, to the same reader, and waits for ever.
    _guard: WorkerGuard,
}

/// Lines of this `level` go to standard output from now on, until [`finish`]: as JSON, or as people read them; if it is
/// not said which, as whoever reads them likes it.
///
/// # Panics
/// If this was done before.
pub fn start(level: &str, json: Option<bool>) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    // What these tell beyond that has whole frames and requests in it, and so tokens and passwords.
    let quiet = ["tungstenite=info", "tokio_tungstenite=info", "hyper=info"];
    let quiet = quiet.into_iter().filter_map(|directive| directive.parse().ok());
    let filter = quiet.fold(filter, EnvFilter::add_directive);
    let (lines, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(std::io::stdout());
    *writer() = Some(Writer { dropped: lines.error_counter(), _guard: guard });
    let is_terminal = std::io::stdout().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    // Where there is a terminal it minds NO_COLOR by itself.
    let logs = if is_terminal { logs } else { logs.with_ansi(false) };
    if json.unwrap_or(!is_terminal) {
        logs.json().flatten_event(true).init()
    } else {
        logs.with_target(false).init()
    }
}

/// How many lines were dropped because nobody read them.
pub fn dropped_lines() -> u64 {
    writer().as_ref().map_or(0, |writer| writer.dropped.dropped_lines() as u64)
}

/// Writes what still waits, if somebody reads it; to be called once, at the process's end.
pub fn finish() {
    let writer = writer().take();
    let (written, done) = mpsc::channel();
    thread::spawn(move || {
        drop(writer);
        // Nobody waits any more if it took too long.
        let _late = written.send(());
    });
    let _done = done.recv_timeout(LAST_LINES);
}

fn writer() -> MutexGuard<'static, Option<Writer>> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}
