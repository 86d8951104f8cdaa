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

/// What a look at the page found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Rows that were not there before.
    pub new: Vec<Row>,
    /// Messages that were there, with another text.
    pub changed: Vec<Row>,
}

/// How far the document has been read.
#[derive(Debug, Default)]
pub struct Reading {
    /// The log's rows when it was last looked at: messages by ID, words of the page's own by none.
    rows: Vec<Row>,
}

impl Reading {
    /// What has come to the log since the last look, and what has another text there now. The page takes old rows away at
    /// the top; whatever else it does to the order of those that were read makes all of them new, for the checker to judge.
    pub fn news(&mut self, rows: &[Row]) -> News {
        let is_of_log =
            |row: &&Row| row.id.is_some() || (row.text.is_none() && row.state.is_none());
        let plain = |row: &Row| Row { state: None, ..row.clone() };
        let now: Vec<Row> = rows.iter().filter(is_of_log).map(plain).collect();
        let is_kept = |gone: &usize| {
            let left = &self.rows[*gone..];
            left.len() <= now.len() && left.iter().zip(&now).all(|(one, other)| one.id == other.id)
        };
        let gone = (0..=self.rows.len()).find(is_kept).unwrap_or(self.rows.len());
        let kept = &self.rows[gone..];
        let changed = kept.iter().zip(&now).filter(|(was, is)| was.text != is.text);
        let changed = changed.map(|(_, is)| is.clone()).collect();
        let new = now[kept.len()..].to_vec();
        self.rows = now;
        News { new, changed }
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

    fn new(ids: &[&str]) -> News {
        News { new: rows(ids), changed: Vec::new() }
    }

    #[test]
    fn each_row_is_news_once_though_old_ones_go_at_the_top() {
        let mut reading = Reading::default();
        assert_eq!(reading.news(&rows(&["1-0", "2-0"])), new(&["1-0", "2-0"]));
        assert_eq!(reading.news(&rows(&["1-0", "2-0", ""])), new(&[""]));
        assert_eq!(reading.news(&rows(&["2-0", "", "3-0"])), new(&["3-0"]));
        assert_eq!(reading.news(&rows(&["2-0", "", "3-0"])), new(&[]));
    }

    #[test]
    fn what_a_page_puts_among_old_rows_makes_them_news_again() {
        let mut reading = Reading::default();
        reading.news(&rows(&["1-0", "2-0"]));
        assert_eq!(reading.news(&rows(&["1-0", "3-0"])), new(&["1-0", "3-0"]));
    }

    #[test]
    fn a_message_with_another_text_is_told_as_that() {
        let mut reading = Reading::default();
        reading.news(&rows(&["1-0", "2-0"]));
        let mut now = rows(&["1-0", "2-0", "3-0"]);
        now[1].text = Some(String::new());
        let changed = vec![now[1].clone()];
        assert_eq!(reading.news(&now), News { new: rows(&["3-0"]), changed });
        assert_eq!(reading.news(&now), new(&[]));
    }

    #[test]
    fn what_waits_to_be_sent_is_not_in_the_log_yet() {
        let waits =
            Row { id: None, text: Some("hello".to_owned()), state: Some("pending".to_owned()) };
        assert_eq!(Reading::default().news(&[waits]), News::default());
    }
}
