//! What is true now: a fold of all events. A page that opens late is told the picture, and what it comes to is counted here.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::{
    chain::Chain,
    event::{
        Act, End, Event, Figures, Is, Message, Phase, Replica, Server, Stage, Step, Verdict, What,
    },
    hall::{self, Hall},
};

/// Rooms whose chains are followed.
const ROOMS: usize = 64;
/// The stage has two at a time; those before them may not be gone yet.
const WITNESSES: usize = 8;
/// Messages that a page is told when it opens.
const MESSAGES: usize = 120;
/// The times of messages that the 99th percentile is of: those of so many ms, and at most so many.
const TIMES_MS: u64 = 10_000;
const TIMES: usize = 5_000;
/// Somebody who has not come back by then has left.
const GIVEN_UP_MS: u64 = 30_000;

/// Each replica tells what happened in steps of this: which of two things that happened on two replicas was first is not known
/// more exactly.
const STEP_MS: u64 = 100;

/// A connection, by replica, slot and number.
type Key = (String, String, u64);

/// A connection that is open.
#[derive(Debug)]
struct Connection {
    member: String,
    name: String,
    live_at: Option<u64>,
    goes_at: Option<u64>,
    /// It was ended by its replica, or with it.
    is_cut: bool,
}

/// Somebody who was let go, and has no live connection.
#[derive(Debug)]
struct Silent {
    since: u64,
    /// It was told to go by this replica, and has done so: the next live connection is its move's end.
    moves_from: Option<String>,
    /// It went before its moment, of its own will: how long it stays away is its own matter.
    is_own_will: bool,
}

/// What is true now.
#[derive(Debug, Default)]
pub struct Picture {
    stage: Option<Stage>,
    replicas: Vec<Replica>,
    servers: Vec<Server>,
    connections: BTreeMap<Key, Connection>,
    /// Connections of each member.
    members: HashMap<String, Vec<Key>>,
    /// The newest that are no people.
    witnesses: VecDeque<String>,
    /// Those whose replica has lost the log.
    without_log: BTreeSet<usize>,
    silent: HashMap<String, Silent>,
    /// The steps of the last deploy, in their order.
    phases: Vec<(u64, Phase)>,
    /// The last act: how it began, and how it ended if it has.
    act: Vec<(u64, Act)>,
    /// Of the last roll call, until another act begins.
    verdict: Option<(u64, Verdict)>,
    chains: BTreeMap<String, Chain>,
    messages: VecDeque<(u64, Message)>,
    times: VecDeque<(u64, u64)>,
    hall: Hall,
    counted: Figures,
}

impl Picture {
    /// Takes an event in.
    pub fn apply(&mut self, Event { at, what }: &Event) {
        match what {
            What::Stage(stage) => self.stage = Some(stage.clone()),
            What::Replicas { replicas } => self.replicas.clone_from(replicas),
            What::Connections { list } => {
                list.iter().for_each(|step| self.step(at.saturating_sub(step.ago_ms), step));
            }
            What::Phase(phase) => self.phase(*at, phase),
            What::Message(message) => self.message(*at, message),
            What::Witness { member } => self.witness(member),
            What::Asked { topic } => self.hall.asked(*at, topic),
            What::Proxy { servers } => self.servers.clone_from(servers),
            What::Act(act) => self.act(*at, act),
            What::Verdict(verdict) => self.verdict = Some((*at, verdict.clone())),
            What::Log { witness, up: false } => _ = self.without_log.insert(*witness),
            What::Log { witness, up: true } => _ = self.without_log.remove(witness),
            // A page tells it while it happens. And figures are what this counts.
            What::Gap { .. } | What::Figures(_) => {}
        }
    }

    /// The release that serves a member: that of the connection which was live last.
    #[must_use]
    pub fn release_of(&self, member: &str) -> Option<String> {
        let live = |key: &&Key| self.connections.get(*key).and_then(|it| it.live_at);
        let key = self.members.get(member)?.iter().max_by_key(live)?;
        let replica = self.replicas.iter().find(|replica| replica.name == key.0)?;
        replica.slots.iter().find(|slot| slot.slot == key.1)?.release.clone()
    }

