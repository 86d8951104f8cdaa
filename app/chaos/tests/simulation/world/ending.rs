//! The end of a history, when nothing breaks any more, and what lies there then.

use std::{collections::BTreeMap, time::Duration};

use rand::RngExt;
use rollcall_chaos::history::What;

use super::{REPLICAS, ROOMS, SCHEDULE, World};
use crate::person::{hash_of, id};

impl World {
    /// No more mishaps: everybody comes to rest, and the logs are read.
    pub(super) fn heal(&mut self) {
        for replica in &mut self.replicas {
            (replica.paused, replica.draining) = (false, false);
        }
        // Clients that left a room come back, with what they still have to say there.
        for who in 0..self.people.len() {
            for room in ROOMS
                .into_iter()
                .filter(|room| !self.people[who].rooms.contains(*room))
                .collect::<Vec<_>>()
            {
                self.wander(who, room.to_owned());
            }
        }
        self.tell(What::Undone { step: 0, fault: SCHEDULE.to_owned() });
        self.tell(What::Healed);
        let mut quiet = 0;
        for round in 0..400 {
            // A feed may break at the very end, too, after the last message of a room.
            let feed = self.rng.random_range(0..REPLICAS);
            self.replicas[feed].follows &= round > 20 || !self.chance(4);
            quiet = if self.everybody_acts() { 0 } else { quiet + 1 };
            // Longer than any backoff.
            if quiet > 60 {
                break;
            }
            self.pass(Duration::from_millis(250));
            self.tick();
        }
        self.tell_members();
        self.tell_logs();
        self.tell(What::End);
    }

    pub(super) fn tell_logs(&mut self) {
        for room in ROOMS {
            for it in self.log.entries(room).cloned().collect::<Vec<_>>() {
                let (id, prev, hash) = (id(it.id), id(it.prev), hash_of(&it));
                let (member, room, n) = (it.sender().to_owned(), it.room, it.n);
                self.tell(What::Entry { room, id, prev, member, n, hash });
            }
        }
    }

    fn everybody_acts(&mut self) -> bool {
        let mut busy = false;
        for who in 0..self.people.len() {
            let replica = who % REPLICAS;
            busy |= self.dialed(who, replica, false);
        }
        for index in (0..self.conns.len()).rev() {
            let conn = &mut self.conns[index];
            busy |= conn.serve_all(&mut self.replicas[conn.replica], &mut self.log);
            if conn.link.is_none() {
                self.end(index);
                continue;
            }
            while self.read(index) {
                busy = true;
            }
        }
        for replica in &mut self.replicas {
            while replica.follow(&self.log) {
                busy = true;
            }
            replica.fan_out();
        }
        busy
    }

    /// Presence is not simulated: everybody is told who is there, so that nothing seems amiss.
    fn tell_members(&mut self) {
        let mut members: BTreeMap<String, String> = BTreeMap::new();
        for record in &self.records {
            if let What::Connected { client, member, .. } = &record.what {
                members.insert(client.clone(), member.clone());
            }
        }
        for room in ROOMS {
            let here = self.people.iter().filter(|person| person.rooms.contains(room));
            let here: Vec<_> = here.map(|person| person.name.clone()).collect();
            let present: Vec<_> =
                here.iter().filter_map(|client| members.get(client).cloned()).collect();
            for client in here {
                let (room, present) = (room.to_owned(), present.clone());
                self.tell(What::Members { client, room, present });
            }
        }
    }
}
