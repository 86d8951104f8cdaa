//! What may be a name, a room or a text. Pure.

use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};
use unicode_normalization::is_nfc;

const MAX_NAME_CHARS: usize = 32;
const MAX_ROOM_CHARS: usize = 64;

/// Characters that hide or reorder the text around them, or look like nothing: none of them is in a name. The page has
/// the same list; `app/protocol/fixtures/names.json` holds it for both.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}')
}

/// Whether a person sees anything of it. Joiners and variation selectors, which scripts and emoji need, are seen only
/// by what they do to others.
fn is_visible(c: char) -> bool {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    !c.is_whitespace() && !c.is_control() && !is_hidden(c) && !ignorable
}

/// Checks a display name.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_name(name: &str) -> Result<(), String> {
    check("a name", name, MAX_NAME_CHARS)
}

/// Checks a room's name.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_room(room: &str) -> Result<(), String> {
    // An address with such a segment leads elsewhere, so REST could not reach the room.
    if room == "." || room == ".." {
        return Err("a room name is not one or two dots".to_owned());
    }
    check("a room name", room, MAX_ROOM_CHARS)
}

fn check(what: &str, text: &str, max: usize) -> Result<(), String> {
    // Bytes first: counting the characters of a long text is work for nothing.
    if text.is_empty() || text.len() > 4 * max || text.chars().count() > max {
        return Err(format!("{what} has 1 to {max} characters"));
    }
    if text.trim() != text {
        return Err(format!("{what} does not start or end with white space"));
    }
    if text.chars().any(|c| c.is_control() || is_hidden(c)) {
        return Err(format!("{what} has no control, direction or hidden characters"));
    }
    if !text.chars().any(is_visible) {
        return Err(format!("{what} has at least one visible character"));
    }
    if !is_nfc(text) {
        return Err(format!("{what} is in Unicode NFC"));
    }
    Ok(())
}

/// Checks a message's text.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_text(text: &str, max_bytes: usize) -> Result<(), String> {
    // Bytes first: looking at the characters of a long text is work for nothing.
    if text.len() > max_bytes {
        return Err(format!("a message has at most {max_bytes} bytes"));
    }
    if !text.chars().any(is_visible) {
        return Err("a message has at least one visible character".to_owned());
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("a message has no control characters but new line and tab".to_owned());
    }
    Ok(())
}

/// Checks a client key: 32 lower-case hex digits.
#[must_use]
pub fn is_client_key(key: &str) -> bool {
    key.len() == 32 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_pass() {
        for name in ["Teal", "Zoë", "李雷", "O’Brien 2", "a", &"x".repeat(32)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_harm_others_do_not() {
        let long = "x".repeat(33);
        for name in
            ["", " x", "x ", "a\nb", "a\0b", "\u{202e}evil", "Zoe\u{308}", "\u{feff}", &long]
        {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn rooms_can_be_part_of_an_address() {
        assert_eq!(check_room("the-plan"), Ok(()));
        assert!(check_room(".").is_err() && check_room("..").is_err());
    }

    #[test]
    fn texts_are_visible_and_bounded() {
        assert_eq!(check_text("two\nlines\tand a tab", 100), Ok(()));
        for text in ["", "  \n", "bell \u{7}", &"x".repeat(101)] {
            assert!(check_text(text, 100).is_err(), "{text:?}");
        }
    }

    /// What passes and what does not, for server and page.
    fn fixture() -> serde_json::Value {
        let json = include_str!("../../../protocol/fixtures/names.json");
        serde_json::from_str(json).expect("JSON")
    }

    fn examples(kind: &str, verdict: &str) -> Vec<String> {
        serde_json::from_value(fixture()[kind][verdict].clone()).expect("texts")
    }

    /// Fault S21: a name or message of nothing but U+200B, U+2800, U+3164, U+00AD or U+180E passed.
    #[test]
    fn s21_server_and_page_take_and_refuse_the_same() {
        type Check = fn(&str) -> Result<(), String>;
        let checks: [(&str, Check); 3] = [
            ("names", check_name),
            ("rooms", check_room),
            ("texts", |text| check_text(text, 4096)),
        ];
        for (kind, check) in checks {
            let (accepted, refused) = (examples(kind, "accepted"), examples(kind, "refused"));
            assert!(!accepted.is_empty() && !refused.is_empty());
            for text in accepted {
                assert_eq!(check(&text), Ok(()), "{kind} {text:?}");
            }
            for text in refused {
                assert!(check(&text).is_err(), "{kind} {text:?}");
            }
        }
    }

    #[test]
    fn s21_server_and_page_hide_the_same_characters() {
        let ranges: Vec<String> =
            serde_json::from_value(fixture()["hidden"].clone()).expect("texts");
        let number = |hex: &str| u32::from_str_radix(hex, 16).expect("a code point");
        let ranges: Vec<_> = ranges
            .iter()
            .map(|range| range.split_once('-').unwrap_or((range, range)))
            .map(|(from, to)| number(from)..=number(to))
            .collect();
        for c in '\0'..=char::MAX {
            let listed = ranges.iter().any(|range| range.contains(&u32::from(c)));
            assert_eq!(is_hidden(c), listed, "U+{:04X}", u32::from(c));
        }
    }

    /// Their kind: whatever Unicode says is shown as nothing.
    #[test]
    fn s21_nothing_that_is_only_ignorable_is_a_name_or_a_text() {
        for c in ['\u{1d173}', '\u{1bca0}', '\u{e0001}', '\u{fff0}', '\u{e0100}', '\u{2065}'] {
            assert!(check_name(&c.to_string()).is_err(), "{c:?}");
            assert!(check_text(&format!(" {c}\n{c}"), 100).is_err(), "{c:?}");
        }
    }

    #[test]
    fn keys_are_lower_case_hex() {
        assert!(is_client_key("00112233445566778899aabbccddeeff"));
        for key in
            ["", "00112233445566778899AABBCCDDEEFF", "0011", "g0112233445566778899aabbccddeeff"]
        {
            assert!(!is_client_key(key), "{key}");
        }
    }
}
