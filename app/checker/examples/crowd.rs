//! Writes the history of a crowd that nobody had to gather, judges it, and says what both took:
//! `cargo run --release -p rollcall-checker --example crowd -- 3000 900`, clients and messages.

use std::{fs, time::Instant};

use anyhow::Context;
use rollcall_checker::{
    check_file,
    history::{Entered, Gone, Id, Phase, Recorder, What, records},
};

const ROOMS: usize = 9;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|it| it.parse::<usize>());
    let clients = arguments.next().transpose()?.unwrap_or(3_000);
    let messages = arguments.next().transpose()?.unwrap_or(900);
    let file = std::env::temp_dir().join("rollcall-crowd.jsonl");
    let began = Instant::now();
    write(&Recorder::create(&file)?, clients, messages)?;
    let (wrote, bytes) = (began.elapsed(), fs::metadata(&file)?.len());
    let began = Instant::now();
    let lines = records(&file)?.count();
    let read = began.elapsed();
    let began = Instant::now();
    let report = check_file(&file)?;
    println!("{report}");
    println!(
        "  {} deliveries, {lines} lines, {} MB: written in {:.1} s, judged in {:.1} s (of that read in {:.1} s), {} at most",
        report.figures.deliveries,
        bytes >> 20,
        wrote.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        read.as_secs_f64(),
        peak()?,
    );
    fs::remove_file(file).context("it stays")
}

/// Two rooms each, all rolled once, and everything heard by everybody.
fn write(recorder: &Recorder, clients: usize, messages: usize) -> anyhow::Result<()> {
    recorder.record(What::Run { seed: 1, mutant: None });
    recorder.record(What::Cast { clients: clients as u64, probe: false, strangers: true });
    let mut crowd = Crowd { members: vec![Vec::new(); ROOMS], heads: vec![0; ROOMS] };
    for index in 0..clients {
        crowd.enter(recorder, index);
    }
    recorder.record(What::PhaseBegan { phase: Phase::Quiet, rolls: 0, turns: false });
    let mut entries = Vec::new();
    for op in 0..messages {
        match op * 3 / messages.max(1) {
            1 if op * 3 % messages < 3 => crowd.roll(recorder, clients),
            2 if op * 3 % messages < 3 => recorder.record(What::PhaseEnded { exit: 0 }),
            _ => {}
        }
        entries.push(crowd.say(recorder, op, op * 31 % clients));
    }
    recorder.record(What::Healed);
    for index in 0..clients {
        recorder.record(What::Gone { client: name(index), how: Gone::Dismissed });
    }
    entries.into_iter().for_each(|entry| recorder.record(entry));
    recorder.finish()
}

struct Crowd {
    /// Clients of each room.
    members: Vec<Vec<usize>>,
    /// Milliseconds of each room's newest entry.
    heads: Vec<u64>,
}

fn name(index: usize) -> String {
    format!("Guest {index}")
}

fn member(index: usize) -> String {
    format!("{index:016x}")
}

fn room(index: usize) -> String {
    format!("room {index}")
}

fn id(ms: u64) -> Id {
    Id { ms, seq: 0 }
}

impl Crowd {
    fn enter(&mut self, recorder: &Recorder, index: usize) {
        let places = [index % ROOMS, (index + 1) % ROOMS];
        let (client, role) = (name(index), "guest".to_owned());
        recorder.record(What::Began { client, role, rooms: places.map(room).to_vec() });
        self.connect(recorder, index, "fresh", "1.0.0");
        for place in places {
            for other in &self.members[place] {
                recorder.record(What::Presence {
                    client: name(*other),
                    room: room(place),
                    member: member(index),
                    here: true,
                });
            }
            self.members[place].push(index);
            self.join(recorder, index, place, Entered::Fresh);
        }
    }

    fn connect(&self, recorder: &Recorder, index: usize, why: &str, release: &str) {
        recorder.record(What::Connected {
            client: name(index),
            member: member(index),
            replica: format!("r{}", index % 3 + 1),
            release: release.to_owned(),
            why: why.to_owned(),
        });
    }

    fn join(&self, recorder: &Recorder, index: usize, place: usize, how: Entered) {
        let present = self.members[place].iter().map(|it| member(*it)).collect();
        let (client, room, cursor) = (name(index), room(place), id(self.heads[place]));
        recorder.record(What::Joined {
            client: client.clone(),
            room: room.clone(),
            how,
            cursor,
            present,
        });
        recorder.record(What::Live { client, room });
    }

    fn roll(&self, recorder: &Recorder, clients: usize) {
        recorder.record(What::PhaseBegan { phase: Phase::Roll, rolls: 1, turns: false });
        for index in 0..clients {
            self.connect(recorder, index, "move", "1.1.0");
            for place in [index % ROOMS, (index + 1) % ROOMS] {
                self.join(recorder, index, place, Entered::Resumed);
            }
        }
    }

    /// Somebody says something, and all hear it. Its entry.
    fn say(&mut self, recorder: &Recorder, op: usize, who: usize) -> What {
        let place = who % ROOMS;
        let (number, hash) = (op as u64 + 1, format!("{op:016x}"));
        let (prev, it) = (id(self.heads[place]), id(1_000_000 + number));
        let (client, at) = (name(who), room(place));
        recorder.record(What::Invoke { op: number, client, room: at.clone(), hash: hash.clone() });
        recorder.record(What::Ok { op: number, id: Some(it), duplicate: false });
        self.heads[place] = it.ms;
        for listener in &self.members[place] {
            recorder.record(What::Message {
                client: name(*listener),
                room: at.clone(),
                id: it,
                prev,
                member: member(who),
                n: number,
                hash: hash.clone(),
            });
        }
        What::Entry { room: at, id: it, prev, member: member(who), n: number, hash }
    }
}

fn peak() -> anyhow::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("? kB").trim().to_owned())
}
