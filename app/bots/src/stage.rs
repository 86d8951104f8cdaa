//! Brings cast, audience and probe together, lets them talk, and sees them off.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use rollcall_checker::history::What;
use rollcall_client::{Config, Tls};
use rollcall_journal::Journal;
use rollcall_protocol::{EntryId, RoomCursor};
use rollcall_witness::page::{self, Visit};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    accounts::Accounts,
    acts::Acts,
    at_page,
    audience::{self, Seat},
    cast::Cast,
    participant::{Heard, Participant, Shared},
    phase::{Phase, Progress},
    probe::Probe,
    scene::{Character, Play},
    voice::{Script, Voice},
};

/// Clients that connect at a time: a start is no thundering herd.
const CONNECTING: usize = 50;
/// How long the participants' farewell may take in all.
const FAREWELL: Duration = Duration::from_secs(10);

/// Someone to be brought on stage.
struct Ticket {
    config: Config,
    heard: Option<watch::Sender<Heard>>,
}

/// All who take part, and where they are in the run.
pub struct Stage {
    url: String,
    tls: Option<Tls>,
    seed: u64,
    script: Script,
    acts: Acts,
    phase: watch::Sender<Phase>,
    progress: watch::Sender<Progress>,
    participants: JoinSet<()>,
    speakers: JoinSet<u64>,
    probe: Option<JoinHandle<()>>,
}

impl Stage {
    /// Over TLS `tls` says whom to believe.
    pub fn new(url: &str, tls: Option<Tls>, seed: u64, script: Script) -> Self {
        Self {
            url: url.to_owned(),
            tls,
            seed,
            script,
            acts: Acts::default(),
            phase: watch::Sender::new(Phase::Talk),
            progress: watch::Sender::new(Progress::default()),
            participants: JoinSet::new(),
            speakers: JoinSet::new(),
            probe: None,
        }
    }

    /// Brings the cast in and lets it begin: each character with an account of its own, or as guests.
    pub async fn gather_cast(
        &mut self,
        cast: &Cast,
        accounts: Option<&Accounts>,
    ) -> anyhow::Result<()> {
        let mut heard_by = HashMap::new();
        let mut tickets = Vec::new();
        for (name, rooms) in cast.characters() {
            let heard = watch::Sender::new(Heard::new());
            heard_by.insert(name.clone(), heard.subscribe());
            let token = match accounts {
                Some(accounts) => Some(accounts.token(&name).await?),
                None => None,
            };
            let mut config = self.config(name, &rooms);
            config.token = token;
            tickets.push(Ticket { config, heard: Some(heard) });
        }
        let voices = self.gather(tickets).await?;
        let characters: HashMap<_, _> = voices
            .into_iter()
            .filter_map(|(name, voice)| {
                let heard = heard_by.remove(&name)?;
                Some((name, Character { voice, heard }))
            })
            .collect();
        for scene in &cast.rooms {
            let parts = cast.parts_in(&scene.name);
            let play = Play::new(scene.clone(), parts, characters.clone(), self.acts.subscribe());
            self.speakers.spawn(play.play(self.phase.subscribe()));
        }
        Ok(())
    }

