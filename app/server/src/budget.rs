//! Bytes that many share: one limit for all rings, one for all outlets.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A limit in bytes, and how much of it is used. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Nothing used yet of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit, used: AtomicUsize::new(0) }))
    }

    /// A share of it, of no bytes yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    /// Whether `more` bytes would pass the limit.
    #[must_use]
    pub fn is_over(&self, more: usize) -> bool {
        self.0.used.load(Relaxed).saturating_add(more) > self.0.limit
    }

    /// Bytes used, as a share of the limit: 1.0 is full.
    #[must_use]
    pub fn used_ratio(&self) -> f64 {
        self.0.used.load(Relaxed) as f64 / self.0.limit.max(1) as f64
    }
}

/// What one owner uses of a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: usize,
}

impl Share {
    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the bytes in use. What must not be refused may pass the limit; ask [`Self::is_over`] first or after.
    pub fn set(&mut self, bytes: usize) {
        let used = &self.budget.0.used;
        if bytes >= self.bytes {
            used.fetch_add(bytes - self.bytes, Relaxed);
        } else {
            used.fetch_sub(self.bytes - bytes, Relaxed);
        }
        self.bytes = bytes;
    }

    /// Whether `more` bytes would pass the limit that all share.
    #[must_use]
    pub fn is_over(&self, more: usize) -> bool {
        self.budget.is_over(more)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_owner_used_is_free_when_it_is_gone() {
        let budget = Budget::new(100);
        let mut one = budget.share();
        let mut other = budget.share();
        one.set(60);
        other.set(30);
        assert!(budget.is_over(11) && !budget.is_over(10));
        one.set(10);
        assert!((budget.used_ratio() - 0.4).abs() < 1e-9);
        drop(other);
        assert!(!budget.is_over(90));
    }
}
