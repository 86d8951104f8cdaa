//! The two ends that a caller holds: one to act through, one to listen to.

use rollcall_protocol::EntryId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    driver::Command,
    error::{Ended, SendError},
    event::Event,
    outbox::Change,
};

/// Acts for a client. Cheap to clone; a client with no handle left goes on listening.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Handle {
    /// Queues a message and returns its ticket: 1 for this client's first message in the room,
    /// then 2, 3 …. It is also its `n`, unless the server drops an earlier message for good.
    /// [`Event::Acked`] or [`Event::Rejected`] tell what became of it.
    ///
    /// # Errors
    ///
    /// If the message was not queued.
    pub async fn send(&self, room: &str, text: impl Into<String>) -> Result<u64, SendError> {
        self.say(room, text.into(), None).await
    }

    /// Queues an edit: the message `id`, which must be this person's own, gets this text. It goes the way of a message,
    /// once and in order, and has a ticket as a message has.
    ///
    /// # Errors
    ///
    /// If it was not queued.
    pub async fn edit(
        &self,
        room: &str,
        id: EntryId,
        text: impl Into<String>,
    ) -> Result<u64, SendError> {
        self.say(room, text.into(), Some(Change::Edit(id))).await
    }

    /// Queues a removal of the message `id`: this person's own or, for those who moderate, anybody's. As
    /// [`edit`](Self::edit), it has a ticket.
    ///
    /// # Errors
    ///
    /// If it was not queued.
    pub async fn remove(&self, room: &str, id: EntryId) -> Result<u64, SendError> {
        self.say(room, String::new(), Some(Change::Remove(id))).await
    }

    /// This person has read a room up to an entry: their other devices are told, if the room is one of theirs (by
    /// `PUT /rooms/{room}/membership`). Nothing answers. Once in a while is enough, since each call makes a frame.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn read(&self, room: &str, id: EntryId) -> Result<(), Ended> {
        self.command(Command::Read { room: room.to_owned(), id }).await
    }

    /// Enters one more room, after a cursor if there is one.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn join(&self, room: &str, after: Option<EntryId>) -> Result<(), Ended> {
        self.command(Command::Join { room: room.to_owned(), after }).await
    }

    /// Leaves a room. What was queued and is not acknowledged goes out on the next `join`.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn leave(&self, room: &str) -> Result<(), Ended> {
        self.command(Command::Leave { room: room.to_owned() }).await
    }

    /// Tells a room that this member is typing.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn typing(&self, room: &str) -> Result<(), Ended> {
        self.command(Command::Typing { room: room.to_owned() }).await
    }

    /// Ends the presence and the client; [`Event::Ended`] follows. Does not wait for what is
    /// unacknowledged.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn bye(&self) -> Result<(), Ended> {
        self.command(Command::Bye).await
    }

    async fn say(
        &self,
        room: &str,
        text: String,
        change: Option<Change>,
    ) -> Result<u64, SendError> {
        let (reply, answer) = oneshot::channel();
        let send = Command::Send { room: room.to_owned(), text, change, reply };
        self.commands.send(send).await.map_err(|_| SendError::Ended)?;
        answer.await.map_err(|_| SendError::Ended)?
    }

    async fn command(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).await.map_err(|_| Ended)
    }
}

/// What a client sees. Owns the client's task.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: mpsc::Receiver<Event>,
    /// Dropped with the events, so a client never outlives its listener.
    pub(crate) _task: AbortOnDropHandle<()>,
}

impl Events {
    /// The next event; `None` after [`Event::Ended`]. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// Skips events until one fits, and returns what was made of it; `None` if the client ended.
    pub async fn find<T>(&mut self, mut fits: impl FnMut(Event) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = fits(self.next().await?) {
                return Some(found);
            }
        }
    }

    /// Skips events until the client is live in all its rooms; false if it ended before.
    pub async fn all_live(&mut self) -> bool {
        self.find(|event| matches!(event, Event::AllLive { .. }).then_some(())).await.is_some()
    }
}
