//! What every connection and request of this replica shares.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rollcall_protocol::EntryId;
use tokio_util::task::TaskTracker;

use crate::{
    accounts::{Accounts, Arriving, Identity, NotIdentified, Seen},
    budget::Budget,
    config::{ApiKey, Config},
    delivery::Rooms,
    health::Health,
    lifecycle::Lifecycle,
    log::LogError,
    memberships::Memberships,
    metrics::Metrics,
    people::{Dismissal, People, ReadUpTo, Stay, TRIES},
    rates::Rates,
    register::Register,
    session::{Greeting, features},
};

/// What every connection and request shares. Clones share it.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The rooms, and behind them the logs.
    pub rooms: Rooms,
    /// Accounts, sessions and bans.
    pub accounts: Accounts,
    /// What an operator's programs show; none if there is no key.
    pub key: Option<ApiKey>,
    /// Which rooms people with an account are in, and how far they have read.
    pub memberships: Memberships,
    /// The phase and the count of connections.
    pub lifecycle: Lifecycle,
    /// What is known of this replica's health.
    pub health: Health,
    /// What may wait for all connections together.
    pub outlets: Budget,
    /// The counters.
    pub metrics: Metrics,
    /// The rate limits.
    pub rates: Rates,
    /// The connections that have said hello.
    pub register: Register,
    /// Every task that outlives a request.
    pub tasks: TaskTracker,
    connections: Arc<AtomicU64>,
}

impl App {
    /// The shared parts of one replica.
    #[must_use]
    pub fn new(
        config: Config,
        rooms: Rooms,
        accounts: Accounts,
        memberships: Memberships,
        health: Health,
        metrics: Metrics,
        tasks: TaskTracker,
    ) -> Self {
        let rates = Rates::new(&config.limits);
        Self {
            outlets: Budget::new(config.limits.outlets_bytes),
            config: Arc::new(config),
            rooms,
            accounts,
            key: None,
            memberships,
            health,
            lifecycle: Lifecycle::new(),
            metrics,
            rates,
            register: Register::default(),
            tasks,
            connections: Arc::default(),
        }
    }

    /// Looks up who comes, and notes that they are here: again, if somebody was dismissed meanwhile.
    pub async fn arrive(
        &self,
        arriving: &Arriving,
    ) -> (Result<Identity, NotIdentified>, Option<Stay>) {
        let mut tries = 1;
        loop {
            let changes = self.people().changes();
            let who = self.accounts.identify(arriving).await;
            let (seen, role) = match &who {
                Err(_) => return (who, None),
                Ok(Identity::Guest { .. }) => {
                    (Seen { member: arriving.device.clone(), session: None }, None)
                }
                Ok(Identity::Person(person)) => (person.seen(), Some(person.role)),
            };
            // After some tries the next look at all who are here has to do.
            let since = if tries < TRIES { changes } else { self.people().changes() };
            if let Some(stay) = self.people().arrive(since, &seen, role) {
                return (who, Some(stay));
            }
            tries += 1;
        }
    }

    /// Ends connections of a member on all replicas. Those that are not told notice when they look up who is there.
    pub async fn dismiss(&self, member: &str, dismissal: &Dismissal) {
        if let Err(error) = self.people().dismiss(self.rooms.log(), member, dismissal).await {
            error.note("telling replicas that somebody has to go");
        }
    }

    /// A member has read a room up to `id`; their other devices are told.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub async fn has_read(&self, member: &str, room: &str, id: EntryId) -> Result<(), LogError> {
        if self.memberships.read(member, room, id).await? {
            self.tell_read(member, room, id).await?;
        }
        Ok(())
    }

    /// A member is in a room from now on, which they have read up to `id`; their devices are told. False if they are in as many
    /// rooms as one can be.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub async fn has_entered(
        &self,
        member: &str,
        room: &str,
        id: EntryId,
    ) -> Result<bool, LogError> {
        let entered = self.memberships.enter(member, room, id).await?;
        if entered {
            self.tell_read(member, room, id).await?;
        }
        Ok(entered)
    }

    /// Tells a member's devices how far they have read a room, and so that they are in it.
    ///
    /// # Errors
    /// If it cannot be told.
    pub async fn tell_read(&self, member: &str, room: &str, id: EntryId) -> Result<(), LogError> {
        // It comes back by the feed, to this replica, too: here and now it would be told twice.
        let control = ReadUpTo { room: room.to_owned(), id }.control(member);
        self.rooms.log().tell_control(&control).await
    }

    /// Whose the connections here are.
    #[must_use]
    pub fn people(&self) -> &People {
        self.rooms.people()
    }

    /// A number for a new connection, unique on this replica.
    #[must_use]
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// What this replica can do, as clients are told.
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        features(self.config.applause, self.config.hall)
    }

    /// How this replica introduces itself.
    #[must_use]
    pub fn greeting(&self) -> Greeting {
        Greeting {
            replica: self.config.replica.clone(),
            release: self.config.release.clone(),
            heartbeat: self.config.heartbeat,
            features: self.features(),
        }
    }

    /// The limits that clients are told.
    #[must_use]
    pub fn limits(&self) -> rollcall_protocol::Limits {
        let limits = &self.config.limits;
        rollcall_protocol::Limits {
            text_bytes: limits.text_bytes,
            frame_bytes: limits.frame_bytes,
            rooms: limits.rooms_per_connection,
            pending: limits.pending_sends,
        }
    }
}
