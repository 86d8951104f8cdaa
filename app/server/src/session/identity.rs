//! Who a client is: asked at its `hello`, and true until it is dismissed.

use std::fmt::Write as _;

use rollcall_protocol::{CloseCode, ErrorCode, Mark, Member, ServerFrame, VERSION};
use sha2::{Digest, Sha256};

use super::{
    Effect, Session,
    hello::{Hello, check_hello},
    reply::error,
};
use crate::{
    accounts::{Arriving, Dismissed, Identity, NotIdentified, Token},
    moderation::Actor,
};

/// What a server can do beside the protocol's first frames.
const FEATURES: [&str; 5] = ["accounts", "edit", "rooms", "read", "moderation"];

/// What this server can do; a client offers what it finds here. What comes last it does if it is asked to: `applause`, a button
/// of its page, and `hall`, where an audience joins.
#[must_use]
pub fn features(applause: bool, hall: bool) -> Vec<&'static str> {
    let asked = [applause.then_some("applause"), hall.then_some("hall")];
    FEATURES.into_iter().chain(asked.into_iter().flatten()).collect()
}

/// Who the client is.
pub(super) struct Me {
    pub member: Member,
    /// The device, where that is not the member.
    pub sender: Option<String>,
    /// What is known of an account.
    pub mark: Option<Mark>,
}

impl Me {
    fn new(who: Identity, device: String) -> Self {
        match who {
            Identity::Guest { name } => {
                Self { member: Member { member: device, name }, sender: None, mark: None }
            }
            Identity::Person(person) => Self {
                member: Member { member: person.member, name: person.name },
                sender: Some(device),
                mark: Some(person.role),
            },
        }
    }
}

impl Session {
    /// The one who does what the client does; none before `hello`.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        let me = self.me.as_ref()?;
        Some(Actor { member: me.member.clone(), mark: me.mark, has_power: self.has_power() })
    }

    /// Whether they moderate everywhere.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.mark == Some(Mark::Moderator))
    }

    /// Whether the client came with an account.
    pub(super) fn has_account(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.mark.is_some())
    }

    pub(super) fn hello(
        &mut self,
        version: u32,
        key: &str,
        hello: Hello,
        token: Option<Token>,
    ) -> Vec<Effect> {
        if self.me.is_some() || self.is_asking() {
            return self.bad_frame(ErrorCode::UnexpectedHello, "hello was said before".into());
        }
        if let Err((code, detail)) = check_hello(version, key, &hello.name, hello.rooms.len()) {
            return refused(code, detail, CloseCode::BadHello, "hello refused");
        }
        let (name, device) = (hello.name.clone(), hello.device.clone());
        self.hello = Some(hello);
        vec![Effect::Identify(Arriving { name, device, token })]
    }

    /// It is known who said hello, or that they may not come in.
    pub fn identified(&mut self, who: Result<Identity, NotIdentified>) -> Vec<Effect> {
        let Some(Hello { why, rooms, moves, device, .. }) = self.hello.take() else {
            return Vec::new();
        };
        let who = match who {
            Ok(who) => who,
            Err(why) => return not_identified(why),
        };
        let account = match &who {
            Identity::Guest { .. } => None,
            Identity::Person(person) => Some(person.account()),
        };
        let me = Me::new(who, device.clone());
        let welcome = Effect::Reply(ServerFrame::Welcome {
            v: VERSION,
            member: me.member.member.clone(),
            replica: self.greeting.replica.clone(),
            release: self.greeting.release.clone(),
            heartbeat_ms: self.greeting.heartbeat.as_millis() as u64,
            limits: self.limits.clone(),
            name: Some(me.member.name.clone()),
            sender: Some(device),
            account,
            features: self.greeting.features.iter().copied().map(str::to_owned).collect(),
        });
        self.moves = moves;
        self.me = Some(me);
        let mut effects = vec![Effect::Greet(why), welcome];
        effects.extend(rooms.into_iter().filter_map(|cursor| self.enter(cursor)));
        effects.extend(self.count_rooms(self.rooms.len()));
        effects
    }

    /// They have to go: what they still wanted to say is not said.
    pub fn dismissed(&mut self, why: Dismissed) -> Vec<Effect> {
        self.sends.truncate(1);
        if why != Dismissed::Changed {
            // Those that are being entered are left as soon as they are.
            self.rooms.clear();
        }
        match why {
            Dismissed::Banned => sent_away(NotIdentified::Banned, "banned"),
            Dismissed::SignedOut => sent_away(NotIdentified::BadToken, "signed out"),
            // Others see nothing of it: it comes back at once, as the same person.
            Dismissed::Changed => vec![Effect::Close(CloseCode::Restart, "connect again")],
        }
    }
}

/// What a client is told that may not come in.
fn not_identified(why: NotIdentified) -> Vec<Effect> {
    let detail = why.to_string();
    match why {
        NotIdentified::BadToken => {
            refused(ErrorCode::BadToken, detail, CloseCode::BadHello, "hello refused")
        }
        NotIdentified::Banned => refused(ErrorCode::Banned, detail, CloseCode::Dismissed, "banned"),
        NotIdentified::Unavailable => {
            let reason = "nobody can be looked up";
            refused(ErrorCode::Unavailable, detail, CloseCode::TryAgainLater, reason)
        }
    }
}

/// What a client is told that was here and has to go. Their presence ends at once.
fn sent_away(why: NotIdentified, reason: &'static str) -> Vec<Effect> {
    let code = match why {
        NotIdentified::Banned => ErrorCode::Banned,
        NotIdentified::BadToken | NotIdentified::Unavailable => ErrorCode::BadToken,
    };
    let mut effects = refused(code, why.to_string(), CloseCode::Dismissed, reason);
    effects.insert(1, Effect::Bye);
    effects
}

fn refused(code: ErrorCode, detail: String, close: CloseCode, reason: &'static str) -> Vec<Effect> {
    vec![Effect::Reply(error(code, detail, None)), Effect::Close(close, reason)]
}

/// A client key's public ID: the first 16 hex digits of its SHA-256.
#[must_use]
pub fn member_of(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