    fn step(&mut self, at: u64, step: &Step) {
        let key = (step.replica.clone(), step.slot.clone(), step.number);
        match step.is {
            Is::Opened => {
                self.opened(key, step);
                self.hall.came(at, &step.member);
            }
            Is::Live => self.live(at, &key),
            Is::Goaway => self.told_to_go(at + step.in_ms.unwrap_or(0), &key),
            Is::Forced => self.cut(&key),
            Is::Lost => {
                self.cut(&key);
                self.closed(at, &key);
            }
            Is::Closed => self.closed(at, &key),
        }
    }

    fn witness(&mut self, member: &str) {
        if self.witnesses.iter().any(|it| it == member) {
            return;
        }
        self.witnesses.push_back(member.to_owned());
        if self.witnesses.len() > WITNESSES {
            self.witnesses.pop_front();
        }
    }

    fn opened(&mut self, key: Key, step: &Step) {
        let (member, name) = (step.member.clone(), step.name.clone());
        self.members.entry(member.clone()).or_default().push(key.clone());
        let connection = Connection { member, name, live_at: None, goes_at: None, is_cut: false };
        self.connections.insert(key, connection);
    }

    fn live(&mut self, at: u64, key: &Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.live_at.get_or_insert(at);
        let Some(silent) = self.silent.remove(&connection.member) else { return };
        // A replica that died has hit them, too.
        self.hall.moved(at, &connection.member);
        if !silent.is_own_will {
            let silence = told_apart(at.saturating_sub(silent.since));
            self.counted.silence_ms = self.counted.silence_ms.max(silence);
        }
        if let Some(replica) = silent.moves_from {
            self.moved_from(&replica);
        }
    }

    fn told_to_go(&mut self, goes_at: u64, key: &Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.goes_at.replace(goes_at).is_none() {
            self.counted.drains.entry(key.0.clone()).or_default().told += 1;
        }
    }

    fn moved_from(&mut self, replica: &str) {
        self.counted.moved += 1;
        self.counted.drains.entry(replica.to_owned()).or_default().moved += 1;
    }

