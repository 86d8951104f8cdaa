//! Names as they are reserved, so that none can be taken for another's. Pure.

use icu_casemap::CaseMapper;
use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection;

use super::token::hex;

/// Longest name, in characters.
const MAX_CHARS: usize = 32;
/// What stands behind a guest's name that would pass for a reserved one.
const GUEST: &str = " (guest)";
/// What others see of an operator's program.
pub const OPERATOR: &str = "Operator";
/// One pass of folding may make what the next one folds further; after so many nothing changes any more.
const PASSES: usize = 4;

/// A name as it is shown, and all that it reserves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As others see it.
    pub shown: String,
    /// Without case and compatibility: the same for all ways to write it. The account's key.
    pub folded: String,
    /// What it looks like, in small letters and as it stands.
    pub skeletons: [String; 2],
}

impl Name {
    /// All of a name that `check_name` let pass.
    #[must_use]
    pub fn new(shown: &str) -> Self {
        let folded = fold(shown);
        let skeletons = [skeleton(&folded), skeleton(shown)];
        Self { shown: shown.to_owned(), folded, skeletons }
    }

    /// The account's public ID, the same on all devices of its owner.
    #[must_use]
    pub fn member(&self) -> String {
        let digest = Sha256::digest(format!("account:{}", self.folded));
        hex(&digest[..8])
    }

    /// Whether it would pass for an operator's.
    #[must_use]
    pub fn is_an_operators(&self) -> bool {
        self.skeletons.contains(&skeleton(OPERATOR))
    }

    /// Whether it looks as if it were followed by what only guests have there.
    #[must_use]
    pub fn is_a_guests(&self) -> bool {
        let end = skeleton(GUEST.trim());
        self.skeletons.iter().any(|skeleton| skeleton.ends_with(&end))
    }
}

/// The name of a guest whose own would pass for a reserved one.
#[must_use]
pub fn guest_name(name: &str) -> String {
    let most = MAX_CHARS - GUEST.chars().count();
    let kept: String = name.chars().take(most).collect();
    // What only does something to what follows is not left at the end.
    let kept = kept.trim_end_matches(|c: char| c.is_whitespace() || is_ignorable(c));
    format!("{kept}{GUEST}")
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Without what nobody sees, compatibility, case, and more than one space at a place.
fn fold(name: &str) -> String {
    let pass = |name: &str| {
        let seen: String = name.chars().filter(|c| !is_ignorable(*c)).nfkc().collect();
        let folded: String = CaseMapper::new().fold_string(&seen).nfkc().collect();
        folded.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    settled(name, pass)
}

/// What a name looks like (UTS 39), whether its letters are capital or not: `I`, `l` and `1` are one.
fn skeleton(name: &str) -> String {
    let pass = |name: &str| {
        let plain: String = name.nfkc().collect();
        let prototype: String = confusable_detection::skeleton(&plain).collect();
        fold(&prototype).replace('i', "l")
    };
    settled(name, pass)
}

fn settled(name: &str, pass: impl Fn(&str) -> String) -> String {
    let mut now = pass(name);
    for _ in 1..PASSES {
        let next = pass(&now);
        if next == now {
            break;
        }
        now = next;
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collide(one: &str, other: &str) -> bool {
        let (one, other) = (Name::new(one), Name::new(other));
        one.skeletons.iter().any(|skeleton| other.skeletons.contains(skeleton))
    }

    #[test]
    fn whatever_looks_the_same_is_the_same_name() {
        for (one, other) in [
            ("Ada", "ada"),
            ("Ada", "\u{410}da"),
            ("paypal", "p\u{430}yp\u{430}l"),
            ("Ada", "\u{ff21}\u{ff44}\u{ff41}"),
            ("Ada", "A\u{200d}da"),
            ("Ada", "A\u{fe0f}da"),
            ("Hans", "\u{397}ans"),
            ("HANS", "\u{397}ans"),
            ("linda", "Iinda"),
            ("linda", "LINDA"),
            ("Bill", "Bi1l"),
            ("modern", "rnodern"),
            ("Otto", "0tto"),
            ("Ada L", "Ada\u{a0}L"),
            ("Ada L", "Ada  L"),
            ("Straße", "STRASSE"),
            ("Ⅳ", "iv"),
        ] {
            assert!(
                collide(one, other),
                "{one} {other}: {:?} {:?}",
                Name::new(one),
                Name::new(other)
            );
        }
    }

    #[test]
    fn other_names_are_other_names() {
        for (one, other) in [("Ada", "Adam"), ("Zoë", "Zoe"), ("李雷", "韩梅梅"), ("Teal", "Tea")]
        {
            assert!(!collide(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_member_is_a_digest_of_the_folded_name() {
        // printf %s account:ada | sha256sum
        assert_eq!(Name::new("ADA").member(), Name::new("ada").member());
        assert_eq!(Name::new("ada").member().len(), 16);
        assert_ne!(Name::new("ada").member(), Name::new("adam").member());
    }

    #[test]
    fn a_guests_name_stays_short_and_says_so() {
        assert_eq!(guest_name("Ada"), "Ada (guest)");
        let long = guest_name(&"x".repeat(32));
        assert_eq!(long.chars().count(), 32);
        let spaced = format!("{} y", "x".repeat(23));
        assert_eq!(guest_name(&spaced), format!("{} (guest)", "x".repeat(23)));
    }

    #[test]
    fn what_only_guests_have_is_nobodys_name() {
        for name in ["Ada (guest)", "Ada (GUEST)", "Ada (gue\u{455}t)", "(guest)", "Ada(guest)"] {
            assert!(Name::new(name).is_a_guests(), "{name}");
        }
        assert!(!Name::new("Guest").is_a_guests());
    }
}
