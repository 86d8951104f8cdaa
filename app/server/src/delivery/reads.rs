//! Reads of room logs that are under way: all listeners that want the same page wait for the same read.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use rollcall_protocol::EntryId;

use super::page::PageRead;
use crate::log::LogError;

/// What comes of a read.
pub type Outcome = Result<Arc<PageRead>, LogError>;
/// A read under way. It goes on while anybody waits for it.
pub type Read = Shared<BoxFuture<'static, Outcome>>;

type Place = (String, EntryId);

/// Reads under way, by room and cursor.
#[derive(Default)]
pub struct Reads(Mutex<HashMap<Place, WeakShared<BoxFuture<'static, Outcome>>>>);

impl Reads {
    /// The read that is under way for this page, or the one that `begin` begins.
    pub fn join<F>(&self, room: &str, cursor: EntryId, begin: impl FnOnce() -> F) -> Read
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut reads = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = (room.to_owned(), cursor);
        let under_way = reads.get(&place).and_then(WeakShared::upgrade);
        // One that has its outcome is of the past: what is asked for now may have changed since.
        if let Some(read) = under_way.filter(|read| read.peek().is_none()) {
            return read;
        }
        // Nobody waits for these any more.
        reads.retain(|_, read| read.upgrade().is_some_and(|read| read.peek().is_none()));
        let read = begin().boxed().shared();
        if let Some(weak) = read.downgrade() {
            reads.insert(place, weak);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::log::Page;

    /// Fault S12: after a real loss each of N listeners read the log for itself.
    #[tokio::test]
    async fn s12_all_who_want_a_page_share_one_read() {
        let (reads, count) = (Reads::default(), Arc::new(AtomicUsize::new(0)));
        let read = |cursor: EntryId| {
            reads.join("hall", cursor, || {
                let count = count.clone();
                async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    let page = Page { entries: Vec::new(), last: cursor, unread: None };
                    Ok(Arc::new(PageRead::new(cursor, 0, page)))
                }
            })
        };
        let waiting: Vec<_> = (0..100).map(|_| read(EntryId::new(1, 0))).collect();
        let other = read(EntryId::new(2, 0));
        futures_util::future::join_all(waiting).await;
        other.await.expect("a page");
        assert_eq!(count.load(Ordering::Relaxed), 2, "one for each page");
        read(EntryId::new(1, 0)).await.expect("a page");
        assert_eq!(count.load(Ordering::Relaxed), 3, "what is asked for later is read anew");
    }
}
