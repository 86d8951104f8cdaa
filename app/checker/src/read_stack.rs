//! Reading what a history says of the stack: what the nemesis did to it, and what lies there at the end.

use super::{
    checker::Checker,
    leaks::Taken,
    limits,
    logs::{Logs, Snapshot},
};
use crate::history::{Resources, What};

impl Checker {
    pub(super) fn nemesis(&mut self, what: &What) {
        let at = self.book.place.at;
        if let What::Measured { figure, of, value, limit } = what {
            let limits = &mut self.meter.figures.limits;
            limits::judge(&mut self.book, limits, figure, of, (*value, *limit));
        }
        if matches!(what, What::Destroying { .. }) {
            self.judge_snapshot();
        }
        let faults = &mut self.book.faults;
        let makes_sense = match what {
            What::Fault { step, fault, target } => {
                faults.begin(*step, fault.clone(), target.clone(), at);
                self.roll_under_faults(fault);
                true
            }
            What::Undone { step, fault } => {
                let known = faults.end(*step, fault, at);
                self.roll_under_faults("");
                known
            }
            What::Destroying { loss } => {
                faults.destroying(*loss, at);
                true
            }
            What::Destroyed => faults.destroyed(at),
            What::Snapshot => {
                self.snapshot = Some(Snapshot { begun: self.book.place, logs: Logs::default() });
                true
            }
            _ => true,
        };
        if !makes_sense {
            self.malformed("the end of something that had not begun");
        }
    }

    /// The logs have been read, and will be destroyed: what is missing now is not the nemesis' doing.
    fn judge_snapshot(&mut self) {
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.logs.find_lost(&mut self.book, &self.entries, snapshot.begun);
            self.clients.find_passed_over(&mut self.book, &self.entries, &snapshot);
            self.snapshots.push(snapshot);
        }
    }

    pub(super) fn end(&mut self, what: &What) {
        match what {
            What::Entry { room, id, prev, member, n, hash } => {
                let room = self.book.names.number(room);
                let content = self.content(*prev, member, *n, hash);
                let index = self.entries.show(&mut self.book, (room, *id), content, None);
                let logs = self.snapshot.as_mut().map_or(&mut self.logs, |it| &mut it.logs);
                logs.entry(&mut self.book, self.entries.get(index));
            }
            What::Observed { room, replica, present } => {
                let names = &mut self.book.names;
                let room = names.number(room);
                let present = present.iter().map(|member| names.number(member)).collect();
                self.observed.push((self.book.place, room, replica.clone(), present));
            }
            What::Resources(Resources { when, container, since, rss, fds, threads, tasks }) => {
                let taken = Taken { rss: *rss, fds: *fds, threads: *threads, tasks: *tasks };
                if let Some(since) = since {
                    self.leaks.look(container, *since, taken, self.book.place.at);
                }
                match when.as_str() {
                    "before" => self.leaks.before(container, taken),
                    "after" => self.leaks.after(&mut self.book, container, taken),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
