//! The key of a stage that can act or that shows a password. Other users of this machine reach its port, too: it is only for
//! those who have read the address that it printed.

use anyhow::ensure;
use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

/// Where whoever starts the stage may say the key. Other users can read a command line, but no environment.
pub const VARIABLE: &str = "ROLLCALL_STAGE_KEY";
const SHORTEST: usize = 16;

/// What nobody guesses, in letters and digits.
#[must_use]
pub fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// What the stage's address has, and then a cookie.
#[derive(Debug, Clone)]
pub struct Key {
    query: String,
    cookie: String,
}

impl Key {
    /// The key that `told` says, or else a new one, of the stage on this port.
    ///
    /// # Errors
    ///
    /// If it is no good key.
    pub fn new(port: u16, told: Option<String>) -> anyhow::Result<Self> {
        let secret = told.unwrap_or_else(secret);
        let is_plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ensure!(
            is_plain && secret.len() >= SHORTEST,
            "{VARIABLE} takes at least {SHORTEST} letters and digits"
        );
        // A browser has the same cookies for all ports of a host.
        let cookie = format!("stage-{port}={secret}");
        Ok(Self { query: format!("key={secret}"), cookie })
    }

    /// What to add to the address.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Lets only those in who have the key, and gives a browser that comes by the whole address its cookie.
    pub async fn only_with_it(self, request: Request, next: Next) -> Response {
        let asked = request.uri().query().unwrap_or_default();
        if request.uri().path() == "/stage" && asked.split('&').any(|it| it == self.query) {
            // The hall need not see it in the address.
            let cookie = format!("{}; HttpOnly; SameSite=Strict; Path=/stage", self.cookie);
            ([(header::SET_COOKIE, cookie)], Redirect::to("/stage")).into_response()
        } else if self.is_in(request.headers()) {
            next.run(request).await
        } else {
            (StatusCode::FORBIDDEN, "open the address that the stage printed when it began\n")
                .into_response()
        }
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
        cookies.flat_map(|it| it.split(';')).any(|cookie| cookie.trim() == self.cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_is_new_or_the_one_that_was_told() {
        let told = |key: &str| Key::new(8070, Some(key.to_owned()));
        assert_eq!(told("0123456789abcdef").expect("a key").query(), "key=0123456789abcdef");
        for refused in ["", "0123456789abcde", "0123456789abcdef;", "0123456789abcdef\n"] {
            let why = told(refused).expect_err("refused").to_string();
            assert_eq!(why, "ROLLCALL_STAGE_KEY takes at least 16 letters and digits");
        }
        let new = || Key::new(8070, None).expect("a key").query().to_owned();
        assert_ne!(new(), new());
    }
}
