//! One listener's way through one room, as a value: Behind → Reading → Live. No I/O, no lock, no clock.
//!
//! Behind, it continues its cursor from the room's ring as far as its connection takes; where the ring does not reach, it is
//! Reading a page of the log. Once nothing is missing it is Live, and takes the room's batches as they come. A batch that it
//! cannot take, or that does not continue its cursor, or that belongs to another history of the room, puts it Behind again.

use rollcall_protocol::EntryId;

use super::page::PageRead;
use crate::{
    log::splice::Gap,
    mutants,
    room::{After, Batch, Frame, View},
};

/// Where a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It continues from the ring.
    Behind,
    /// A page of the log after its cursor was asked for.
    Reading,
    /// Nothing is missing: it is handed what comes.
    Live,
}

/// What a listener needs next.
#[derive(Debug)]
pub enum Effect {
    /// Write these.
    Frames(Vec<Frame>),
    /// Tell that what is after `after` cannot be had.
    Gap {
        /// The cursor that could not be continued.
        after: EntryId,
        /// Where it goes on, and why.
        gap: Gap,
    },
    /// Tell that catch-up is done: the cursor.
    Live(EntryId),
    /// Tell the list of members anew.
    Members,
    /// Tell what is true of the room now.
    State,
}

/// What [`Place::next`] wants.
#[derive(Debug)]
pub enum Next {
    /// Do this, then ask again.
    Do(Effect),
    /// Read a page of the log after this cursor, and answer with [`Place::page`] or [`Place::not_read`].
    Read(EntryId),
    /// Nothing, until woken.
    Nothing,
}

/// What a batch is to a listener.
#[derive(Debug)]
pub enum Heard<'a> {
    /// Nothing new.
    Nothing,
    /// All of its messages, in one piece.
    All,
    /// These of its messages: the listener went live in the middle of the batch.
    Some(Vec<&'a Frame>),
    /// It does not continue the cursor: the listener is behind.
    Broken,
}

/// One listener's place in one room.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The last entry that was handed to the connection.
    cursor: EntryId,
    stage: Stage,
    /// The log was read to its end at this cursor, or at one before it, in this history of the room.
    log_end_in: Option<u64>,
    /// The history of the room in which it went live.
    epoch: u64,
    /// The client has been told once that catch-up is done.
    told_live: bool,
    /// A presence frame had to be skipped: the client needs the whole list.
    members_stale: bool,
    /// The room's state is another than the client knows.
    state_stale: bool,
}

impl Place {
    /// A place from which `cursor` is to be continued.
    #[must_use]
    pub fn new(cursor: EntryId) -> Self {
        Self {
            cursor,
            stage: Stage::Behind,
            log_end_in: None,
            epoch: 0,
            told_live: false,
            members_stale: false,
            state_stale: false,
        }
    }

    /// The last entry that was handed to the connection.
    #[must_use]
    pub fn cursor(&self) -> EntryId {
        self.cursor
    }

    /// Whether the client needs the list of members or the room's state anew.
    #[must_use]
    pub fn has_to_tell(&self) -> bool {
        self.members_stale || self.state_stale
    }

    /// What to do now that there is room for more. `look` is how the room sees a cursor at this moment.
    pub fn next(&mut self, look: impl FnOnce(EntryId) -> View) -> Next {
        match self.stage {
            Stage::Reading => return Next::Nothing,
            Stage::Live => return self.tell_anew(),
            // Before anything more is handed out: they may have been sent out of the room.
            Stage::Behind if std::mem::take(&mut self.state_stale) => {
                return Next::Do(Effect::State);
            }
            Stage::Behind => {}
        }
        let View { epoch, after } = look(self.cursor);
        match after {
            After::Frames(frames) => {
                self.cursor = frames.last().map_or(self.cursor, |frame| frame.id);
                Next::Do(Effect::Frames(frames))
            }
            After::Head => self.go_live(epoch),
            After::Beyond if self.log_end_in == Some(epoch) => self.go_live(epoch),
            After::Beyond | After::Unknown => {
                self.stage = Stage::Reading;
                Next::Read(self.cursor)
            }
        }
    }

    fn go_live(&mut self, epoch: u64) -> Next {
        self.stage = Stage::Live;
        self.epoch = epoch;
        if std::mem::replace(&mut self.told_live, true) {
            return self.tell_anew();
        }
        Next::Do(Effect::Live(self.cursor))
    }

    fn tell_anew(&mut self) -> Next {
        if std::mem::take(&mut self.state_stale) {
            return Next::Do(Effect::State);
        }
        match std::mem::take(&mut self.members_stale) {
            true => Next::Do(Effect::Members),
            false => Next::Nothing,
        }
    }

    /// The page that was asked for: does what it says with `out`, for as long as there is room. What does not fit is
    /// read again, and so is all of it if the room's state is another since.
    pub fn page(
        &mut self,
        page: &PageRead,
        mut has_room: impl FnMut() -> bool,
        mut out: impl FnMut(Effect),
    ) {
        if self.stage != Stage::Reading || self.cursor != page.after {
            return;
        }
        self.stage = Stage::Behind;
        if self.state_stale {
            return;
        }
        if let Some(gap) = page.gap {
            self.cursor = gap.resumes_at;
            out(Effect::Gap { after: page.after, gap });
        }
        for frame in &page.frames {
            if !has_room() {
                return;
            }
            self.cursor = frame.id;
            out(Effect::Frames(vec![frame.clone()]));
        }
        self.log_end_in = page.at_log_end.then_some(page.epoch);
    }

    /// The page could not be read: it is asked for again by [`Self::next`].
    pub fn not_read(&mut self) {
        if self.stage == Stage::Reading {
            self.stage = Stage::Behind;
        }
    }

    /// What of a batch's messages is to be written now. Answer with [`Self::heard`].
    #[must_use]
    pub fn hear<'a>(&self, batch: &'a Batch) -> Heard<'a> {
        if self.stage != Stage::Live {
            return Heard::Nothing;
        }
        if self.epoch != batch.epoch {
            return Heard::Broken;
        }
        let Some(first) = batch.frames.first() else { return Heard::Nothing };
        if first.prev == self.cursor {
            return Heard::All;
        }
        let new: Vec<_> = batch.frames.iter().filter(|frame| frame.id > self.cursor).collect();
        match new.first() {
            None => Heard::Nothing,
            Some(next) if next.prev == self.cursor || mutants::chain_unchecked() => {
                Heard::Some(new)
            }
            Some(_) => Heard::Broken,
        }
    }

    /// How far a batch's messages were written: to its end, or up to the frame `written`, or not at all.
    pub fn heard(&mut self, written: Option<EntryId>, whole: bool) {
        self.cursor = written.unwrap_or(self.cursor);
        if !whole {
            self.stage = Stage::Behind;
        }
    }

    /// Whether the batch's signals are to be written, too.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// The room's state is another.
    pub fn missed_state(&mut self) {
        self.state_stale = true;
    }

    /// Presence was told that this listener did not get.
    pub fn missed_presence(&mut self) {
        self.members_stale = true;
    }
}
