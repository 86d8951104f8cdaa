//! Brings cast, audience and probe together, lets them talk, and sees them off.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use rollcall_client::{Config, Handle};
use rollcall_protocol::{EntryId, RoomCursor};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    audience::{self, Seat},
    cast::{self, Cast, Character, Heard},
    participant::{Clock, Participant, Phase, Progress, Recording},
    probe::{Probe, Probed},
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
    seed: u64,
    pub clock: Clock,
    phase: watch::Sender<Phase>,
    progress: watch::Sender<Progress>,
    participants: JoinSet<Recording>,
    speakers: JoinSet<u64>,
    probe: Option<JoinHandle<Probed>>,
}

impl Stage {
    pub fn new(url: &str, seed: u64) -> Self {
        Self {
            url: url.to_owned(),
            seed,
            clock: Clock::new(),
            phase: watch::Sender::new(Phase::Before),
            progress: watch::Sender::new(Progress::default()),
            participants: JoinSet::new(),
            speakers: JoinSet::new(),
            probe: None,
        }
    }

    /// Brings the cast in and lets it begin.
    pub async fn gather_cast(&mut self, cast: &Cast) -> anyhow::Result<()> {
        let mut heard_by = HashMap::new();
        let mut tickets = Vec::new();
        for (name, rooms) in cast.characters() {
            let heard = watch::Sender::new(Heard::new());
            heard_by.insert(name.clone(), heard.subscribe());
            tickets.push(Ticket { config: self.config(name, &rooms), heard: Some(heard) });
        }
        let handles = self.gather(tickets).await?;
        let characters: HashMap<_, _> = handles
            .into_iter()
            .filter_map(|(name, handle)| {
                let heard = heard_by.remove(&name)?;
                Some((name, Character { handle, heard }))
            })
            .collect();
        for scene in &cast.rooms {
            let play = cast::play(scene.clone(), characters.clone(), self.phase.subscribe());
            self.speakers.spawn(play);
        }
        Ok(())
    }

    /// Brings in `size` listeners, who say `rate` things a second between them.
    pub async fn gather_audience(
        &mut self,
        size: usize,
        rooms: &[String],
        rate: f64,
    ) -> anyhow::Result<()> {
        let name = |index| format!("Guest {index}");
        let ticket = |index| Ticket {
            config: self.config(name(index), &audience::rooms_of(index, rooms)),
            heard: None,
        };
        let handles = self.gather((0..size).map(ticket).collect()).await?;
        // In the order of their names, so that the seed decides who speaks.
        let seat = |index| {
            let handle = handles.get(&name(index))?.clone();
            Some(Seat { handle, rooms: audience::rooms_of(index, rooms) })
        };
        let seats = (0..size).filter_map(seat).collect();
        self.speakers.spawn(audience::chatter(seats, rate, self.seed, self.phase.subscribe()));
        Ok(())
    }

    /// What keeps somebody from coming, if anything does.
    pub fn obstacle(&self) -> Option<String> {
        self.progress.borrow().obstacle.clone()
    }

    /// Starts the HTTP probe.
    pub fn start_probe(&mut self, probe: Probe) {
        self.probe = Some(tokio::spawn(probe.run(self.phase.subscribe())));
    }

    /// The command runs from here on.
    pub fn begin_roll(&self) {
        self.phase.send_replace(Phase::Roll);
    }

    /// Ends all talking. Returns how much was said, how much of it is settled, and what the probe
    /// saw.
    pub async fn quieten(&mut self, limit: Duration) -> anyhow::Result<(u64, u64, Probed)> {
        self.phase.send_replace(Phase::Quiet);
        let mut said = 0;
        while let Some(count) = self.speakers.join_next().await {
            said += count.context("a speaker failed")?;
        }
        let probed = match self.probe.take() {
            Some(probe) => probe.await.context("the probe failed")?,
            None => Probed::default(),
        };
        let mut progress = self.progress.subscribe();
        if timeout(limit, progress.wait_for(|progress| progress.settled >= said)).await.is_err() {
            tracing::warn!("messages were not acknowledged within {limit:?}");
        }
        let settled = progress.borrow().settled;
        Ok((said, settled, probed))
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

    /// Sends everybody home.
    pub async fn dismiss(mut self) -> Vec<Recording> {
        self.phase.send_replace(Phase::Stop);
        let mut recordings = Vec::new();
        let collect = async {
            while let Some(recording) = self.participants.join_next().await {
                match recording {
                    Ok(recording) => recordings.push(recording),
                    Err(error) => tracing::error!(%error, "a participant failed"),
                }
            }
        };
        if timeout(FAREWELL, collect).await.is_err() {
            tracing::warn!("somebody did not say goodbye within {FAREWELL:?}");
        }
        recordings
    }

    fn config(&self, name: String, rooms: &[String]) -> Config {
        let room = |room: &String| RoomCursor { room: room.clone(), after: None };
        let rooms = rooms.iter().map(room).collect();
        Config { rooms, ..Config::new(&self.url, &name, &[]) }
    }

    /// Connects everybody, some at a time, and returns their handles by name.
    async fn gather(&mut self, tickets: Vec<Ticket>) -> anyhow::Result<HashMap<String, Handle>> {
        let (clock, phase, progress) = (self.clock, &self.phase, &self.progress);
        let arrive = |Ticket { config, heard }: Ticket| async move {
            let name = config.name.clone();
            let (handle, mut participant) =
                Participant::start(config, clock, phase.subscribe(), progress.clone(), heard);
            let arrived = participant.arrive().await;
            (name, handle, participant, arrived)
        };
        let mut arriving = stream::iter(tickets).map(arrive).buffer_unordered(CONNECTING);
        let mut handles = HashMap::new();
        while let Some((name, handle, participant, arrived)) = arriving.next().await {
            if !arrived {
                bail!("{name} was not let in: {}", participant.why_ended());
            }
            self.participants.spawn(participant.take_part());
            handles.insert(name, handle);
        }
        Ok(handles)
    }
}