    fn cut(&mut self, key: &Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            self.counted.cut += u64::from(!connection.is_cut);
            connection.is_cut = true;
        }
    }

    fn closed(&mut self, at: u64, key: &Key) {
        let Some(closed) = self.connections.remove(key) else { return };
        let Some(others) = self.members.get_mut(&closed.member) else { return };
        others.retain(|other| other != key);
        let is_live =
            |other: &Key| self.connections.get(other).is_some_and(|it| it.live_at.is_some());
        let goes_on = others.iter().any(is_live);
        if others.is_empty() {
            self.members.remove(&closed.member);
        }
        let was_told = closed.goes_at.is_some();
        if was_told && goes_on && !closed.is_cut {
            self.moved_from(&key.0);
            self.hall.moved(at, &closed.member);
        } else if (was_told || closed.is_cut) && !goes_on && closed.live_at.is_some() {
            let is_moving = was_told && !closed.is_cut;
            let is_early = closed.goes_at.is_some_and(|goes_at| at + STEP_MS < goes_at);
            let moves_from = is_moving.then(|| key.0.clone());
            let silent = Silent { since: at, moves_from, is_own_will: is_moving && is_early };
            self.silent.insert(closed.member, silent);
        }
    }

    fn phase(&mut self, at: u64, phase: &Phase) {
        if phase.replica.is_empty() && phase.is == End::Begin {
            self.phases.clear();
        }
        // A new turn begins.
        if phase.phase == "start" && phase.is == End::Begin {
            self.counted.drains.remove(&phase.replica);
        }
        self.phases.push((at, phase.clone()));
    }

    fn act(&mut self, at: u64, act: &Act) {
        if act.is == End::Begin {
            self.act.clear();
            self.verdict = None;
        }
        self.act.push((at, act.clone()));
    }

    fn message(&mut self, at: u64, message: &Message) {
        if message.broken {
            self.counted.lost += 1;
        } else if self.chains.len() < ROOMS || self.chains.contains_key(&message.room) {
            let chain = self.chains.entry(message.room.clone()).or_default();
            chain.add(message, &mut self.counted);
        }
        if let Some(took) = message.took_ms {
            self.times.push_back((at, took));
            if self.times.len() > TIMES {
                self.times.pop_front();
            }
        }
        // Whoever is not here has no voice: a program may post under as many names as it likes.
        let member = &message.member;
        if self.members.contains_key(member) || self.silent.contains_key(member) {
            self.hall.heard(at, message);
        } else {
            self.hall.heard_early(at, message);
        }
        // What phones say there is counted, and no talk.
        if message.room == hall::ROOM {
            return;
        }
        self.messages.push_back((at, message.clone()));
        if self.messages.len() > MESSAGES * 2 {
            self.messages.pop_front();
        }
    }

    /// What all of it comes to, at this moment.
    pub fn figures(&mut self, at: u64) -> Figures {
        self.silent.retain(|_, silent| at.saturating_sub(silent.since) < GIVEN_UP_MS);
        while self.times.front().is_some_and(|(told, _)| told + TIMES_MS < at) {
            self.times.pop_front();
        }
        let mut times: Vec<_> = self.times.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        // The smallest that 99 of 100 do not exceed.
        let rank = (times.len() * 99).div_ceil(100);
        let replicas = self.replicas.iter().map(|replica| &*replica.name);
        Figures {
            audience: self.hall.count(at, replicas),
            p99_ms: rank.checked_sub(1).and_then(|rank| times.get(rank)).copied(),
            here: self.members.keys().filter(|it| !self.witnesses.contains(it)).count() as u64,
            ..self.counted.clone()
        }
    }

    /// All of it as events, for a page that knows nothing yet.
    pub fn retell(&mut self, at: u64) -> Vec<Event> {
        let figures = self.figures(at);
        let settled = |what| Event { at: 0, what };
        let mut told = Vec::new();
        told.extend(self.stage.clone().map(What::Stage).map(settled));
        told.push(settled(What::Replicas { replicas: self.replicas.clone() }));
        let away = |witness: &usize| settled(What::Log { witness: *witness, up: false });
        told.extend(self.without_log.iter().map(away));
        told.push(settled(What::Proxy { servers: self.servers.clone() }));
        let phases = self.phases.iter().map(|(at, it)| (*at, What::Phase(it.clone())));
        let messages = self.messages.iter().map(|(at, it)| (*at, What::Message(it.clone())));
        let act = self.act.iter().map(|(at, it)| (*at, What::Act(it.clone())));
        let verdict = self.verdict.iter().map(|(at, it)| (*at, What::Verdict(it.clone())));
        let mut happened: Vec<_> = phases
            .chain(messages)
            .chain(act)
            .chain(verdict)
            .chain([(at, What::Connections { list: self.steps(at) }), (at, What::Figures(figures))])
            .map(|(at, what)| Event { at, what })
            .collect();
        happened.sort_by_key(|event| event.at);
        told.extend(happened);
        told
    }

    /// How the connections came to be as they are.
    fn steps(&self, at: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        for ((replica, slot, number), connection) in &self.connections {
            // Those who sit have sat for some time.
            let ago_ms = 2_000.min(at);
            let step = |is| Step {
                is,
                replica: replica.clone(),
                slot: slot.clone(),
                number: *number,
                member: String::new(),
                name: String::new(),
                in_ms: None,
                ago_ms,
            };
            let Connection { member, name, .. } = connection;
            steps.push(Step { member: member.clone(), name: name.clone(), ..step(Is::Opened) });
            steps.extend(connection.live_at.map(|_| step(Is::Live)));
            let goaway = |goes_at: u64| Step {
                in_ms: Some(goes_at.saturating_sub(at)),
                ago_ms: 0,
                ..step(Is::Goaway)
            };
            steps.extend(connection.goes_at.map(goaway));
        }
        steps
    }
}

/// A silence, if it is one.
fn told_apart(ms: u64) -> u64 {
    if ms <= STEP_MS { 0 } else { ms }
}

#[cfg(test)]
mod tests;