    /// Brings in `size` listeners, who say `rate` things per second between them. Their public IDs are added to `known`.
    pub async fn gather_audience(
        &mut self,
        size: usize,
        rooms: &[String],
        rate: f64,
        known: Option<&Path>,
    ) -> anyhow::Result<()> {
        let name = |index| format!("Guest {index}");
        let ticket = |index| Ticket {
            config: self.config(name(index), &audience::rooms_of(index, rooms)),
            heard: None,
        };
        let voices = self.gather((0..size).map(ticket).collect()).await?;
        if let Some(file) = known {
            audience::make_known(file, voices.values().map(|voice| &*voice.sender))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        // In the order of their names, so that the seed decides who speaks.
        let seat = |index| {
            let voice = voices.get(&name(index))?.clone();
            Some(Seat { voice, rooms: audience::rooms_of(index, rooms) })
        };
        let seats = (0..size).filter_map(seat).collect();
        self.speakers.spawn(audience::chatter(seats, rate, self.seed, self.phase.subscribe()));
        Ok(())
    }

    /// Brings in somebody who sits at the page, in the browser, and speaks in one of these rooms, of which only what comes
    /// after these entries is this run's matter. The browser believes certificates with these keys, whoever signed them.
    pub async fn gather_at_page(
        &mut self,
        room: &str,
        rooms: BTreeMap<String, EntryId>,
        keys: &[String],
    ) -> anyhow::Result<()> {
        let (phase, progress) = (self.phase.subscribe(), self.progress.clone());
        let (script, acts) = (self.script.clone(), self.acts.clone());
        let shared = Shared { script, acts, phase, progress };
        let (seat, mut is_taken) = at_page::Seat::new(shared, rooms.keys().cloned().collect());
        let visit = Visit {
            url: self.url.clone(),
            name: at_page::NAME.to_owned(),
            room: room.to_owned(),
            rooms: rooms.into_iter().map(|(room, since)| (room, since.into())).collect(),
            keys: keys.to_vec(),
            seed: self.seed,
        };
        let (mut phase, recorder) = (self.phase.subscribe(), self.script.recorder.clone());
        self.participants.spawn(async move {
            let over = async {
                // If nobody leads the run any more, it is over as well.
                let _over = phase.wait_for(|phase| matches!(phase, Phase::Stop)).await;
            };
            if let Err(error) = page::sit(Arc::new(seat), visit, over).await {
                tracing::error!("at the page: {error:#}");
                recorder.record(What::Incomplete { why: format!("at the page: {error:#}") });
            }
        });
        is_taken.wait_for(|is_taken| *is_taken).await.context("nobody came to the page")?;
        Ok(())
    }

    /// Lets board and cast know what deploys do from now on, as the journal there says.
    pub fn follow(&self, path: PathBuf) {
        let (board, acts) = (self.script.board.clone(), self.acts.clone());
        let mut phase = self.phase.subscribe();
        tokio::spawn(async move {
            let mut journal = Journal::from_now(path);
            let over = async {
                let _over = phase.wait_for(|phase| matches!(phase, Phase::Stop)).await;
            };
            tokio::pin!(over);
            loop {
                tokio::select! {
                    steps = journal.next() => for step in &steps {
                        board.step(step);
                        acts.of_step(step);
                    },
                    () = &mut over => return,
                }
            }
        });
    }

    /// What keeps somebody from coming, if anything does.
    pub fn obstacle(&self) -> Option<String> {
        self.progress.borrow().obstacle.clone()
    }

    /// Starts the HTTP probe.
    pub fn start_probe(&mut self, probe: Probe) {
        self.probe = Some(tokio::spawn(probe.run(self.phase.subscribe())));
    }

    /// Ends all talking, and waits until all that was said is settled, or the limit.
    pub async fn quieten(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.phase.send_replace(Phase::Quiet);
        let mut said = 0;
        while let Some(count) = self.speakers.join_next().await {
            said += count.context("a speaker failed")?;
        }
        if let Some(probe) = self.probe.take() {
            probe.await.context("the probe failed")?;
        }
        let mut progress = self.progress.subscribe();
        if timeout(limit, progress.wait_for(|progress| progress.settled >= said)).await.is_err() {
            tracing::warn!("messages were not acknowledged within {limit:?}");
        }
        Ok(())
    }

    /// Waits until everybody has everything up to these heads, or the limit.
    pub async fn settle(&self, heads: BTreeMap<String, EntryId>, limit: Duration) {
        self.phase.send_replace(Phase::Settle(Arc::new(heads)));
        let everybody = self.participants.len();
        let mut progress = self.progress.subscribe();
        let settled = progress.wait_for(|progress| progress.caught_up >= everybody);
        if timeout(limit, settled).await.is_err() {
            tracing::warn!("somebody has not caught up within {limit:?}");
        }
    }

    /// Sends everybody home. A client that does not go has no end in the history, and the checker misses it.
    pub async fn dismiss(mut self) {
        self.phase.send_replace(Phase::Stop);
        let collect = async {
            while let Some(ended) = self.participants.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a participant failed");
                }
            }
        };
        if timeout(FAREWELL, collect).await.is_err() {
            tracing::warn!("somebody did not say goodbye within {FAREWELL:?}");
        }
    }

    fn config(&self, name: String, rooms: &[String]) -> Config {
        let room = |room: &String| RoomCursor { room: room.clone(), after: None };
        let mut config = Config::new(&self.url, &name, &[]);
        config.rooms = rooms.iter().map(room).collect();
        config.tls.clone_from(&self.tls);
        config
    }

    /// Connects everybody, some at a time, and returns their voices by name.
    async fn gather(&mut self, tickets: Vec<Ticket>) -> anyhow::Result<HashMap<String, Voice>> {
        let (phase, progress) = (self.phase.subscribe(), self.progress.clone());
        let (script, acts) = (self.script.clone(), self.acts.clone());
        let shared = Shared { script, acts, phase, progress };
        let arrive = |Ticket { config, heard }: Ticket| {
            let shared = shared.clone();
            async move {
                let name = config.name.clone();
                let mut participant = Participant::start(config, shared, heard);
                let arrived = participant.arrive().await;
                (name, participant, arrived)
            }
        };
        let mut arriving = stream::iter(tickets).map(arrive).buffer_unordered(CONNECTING);
        let mut voices = HashMap::new();
        while let Some((name, participant, arrived)) = arriving.next().await {
            if !arrived {
                bail!("{name} was not let in: {}", participant.why_ended());
            }
            voices.insert(name, participant.voice());
            self.participants.spawn(participant.take_part());
        }
        Ok(voices)
    }
}
