use std::collections::HashMap;

/// A client, a room or a member, as a number: a history names each a million times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(u32);

#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, Name>,
    names: Vec<String>,
}

impl Names {
    pub fn number(&mut self, name: &str) -> Name {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = Name(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    pub fn of(&self, Name(number): Name) -> &str {
        self.names.get(number as usize).map_or("?", String::as_str)
    }

    /// Several, in alphabetical order.
    pub fn list(&self, names: impl IntoIterator<Item = Name>) -> String {
        let mut names: Vec<_> = names.into_iter().map(|name| self.of(name)).collect();
        names.sort_unstable();
        names.join(", ")
    }
}
