//! Finding out whose a connection is, and ending it when that is over.

use rollcall_protocol::{EntryId, ServerFrame, Why};

use super::{Connection, Done};
use crate::{
    accounts::{Arriving, Identity, NotIdentified},
    mutants::{self, Mutant},
    people::{News, ReadUpTo, Stay},
    session::Effect,
};

impl Connection {
    /// Looks up who said hello.
    pub(super) fn identify(&mut self, mut arriving: Arriving) {
        let of_handshake = self.token.take();
        arriving.token = arriving.token.or(of_handshake);
        let app = self.app.clone();
        self.under_way.push(Box::pin(async move {
            let (who, stay) = app.arrive(&arriving).await;
            Done::Identified(who, stay)
        }));
    }

    pub(super) fn identified(&mut self, who: Result<Identity, NotIdentified>, stay: Option<Stay>) {
        self.stay = stay;
        let effects = self.session.identified(who);
        let has_moved = effects.contains(&Effect::Greet(Why::Move));
        self.apply(effects);
        if has_moved && mutants::active(Mutant::GoawayTwice) {
            let reason = "drain".to_owned();
            let goaway = ServerFrame::Goaway { in_ms: 2_000, deadline_ms: 20_000, reason };
            self.voice.reply(&goaway);
        }
        if let Some(me) = self.session.me() {
            self.entry = Some(self.app.register.enter(self.number, &me.member, &me.name));
            // What it was too early to tell.
            let standing = *self.app.lifecycle.standing().borrow();
            self.standing_changed(standing);
        }
    }

    /// The first time that nothing is missing in any of its rooms, that is noted.
    pub(super) fn note_live(&mut self) {
        if let Some(entry) = self.entry.as_mut().filter(|entry| !entry.is_live())
            && self.visits.are_all_live()
        {
            entry.live();
        }
    }

    /// It is told something of its person.
    pub(super) fn hear_news(&mut self, news: News) -> bool {
        match news {
            News::Dismissed(why) => {
                let effects = self.session.dismissed(why);
                self.apply(effects);
            }
            // The one that said so knows.
            News::Read(read) if self.read_here.as_ref() == Some(&read) => self.read_here = None,
            News::Read(ReadUpTo { room, id }) => self.voice.tell(&ServerFrame::Read { room, id }),
        }
        true
    }

    /// Its person has read a room so far.
    pub(super) fn has_read(&mut self, member: &str, room: String, id: EntryId) {
        let (app, member) = (self.app.clone(), member.to_owned());
        self.read_here = Some(ReadUpTo { room: room.clone(), id });
        self.under_way.push(Box::pin(async move {
            if let Err(error) = app.has_read(&member, &room, id).await {
                error.note("keeping how far somebody has read");
            }
            Done::Typed
        }));
    }
}
