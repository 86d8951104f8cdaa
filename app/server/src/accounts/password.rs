//! Passwords: argon2id, with 19 MiB, two passes and one lane, by few threads at a time.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use tokio::sync::{Semaphore, oneshot};

/// Passwords that are hashed at once, at most; and where there are few cores, one: the chat goes on beside it.
const AT_ONCE: usize = 2;
/// Passwords that wait for their turn, about a second's work; more are refused. Three times what one address may ask for at
/// once, so that none fills it alone.
const QUEUE: usize = 32;
/// As `nice` counts: the last in line.
const LEAST_PRIORITY: i32 = 19;
/// What a password is compared with where there is no account: nobody's, and as slow as anybody's.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg\
    $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Too many passwords wait to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Hashes passwords. Clones share its threads.
#[derive(Clone)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = (cores / 2).clamp(1, AT_ONCE);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            places: Arc::new(Semaphore::new(turns + QUEUE)),
        }
    }

    /// A PHC string, with a new salt.
    ///
    /// # Errors
    /// If too many wait.
    pub(super) async fn hash(&self, password: String) -> Result<String, Busy> {
        let hash = move || {
            let hash: Result<PasswordHash, _> =
                Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string())
        };
        // It fails only where the system has no randomness, or no memory.
        self.run(hash).await?.map_err(|_| Busy)
    }

    /// Whether it is the password of that PHC string; without one never, after as long.
    ///
    /// # Errors
    /// If too many wait.
    pub(super) async fn is_right(
        &self,
        password: String,
        kept: Option<String>,
    ) -> Result<bool, Busy> {
        let verify = move || {
            let is_somebodys = kept.is_some();
            let kept = kept.as_deref().unwrap_or(NOBODYS);
            let Ok(kept) = PasswordHash::new(kept) else { return false };
            let is_right = Argon2::default().verify_password(password.as_bytes(), &kept).is_ok();
            is_right && is_somebodys
        };
        self.run(verify).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Busy)?;
        let (tell, done) = oneshot::channel();
        let work = move || {
            give_way();
            // Nobody listens if the request that waits for it has gone.
            let _ = tell.send(work());
            drop((turn, place));
        };
        // A thread of its own: those of the pool do other things, too, and none can have its priority back.
        std::thread::Builder::new().name("password".to_owned()).spawn(work).map_err(|_| Busy)?;
        done.await.map_err(|_| Busy)
    }
}

/// Whatever else this process does goes before what this thread does: messages do not wait for passwords.
fn give_way() {
    // Linux takes no process, the one that asks, for the thread that asks. If it says no, messages wait a few ms longer.
    let _ = rustix::process::setpriority_process(None, LEAST_PRIORITY);
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse".to_owned()).await.expect("a place");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let is_right = |word: &str, kept| passwords.is_right(word.to_owned(), kept);
        assert_eq!(is_right("correct horse", Some(kept.clone())).await, Ok(true));
        assert_eq!(is_right("correct hors", Some(kept)).await, Ok(false));
        assert_eq!(is_right("correct horse", None).await, Ok(false));
    }

    #[test]
    fn nobodys_is_as_slow_as_anybodys() {
        let nobodys = PasswordHash::new(NOBODYS).expect("a PHC string");
        let params = Params::try_from(&nobodys).expect("parameters");
        let own = Params::default();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (own.m_cost(), own.t_cost(), own.p_cost())
        );
        assert_eq!(nobodys.hash.map(|hash| hash.as_bytes().len()), Some(32));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_can_wait_are_refused_and_the_others_served() {
        let passwords = Passwords::new();
        let asked: Vec<_> = (0..60)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.is_right("some password".into(), None).await })
            })
            .collect();
        let mut refused = 0;
        for asked in asked {
            refused += usize::from(asked.await.expect("an answer").is_err());
        }
        assert!((1..=28).contains(&refused), "{refused}");
        assert_eq!(passwords.is_right("some password".into(), None).await, Ok(false));
    }
}
