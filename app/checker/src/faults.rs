//! What the nemesis did, and what that excuses.

use crate::history::Loss;

/// What is so shortly after a fault belongs to it still, microseconds.
const AFTERMATH: u64 = 5_000_000;

/// So long after all that went on is over, everybody has service again and what was said has come, microseconds. A client
/// notices after 12.5 s that its connection is dead, and an attempt to connect may take 5 s.
pub(super) const RECOVERY: u64 = 20_000_000;

#[derive(Debug)]
pub(super) struct Fault {
    pub step: u32,
    pub name: String,
    pub target: String,
    pub begun: u64,
    pub undone: Option<u64>,
}

/// What was going on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Quiet,
    /// Nothing is active, but something was a moment ago.
    Aftermath,
    /// This fault alone, by index.
    One(usize),
    /// What each of them did cannot be told apart.
    Several,
}

/// Data that was really lost, at some moment of this stretch of time.
#[derive(Debug)]
struct Destruction {
    loss: Loss,
    begun: u64,
    /// End of the world while it is not over.
    over: u64,
}

/// When the newest entries may have been cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub begun: u64,
    /// End of the world while it is not over.
    pub over: u64,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub all: Vec<Fault>,
    /// Of those, by index.
    active: Vec<usize>,
    destructions: Vec<Destruction>,
}

impl Faults {
    pub fn begin(&mut self, step: u32, name: String, target: String, at: u64) {
        self.active.push(self.all.len());
        self.all.push(Fault { step, name, target, begun: at, undone: None });
    }

    /// False if there is no such fault.
    pub fn end(&mut self, step: u32, name: &str, at: u64) -> bool {
        let is_it = |fault: &Fault| fault.step == step && fault.name == name;
        let Some(place) = self.active.iter().position(|index| is_it(&self.all[*index])) else {
            return false;
        };
        self.all[self.active.swap_remove(place)].undone = Some(at);
        true
    }

    /// What is going on now, at `at`.
    pub fn phase(&self, at: u64) -> Phase {
        match self.active[..] {
            [] if self.is_aftermath(at) => Phase::Aftermath,
            [] => Phase::Quiet,
            [fault] => Phase::One(fault),
            _ => Phase::Several,
        }
    }

    /// Whether a fault or the loss of data began between these times.
    pub fn began_between(&self, from: u64, until: u64) -> bool {
        let faults = self.all.iter().map(|it| it.begun);
        let mut begun = faults.chain(self.destructions.iter().map(|it| it.begun));
        begun.any(|begun| (from..=until).contains(&begun))
    }

    /// Whether a fault had been undone a moment before `at`.
    pub fn is_aftermath(&self, at: u64) -> bool {
        let mut undone = self.all.iter().filter_map(|fault| fault.undone);
        undone.any(|undone| (undone..undone + AFTERMATH).contains(&at))
    }

    /// When what was held up at `from` must be over at the latest: some time after the last thing that may still have
    /// been in its way. None if that goes on.
    pub fn recovered(&self, from: u64) -> Option<u64> {
        let mut due = from.saturating_add(RECOVERY);
        loop {
            let over = self.stretches().filter(|(begun, over)| *begun <= due && *over >= from);
            match over.map(|(_, over)| over).max() {
                Some(u64::MAX) => return None,
                Some(over) if over.saturating_add(RECOVERY) > due => due = over + RECOVERY,
                _ => return Some(due),
            }
        }
    }

    /// Whether nothing goes on at `at`, nor has for so long that nothing of it is felt.
    pub fn is_calm(&self, at: u64) -> bool {
        let since = at.saturating_sub(RECOVERY);
        !self.stretches().any(|(begun, over)| begun <= at && over >= since)
    }

    /// Whether something that began before `before` may still be felt at `at`.
    pub fn is_felt(&self, before: u64, at: u64) -> bool {
        let earlier = self.stretches().filter(|(begun, _)| *begun < before);
        earlier.map(|(_, over)| over).any(|over| over.saturating_add(RECOVERY) >= at)
    }

    /// Whether nothing goes on now but the fault that began last.
    pub fn is_alone(&self) -> bool {
        self.active.len() == 1
    }

    /// From when until when something went on.
    fn stretches(&self) -> impl Iterator<Item = (u64, u64)> {
        let faults = self.all.iter().map(|it| (it.begun, it.undone.unwrap_or(u64::MAX)));
        faults.chain(self.destructions.iter().map(|it| (it.begun, it.over)))
    }

    /// The faults active at a time, or else the last that had begun before.
    pub fn around(&self, at: u64) -> Vec<String> {
        let begun = || self.all.iter().filter(|fault| fault.begun <= at);
        let name =
            |fault: &Fault| format!("{} of {} (step {})", fault.name, fault.target, fault.step);
        let active = begun().filter(|fault| fault.undone.is_none_or(|undone| at <= undone));
        let active: Vec<_> = active.map(name).collect();
        if !active.is_empty() {
            return active;
        }
        begun().next_back().map(|fault| format!("after {}", name(fault))).into_iter().collect()
    }

    pub fn destroying(&mut self, loss: Loss, at: u64) {
        self.destructions.push(Destruction { loss, begun: at, over: u64::MAX });
    }

    /// False if nothing was being destroyed.
    pub fn destroyed(&mut self, at: u64) -> bool {
        let open = self.destructions.iter_mut().rfind(|destruction| destruction.over == u64::MAX);
        open.map(|destruction| destruction.over = at).is_some()
    }

    /// Whether a gap told at `at` has a cause of its kind: a log loses its oldest entries by a
    /// trim, and its newest by everything else.
    pub fn explain_gap(&self, rewound: bool, at: u64) -> bool {
        let fits = |loss| (loss != Loss::Trimmed) == rewound;
        self.destructions.iter().any(|it| fits(it.loss) && it.begun <= at)
    }

    /// Whether any data was destroyed at some time between `from` and `until`.
    pub fn anything_between(&self, from: u64, until: u64) -> bool {
        self.destructions.iter().any(|it| it.begun <= until && it.over >= from)
    }

    /// The losses of a kind that may have taken what was sent at `sent`: those that
    /// were not over by then.
    fn since(&self, sent: u64, trimmed: bool) -> impl Iterator<Item = Cut> {
        let fits = move |it: &&Destruction| (it.loss == Loss::Trimmed) == trimmed;
        self.destructions
            .iter()
            .filter(fits)
            .filter(move |it| it.over >= sent)
            .map(|it| Cut { begun: it.begun, over: it.over })
    }

    /// The losses that may have cut off the newest entries, one sent at `sent` among them.
    pub fn cuts_since(&self, sent: u64) -> impl Iterator<Item = Cut> {
        self.since(sent, false)
    }

    /// Whether the oldest entries, one sent at `sent` among them, may have been trimmed away.
    pub fn trimmed_since(&self, sent: u64) -> bool {
        self.since(sent, true).next().is_some()
    }
}
