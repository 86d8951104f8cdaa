//! Where it is shown: a picture that stays at the bottom of a terminal, or lines for whoever reads them later.

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

use super::{
    board::Board,
    picture::{NARROWEST, clock, height, picture, sentence},
};

/// How often a picture is made.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How often there is a line where no picture can be, besides one for each thing that begins.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Replicas that a picture has room for, at least.
const REPLICAS: usize = 3;

/// The picture that is on the terminal now: a process has one terminal.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);
/// Whether there was a panic: nothing is drawn over what it says.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Shows a board for as long as it lives.
pub struct Screen {
    _drawing: AbortOnDropHandle<()>,
}

impl Screen {
    /// Pictures if there is a terminal for them, or lines.
    pub fn open(board: Board) -> Self {
        let drawing = match is_for_pictures() {
            true => tokio::spawn(draw(board, begin_picture())),
            false => tokio::spawn(tell_in_lines(board)),
        };
        Self { _drawing: AbortOnDropHandle::new(drawing) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = shown().take()
            && !PANICKED.load(Ordering::Relaxed)
        {
            bar.finish_and_clear();
        }
    }
}

/// Says a line to people, above the picture if there is one.
pub fn say(line: &str) {
    match shown().clone() {
        Some(bar) if !PANICKED.load(Ordering::Relaxed) => bar.suspend(|| eprintln!("{line}")),
        _ => eprintln!("{line}"),
    }
}

/// The same on standard output, for what others may want to read. To a reader who has left, nothing is said.
pub fn tell(line: &str) {
    let print = || drop(writeln!(stdout(), "{line}"));
    match shown().clone() {
        Some(bar) if !PANICKED.load(Ordering::Relaxed) => bar.suspend(print),
        _ => print(),
    }
}

/// The way of logs to the terminal.
pub fn told() -> impl Write {
    Told(Vec::new())
}

struct Told(Vec<u8>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        say(String::from_utf8_lossy(&self.0).trim_end());
    }
}

fn shown() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Colours for people who look at a terminal that knows them, and do not mind.
pub fn is_for_colours() -> bool {
    let minds = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let knows = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    stdout().is_terminal() && knows && !minds
}

/// Whether a picture would be seen as one.
fn is_for_pictures() -> bool {
    is_for_colours()
        && stderr().is_terminal()
        && Term::stderr().size_checked().is_some_and(has_room)
}

pub(super) fn has_room((rows, columns): (u16, u16)) -> bool {
    usize::from(columns) >= NARROWEST && usize::from(rows) > height(REPLICAS) + 2
}

fn begin_picture() -> ProgressBar {
    static HOOK: OnceLock<()> = OnceLock::new();
    HOOK.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.store(true, Ordering::Relaxed);
            eprintln!();
            before(panic);
        }));
    });
    // It has neither hidden the cursor nor changed the terminal: whatever ends us leaves nothing to be put right.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    *shown() = Some(bar.clone());
    bar
}

async fn draw(board: Board, bar: ProgressBar) {
    let mut pace = interval(DRAW_EVERY);
    loop {
        pace.tick().await;
        if PANICKED.load(Ordering::Relaxed) {
            return;
        }
        // People make windows smaller.
        let width = usize::from(Term::stderr().size().1).max(NARROWEST);
        bar.set_message(picture(&board.glance(), width).join("\n"));
    }
}

async fn tell_in_lines(board: Board) {
    let mut pace = interval(DRAW_EVERY);
    let mut last = Instant::now();
    loop {
        pace.tick().await;
        let news = board.news();
        let is_due = last.elapsed() >= LINE_EVERY;
        if news.is_empty() && !is_due {
            continue;
        }
        let glance = board.glance();
        for news in news {
            tell(&format!("{}  {news}", clock(glance.since)));
        }
        if is_due {
            last = Instant::now();
            tell(&sentence(&glance));
        }
    }
}
