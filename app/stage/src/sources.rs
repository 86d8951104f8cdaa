//! What tells the stage what happens. Each source makes events and knows nothing of the others.

pub mod connections;
pub mod journal;
pub mod proxy;
pub mod verdict;
pub mod witness;
