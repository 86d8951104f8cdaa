//! What may be a name, a room or a text. Pure.

use unicode_normalization::is_nfc;

const MAX_NAME_CHARS: usize = 32;
const MAX_ROOM_CHARS: usize = 64;

/// Characters that reorder or hide the text around them.
fn is_bidi_or_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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
    if text.chars().any(|c| c.is_control() || is_bidi_or_invisible(c)) {
        return Err(format!("{what} has no control or direction characters"));
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
    if text.trim().is_empty() {
        return Err("a message has at least one visible character".to_owned());
    }
    if text.len() > max_bytes {
        return Err(format!("a message has at most {max_bytes} bytes"));
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
