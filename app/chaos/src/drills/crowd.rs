//! The audience of a drill.

use crate::cluster::certificates::Certificates;

/// The audience of each drill.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Clients that talk.
    pub clients: usize,
    /// One more sits at the page, in a real browser.
    pub has_page: bool,
    /// Each request of the probe has a connection of its own; else they share some, which are busy all the time.
    pub connects_anew: bool,
    /// Whom they believe, on a stack that has TLS.
    pub certificates: Option<Certificates>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { clients: 60, has_page: false, connects_anew: false, certificates: None }
    }
}

impl Crowd {
    /// As `rollcall-bots run` is told it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--clients".to_owned(), self.clients.to_string()];
        let asked = [(self.connects_anew, "--new-connections"), (self.has_page, "--page")];
        arguments.extend(asked.iter().filter(|it| it.0).map(|it| it.1.to_owned()));
        if let Some(certificates) = &self.certificates {
            arguments.extend(["--ca".to_owned(), certificates.authority().display().to_string()]);
            let keys = certificates.keys().iter();
            arguments.extend(keys.flat_map(|key| ["--page-key".to_owned(), key.clone()]));
        }
        arguments
    }
}
