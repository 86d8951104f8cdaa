//! How each slot is, and which connections it has, as far as it has told.

use std::collections::BTreeSet;

use super::{
    Place, Replica, SLOTS,
    stream::{Change, Here, News, Process},
};
use crate::event::{self, Is, Slot, State, Step, What};

/// A slot.
#[derive(Debug, Default)]
struct Told {
    release: Option<String>,
    state: State,
    connections: BTreeSet<u64>,
    /// Those that have been told since it began to tell anew.
    anew: BTreeSet<u64>,
}

/// All slots.
#[derive(Debug)]
pub struct Board {
    replicas: Vec<(String, Vec<Told>)>,
}

impl Board {
    /// Nothing has been told of any.
    pub fn new(replicas: &[Replica]) -> Self {
        let slots = |it: &Replica| it.slots.iter().map(|_| Told::default()).collect();
        Self { replicas: replicas.iter().map(|it| (it.name.clone(), slots(it))).collect() }
    }

    /// All replicas, as they are.
    pub fn told(&self) -> What {
        let slot = |(number, told): (usize, &Told)| Slot {
            slot: SLOTS[number].to_owned(),
            release: told.release.clone(),
            state: told.state,
        };
        let replica = |(name, slots): &(String, Vec<Told>)| event::Replica {
            name: name.clone(),
            slots: slots.iter().enumerate().map(slot).collect(),
        };
        What::Replicas { replicas: self.replicas.iter().map(replica).collect() }
    }

    /// Takes in what a slot tells: what has happened.
    pub fn hear(&mut self, (replica, slot): Place, news: News) -> Vec<What> {
        let (name, slots) = &mut self.replicas[replica];
        let told = &mut slots[slot];
        let list: Vec<Step> = match news {
            News::Process(process) => {
                let state = state_of(&process);
                let is_same =
                    told.state == state && told.release.as_ref() == Some(&process.release);
                (told.release, told.state) = (Some(process.release), state);
                return if is_same { Vec::new() } else { vec![self.told()] };
            }
            News::Anew => {
                told.anew.clear();
                return Vec::new();
            }
            News::Here(here) => {
                told.anew.extend(here.iter().map(|it| it.number));
                let is_new = |it: &Here| !told.connections.contains(&it.number);
                here.into_iter().filter(is_new).flat_map(steps_to).collect()
            }
            // Those that are not told any more ended while nobody listened.
            News::Complete => {
                let ended = told.connections.difference(&told.anew);
                ended.map(|number| plain(Is::Closed, *number)).collect()
            }
            News::Changes(changes) => changes.into_iter().map(step).collect(),
            News::Gone => {
                let state = after(told.state, told.connections.len());
                let is_same = told.state == state;
                told.state = state;
                let lost = std::mem::take(&mut told.connections);
                let list =
                    placed(name, slot, lost.into_iter().map(|it| plain(Is::Lost, it)).collect());
                let mut events = if is_same { Vec::new() } else { vec![self.told()] };
                events.extend(list);
                return events;
            }
        };
        keep(&mut told.connections, &list);
        placed(name, slot, list).into_iter().collect()
    }
}

fn state_of(process: &Process) -> State {
    match &*process.phase {
        "ready" => State::Up,
        "draining" => State::Draining,
        "stopped" => State::Kept,
        _ => State::Starting,
    }
}

/// What a slot is whose process is gone with so many connections: one that had moved everybody away was stopped, and any
/// other was not meant to go.
fn after(state: State, connections: usize) -> State {
    match state {
        State::Up => State::Down,
        State::Draining if connections > 0 => State::Down,
        State::Draining | State::Kept => State::Kept,
        State::Down => State::Down,
        State::Starting | State::Empty => State::Empty,
    }
}

fn keep(connections: &mut BTreeSet<u64>, list: &[Step]) {
    for step in list {
        match step.is {
            Is::Opened => connections.insert(step.number),
            Is::Closed => connections.remove(&step.number),
            _ => false,
        };
    }
}

fn placed(name: &str, slot: usize, mut list: Vec<Step>) -> Option<What> {
    for step in &mut list {
        (step.replica, step.slot) = (name.to_owned(), SLOTS[slot].to_owned());
    }
    (!list.is_empty()).then_some(What::Connections { list })
}

