//! The page's document: what is done in it, and what is read from it.

use serde::Deserialize;

/// By what the document came, and whether the browser takes its origin for a safe one.
pub const CAME: &str = "return {
      protocol: performance.getEntriesByType('navigation')[0]?.nextHopProtocol ?? '', safe: isSecureContext,
    };";

/// Gives a name, which opens the chat. False while the page does not ask for one yet.
pub const JOIN: &str = "const form = document.getElementById('join');
    if (!form || form.hidden) return false;
    document.getElementById('name').value = arguments[0];
    form.requestSubmit();
    return true;";

/// Says something. True if the form took it.
pub const SAY: &str = "const text = document.getElementById('text');
    text.value = arguments[0];
    text.dispatchEvent(new Event('input', { bubbles: true }));
    document.getElementById('composer').requestSubmit();
    return text.value === '';";

/// All that a person sees: of each room rows of the log and of what waits, in their order, and the words at the top.
/// The rooms are told as JSON.
pub const LOOK: &str = "const logs = [...document.querySelectorAll('section[role=log]')];
    const rooms = JSON.parse(arguments[0]).map((room) => {
      const place = logs.find((it) => it.getAttribute('aria-label') === `Messages in ${room}`);
      const rows = [...(place?.querySelectorAll('li') ?? [])].map((row) => ({
        id: row.dataset.id ?? null,
        text: row.querySelector('.text')?.textContent ?? null,
        state: row.dataset.state ?? null,
      }));
      return { room, rows, loaded: place?.classList.contains('loaded') ?? false };
    });
    const status = document.getElementById('status');
    const ended = document.getElementById('ended');
    const key = JSON.parse(sessionStorage.getItem('rollcall') ?? '{}').key ?? null;
    const join = document.getElementById('join');
    return {
      rooms, key, asks: join !== null && !join.hidden,
      state: status?.dataset.state ?? '', notice: document.getElementById('notice')?.textContent ?? '',
      ended: ended && !ended.hidden ? document.getElementById('sentence').textContent : null,
      replica: document.getElementById('replica')?.textContent ?? '',
      release: document.getElementById('release')?.textContent ?? '',
    };";

/// What [`LOOK`] has seen.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub rooms: Vec<Room>,
    /// The client's key, once there is one.
    pub key: Option<String>,
    /// For a name.
    pub asks: bool,
    /// Of the connection, `serving` or another; and what is said of it.
    pub state: String,
    pub notice: String,
    /// Why it is over, if it is.
    pub ended: Option<String>,
    pub replica: String,
    pub release: String,
}

/// A room on the page.
#[derive(Debug, Deserialize)]
pub struct Room {
    pub room: String,
    pub rows: Vec<Row>,
    /// Its history is there.
    pub loaded: bool,
}

/// What [`CAME`] has seen.
#[derive(Debug, Deserialize)]
pub struct Came {
    pub protocol: String,
    pub safe: bool,
}

/// A line of the conversation: a message has an ID once it is in the log; a word of the page's own has no text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    pub id: Option<String>,
    pub text: Option<String>,
    /// Of a message of ours: `pending`, `sent`, `refused` or `unknown`.
    pub state: Option<String>,
}

/// How far the document has been read.
#[derive(Debug, Default)]
pub struct Reading {
    /// The log's rows when it was last looked at: messages by ID, words of the page's own by none.
    rows: Vec<Row>,
}

impl Reading {
    /// The rows that have come to the log since the last look. The page takes old ones away at the top; whatever else it
    /// changes among those that were read makes all of them news, for the checker to judge.
    pub fn news(&mut self, rows: &[Row]) -> Vec<Row> {
        let is_of_log =
            |row: &&Row| row.id.is_some() || (row.text.is_none() && row.state.is_none());
        let plain = |row: &Row| Row { state: None, ..row.clone() };
        let now: Vec<Row> = rows.iter().filter(is_of_log).map(plain).collect();
        let kept = (0..=self.rows.len()).find(|gone| now.starts_with(&self.rows[*gone..]));
        let known = self.rows.len() - kept.unwrap_or(self.rows.len());
        let news = now[known..].to_vec();
        self.rows = now;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: &[&str]) -> Vec<Row> {
        let row = |id: &&str| Row {
            id: (!id.is_empty()).then(|| (*id).to_owned()),
            text: (!id.is_empty()).then(|| format!("text of {id}")),
            state: None,
        };
        ids.iter().map(row).collect()
    }

    #[test]
    fn each_row_is_news_once_though_old_ones_go_at_the_top() {
        let mut reading = Reading::default();
        assert_eq!(reading.news(&rows(&["1-0", "2-0"])), rows(&["1-0", "2-0"]));
        assert_eq!(reading.news(&rows(&["1-0", "2-0", ""])), rows(&[""]));
        assert_eq!(reading.news(&rows(&["2-0", "", "3-0"])), rows(&["3-0"]));
        assert_eq!(reading.news(&rows(&["2-0", "", "3-0"])), rows(&[]));
    }

    #[test]
    fn what_a_page_changes_among_old_rows_is_news_again() {
        let mut reading = Reading::default();
        reading.news(&rows(&["1-0", "2-0"]));
        assert_eq!(reading.news(&rows(&["1-0", "3-0"])), rows(&["1-0", "3-0"]));
    }

    #[test]
    fn what_waits_to_be_sent_is_not_in_the_log_yet() {
        let waits =
            Row { id: None, text: Some("hello".to_owned()), state: Some("pending".to_owned()) };
        assert_eq!(Reading::default().news(&[waits]), []);
    }
}
