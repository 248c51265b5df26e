//! The names of exported networks: C identifiers that no header of C has. Knows nothing of networks.

use super::program::{CError, Export};

/// The most letters of a name.
pub(super) const MOST_LETTERS: usize = 40;

/// The names of the exported test, of files that programs usually have, and of the headers of C.
const TAKEN: [&str; 35] = [
    "test",
    "main",
    "startup",
    "assert",
    "complex",
    "ctype",
    "errno",
    "fenv",
    "float",
    "inttypes",
    "iso646",
    "limits",
    "locale",
    "math",
    "setjmp",
    "signal",
    "stdarg",
    "stdbool",
    "stddef",
    "stdint",
    "stdio",
    "stdlib",
    "string",
    "tgmath",
    "time",
    "wchar",
    "wctype",
    "layer",
    "range",
    "factors",
    "stdalign",
    "stdatomic",
    "stdnoreturn",
    "threads",
    "uchar",
];

impl Export<'_> {
    /// Makes a name of another: its letters and digits, with one _ in place of what stands between them.
    #[must_use]
    pub fn name_of(text: &str) -> String {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let joined = words.collect::<Vec<_>>().join("_");
        let name: String = joined.chars().take(MOST_LETTERS - 4).collect();
        let name = name.trim_end_matches('_');
        if Self::check_name(name).is_ok() {
            name.to_owned()
        } else {
            format!("net_{name}").trim_end_matches('_').to_owned()
        }
    }

    /// Checks whether a name can be used in C.
    pub fn check_name(name: &str) -> Result<(), CError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_usable = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && name.bytes().all(is_word)
            && name.len() <= MOST_LETTERS
            && !TAKEN.contains(&name.to_ascii_lowercase().as_str())
            // Two underscores separate the network's name from those of its tables.
            && !name.contains("__")
            && !name.ends_with('_');
        if is_usable { Ok(()) } else { Err(CError::Name { name: name.to_owned() }) }
    }
}
