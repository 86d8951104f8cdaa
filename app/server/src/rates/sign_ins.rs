//! How fast passwords may be tried.

use std::{net::IpAddr, time::Duration};

use super::{Rates, bucket::Quota, network};

/// Wrong passwords of one account, from wherever: 20 at once, and then one in five seconds. A guesser gets nowhere, and its owner
/// is kept waiting for no longer than that.
pub(super) const WRONG_PASSWORDS: Quota = Quota { every: Duration::from_secs(5), burst: 20 };

impl Rates {
    /// Counts a sign-in, or a new account, from `address`: each is much work.
    ///
    /// # Errors
    /// How long to wait, if there were too many of late.
    pub fn allow_sign_in(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.sign_ins.check(self.place(network(address)))
    }

    /// Whether a password of an account may be tried, from wherever.
    ///
    /// # Errors
    /// How long to wait, if too many were wrong of late.
    pub fn allow_password(&self, account: &str) -> Result<(), Duration> {
        let wait = self.0.wrong_passwords.wait(self.place(account), 1);
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Counts a wrong password of an account, whether there is one or not.
    pub fn wrong_password(&self, account: &str) {
        self.0.wrong_passwords.take(self.place(account), 1);
    }
}
