use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The ID of one room log entry: a Redis stream ID, `ms-seq`.
///
/// IDs order entries within one room and mean nothing across rooms. `ms` is Unix time in
/// milliseconds as Redis saw it; it never goes backwards within a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId {
    /// Unix milliseconds.
    pub ms: u64,
    /// Distinguishes the entries of one millisecond.
    pub seq: u64,
}

impl EntryId {
    /// The place before the first entry of any log, and the head of an empty one.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    /// An ID from its two parts.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text was not `ms-seq` with two plain decimal numbers below 2^64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseEntryIdError(String);

impl fmt::Display for ParseEntryIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an entry ID (expected \"<ms>-<seq>\"): {:?}", self.0)
    }
}

impl std::error::Error for ParseEntryIdError {}

impl FromStr for EntryId {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseEntryIdError(text.chars().take(64).collect());
        // `u64::from_str` takes a leading plus, which Redis does not.
        let number = |part: &str| match part.as_bytes() {
            [] => Err(error()),
            digits if digits.iter().all(u8::is_ascii_digit) => part.parse().map_err(|_| error()),
            _ => Err(error()),
        };
        let (ms, seq) = text.split_once('-').ok_or_else(error)?;
        Ok(Self { ms: number(ms)?, seq: number(seq)? })
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Owned, because a JSON string with escapes cannot be borrowed.
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for EntryId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .pattern(Some("^[0-9]{1,19}-[0-9]{1,19}$"))
            .description(Some("An entry of a room log: two decimal numbers. Compare them as numbers, the first one first."))
            .examples(["1790000000000-12"])
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for EntryId {}

#[cfg(test)]
mod tests {
    use super::EntryId;

    #[test]
    fn orders_by_time_then_sequence() {
        assert!(EntryId::new(9, 9) < EntryId::new(10, 0));
        assert!(EntryId::new(10, 0) < EntryId::new(10, 1));
    }

    #[test]
    fn refuses_what_redis_would_read_otherwise() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-0",
            "1-+0",
            "1-0-0",
            "$",
            "1 -0",
            "99999999999999999999-0",
        ] {
            assert!(text.parse::<EntryId>().is_err(), "{text:?} was taken for an ID");
        }
    }

    #[test]
    fn text_form_round_trips() {
        for id in
            [EntryId::ZERO, EntryId::new(1_790_000_000_000, 12), EntryId::new(u64::MAX, u64::MAX)]
        {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