fn plain(is: Is, number: u64) -> Step {
    let (replica, slot, member, name) = Default::default();
    Step { is, replica, slot, number, member, name, in_ms: None, ago_ms: 0 }
}

fn step(Change { is, number, member, name, in_ms, ago_ms }: Change) -> Step {
    Step { member, name, in_ms, ago_ms, ..plain(is, number) }
}

/// How a connection came to be as it is.
fn steps_to(Here { number, member, name, live, in_ms }: Here) -> Vec<Step> {
    let mut steps = vec![Step { member, name, ..plain(Is::Opened, number) }];
    steps.extend(live.then(|| plain(Is::Live, number)));
    steps.extend(in_ms.map(|in_ms| Step { in_ms: Some(in_ms), ..plain(Is::Goaway, number) }));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        Board::new(&["r1=127.0.0.1:1,127.0.0.1:2".parse().expect("a replica")])
    }

    fn process(phase: &str) -> News {
        News::Process(Process { release: "1.0.0".to_owned(), phase: phase.to_owned() })
    }

    fn state(board: &Board) -> State {
        board.replicas[0].1[0].state
    }

    fn come(board: &mut Board, number: u64) {
        let (member, name) = ("t".to_owned(), "Teal".to_owned());
        board
            .hear((0, 0), News::Here(vec![Here { number, member, name, live: true, in_ms: None }]));
    }

    #[test]
    fn a_process_that_dies_takes_its_connections_with_it() {
        let mut board = board();
        assert_eq!(board.hear((0, 0), process("ready")).len(), 1);
        assert_eq!(board.hear((0, 0), process("ready")).len(), 0, "nothing new");
        come(&mut board, 4);
        let told = board.hear((0, 0), News::Gone);
        assert_eq!(state(&board), State::Down);
        let What::Connections { list } = &told[1] else { panic!("{told:?}") };
        assert_eq!((list[0].is, list[0].number, &*list[0].slot), (Is::Lost, 4, "blue"));
        assert!(board.hear((0, 0), News::Gone).is_empty(), "once");
    }

    #[test]
    fn what_is_told_anew_after_a_pause_is_what_is_true() {
        let mut board = board();
        board.hear((0, 0), News::Anew);
        come(&mut board, 4);
        come(&mut board, 5);
        assert!(board.hear((0, 0), News::Complete).is_empty());
        assert!(board.hear((0, 0), News::Anew).is_empty());
        let (member, name) = ("t".to_owned(), "Teal".to_owned());
        let here =
            |number, member| Here { number, member, name: name.clone(), live: true, in_ms: None };
        let told = board.hear((0, 0), News::Here(vec![here(5, member.clone()), here(6, member)]));
        let What::Connections { list } = &told[0] else { panic!("{told:?}") };
        assert!(list.iter().all(|step| step.number == 6), "the others are known: {list:?}");
        let told = board.hear((0, 0), News::Complete);
        let What::Connections { list } = &told[0] else { panic!("{told:?}") };
        assert_eq!((list.len(), list[0].is, list[0].number), (1, Is::Closed, 4));
    }

    #[test]
    fn one_that_dies_in_its_drain_was_not_meant_to_go() {
        let mut board = board();
        come(&mut board, 4);
        board.hear((0, 0), process("draining"));
        board.hear((0, 0), News::Gone);
        assert_eq!(state(&board), State::Down);
    }

    #[test]
    fn one_that_was_drained_was_meant_to_go() {
        let mut board = board();
        come(&mut board, 4);
        board.hear((0, 0), process("draining"));
        let (is, number) = (Is::Closed, 4);
        let (member, name) = Default::default();
        let closed = Change { is, number, member, name, in_ms: None, ago_ms: 10 };
        assert_eq!(board.hear((0, 0), News::Changes(vec![closed])).len(), 1);
        assert_eq!(board.hear((0, 0), News::Gone).len(), 1, "the slot, and no connection");
        assert_eq!(state(&board), State::Kept);
        board.hear((0, 0), process("starting"));
        assert_eq!(state(&board), State::Starting);
    }
}
