//! Where all sources come together: each thing that happens gets its time, is taken into the picture, recorded, and told to
//! every page.

use std::{
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc},
    time::{Instant, MissedTickBehavior},
};

use crate::{
    event::{Event, Figures, Stage, What},
    options::Wifi,
    picture::Picture,
    recording::Recorder,
    told::{Now, Told},
    undo::Undone,
};

/// Events that a page may be behind. One that is further behind is told all anew.
const BEHIND: usize = 4_096;
/// How often the figures are told, if they change.
const FIGURES_EVERY: Duration = Duration::from_millis(200);
/// How often a page is told that the stage is alive. It waits for two and a half of these.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Pages at a time. A browser has six connections to a host: with an open stream in each, no key would be heard.
const PAGES: usize = 4;

/// The picture, and whoever looks at it. Clones share it.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    began: Instant,
    join: Option<String>,
    wifi: Option<Wifi>,
    free: Arc<Semaphore>,
    state: Mutex<Shown>,
}

struct Shown {
    undone: Undone,
    picture: Picture,
    pages: broadcast::Sender<Told>,
    recorder: Option<Recorder>,
    told: Figures,
}

impl Hub {
    /// A stage on which nothing has happened yet.
    #[must_use]
    pub fn new(stage: Stage, wifi: Option<Wifi>, recorder: Option<Recorder>) -> Self {
        let shown = Shown {
            undone: Undone::default(),
            picture: Picture::default(),
            pages: broadcast::Sender::new(BEHIND),
            recorder,
            told: Figures::default(),
        };
        let join = stage.join.clone();
        let (began, free) = (Instant::now(), Arc::new(Semaphore::new(PAGES)));
        let hub = Self(Arc::new(Inner { began, join, wifi, free, state: Mutex::new(shown) }));
        hub.happened(What::Stage(stage));
        hub
    }

    /// Where the audience joins.
    #[must_use]
    pub fn join(&self) -> Option<String> {
        self.0.join.clone()
    }

    /// Takes in what the sources tell, until the last of them ends.
    pub async fn run(&self, mut sources: mpsc::Receiver<What>) {
        let mut ticks = tokio::time::interval(FIGURES_EVERY);
        let mut beats = tokio::time::interval(BEAT_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                what = sources.recv() => match what {
                    Some(what) => self.happened(what),
                    None => return,
                },
                _ = ticks.tick() => self.count(),
                // From here, where everything is told: a page is to notice, too, if nothing is told any more.
                _ = beats.tick() => drop(self.shown().pages.send(Told::Beat)),
            }
        }
    }

    /// A place for one more page, if there is one.
    #[must_use]
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.free.clone().try_acquire_owned().ok()
    }

    /// All that is true now, and then whatever happens. Ends for a page that is too slow: it comes again, and is told anew.
    pub fn follow(&self, place: OwnedSemaphorePermit) -> impl Stream<Item = Told> + use<> {
        let mut shown = self.shown();
        let at = self.at();
        let told = shown.picture.retell(at);
        let pages = shown.pages.subscribe();
        drop(shown);
        let now = Told::Now(Now { at, frozen: false, replay: false });
        let first = told.into_iter().map(|event| Told::Event(Box::new(event))).chain([now]);
        let then = stream::unfold((pages, place), |(mut pages, place)| async move {
            let told = pages.recv().await.ok()?;
            Some((told, (pages, place)))
        });
        stream::iter(first).chain(then)
    }

    /// The Wi-Fi that they need first.
    #[must_use]
    pub fn wifi(&self) -> Option<&Wifi> {
        self.0.wifi.as_ref()
    }

    /// The replica that most of the audience want to see die.
    #[must_use]
    pub fn voted(&self) -> Option<String> {
        let at = self.at();
        self.shown().picture.figures(at).audience.voted().map(str::to_owned)
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self) -> u64 {
        self.0.began.elapsed().as_millis() as u64
    }

    fn happened(&self, mut what: What) {
        let mut shown = self.shown();
        if let What::Message(message) = &mut what {
            message.release = shown.picture.release_of(&message.member);
        }
        let then = shown.undone.apply(&mut what);
        let at = self.at();
        for what in iter::once(what).chain(then) {
            shown.tell(Event { at, what });
        }
    }

    fn count(&self) {
        let mut shown = self.shown();
        let at = self.at();
        let figures = shown.picture.figures(at);
        if figures == shown.told {
            return;
        }
        shown.told = figures.clone();
        shown.tell(Event { at, what: What::Figures(figures) });
    }
}

impl Shown {
    fn tell(&mut self, event: Event) {
        self.picture.apply(&event);
        // The show goes on, on a full disk, too.
        self.recorder.take_if(|recorder| match recorder.add(&event) {
            Ok(()) => false,
            Err(error) => {
                eprintln!("The recording ends here: {error:#}");
                true
            }
        });
        // Perhaps nobody looks.
        let _pages = self.pages.send(Told::Event(Box::new(event)));
    }
}
