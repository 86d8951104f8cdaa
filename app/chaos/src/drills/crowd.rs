//! The audience of a drill.

use crate::cluster::certificates::Certificates;

/// The audience of each drill.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Clients that talk.
    pub clients: usize,
    /// One more sits at the page, in a real browser, and each request of the probe has a connection of its own.
    pub looks_closely: bool,
    /// Whom they believe, on a stack that has TLS.
    pub certificates: Option<Certificates>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { clients: 60, looks_closely: false, certificates: None }
    }
}

impl Crowd {
    /// As `rollcall-bots run` is told it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--clients".to_owned(), self.clients.to_string()];
        if self.looks_closely {
            arguments.extend(["--new-connections", "--page"].map(str::to_owned));
        }
        if let Some(certificates) = &self.certificates {
            arguments.extend(["--ca".to_owned(), certificates.authority().display().to_string()]);
            let keys = certificates.keys().iter();
            arguments.extend(keys.flat_map(|key| ["--page-key".to_owned(), key.clone()]));
        }
        arguments
    }
}
