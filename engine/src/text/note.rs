//! The schema notes that parameter readers record: the expected types, the fields and their defaults.
//! Knows nothing of how the notes are shown; see [`crate::schema`].

use std::fmt;

use serde::Serialize;

/// A reader's note about the value at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// The reader expects a value of this type.
    Expected {
        /// The name of the type in messages, with its article: `a rounding`.
        what: String,
        /// The valid variant names; empty if the type is not a choice of names.
        variants: Vec<String>,
    },
    /// The reader asks for these fields of a struct or variant, in this order.
    Fields(Vec<Asked>),
}

/// A field that a reader asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Its name.
    pub name: &'static str,
    /// How the reader treats a missing field.
    pub need: Need,
    /// The condition on the value besides its type, in the words of the message: `above 0`; empty if there is none.
    pub must: String,
    /// What the field means, in a sentence.
    pub about: &'static str,
}

/// How a reader treats a missing field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The field must be given.
    Required,
    /// The field has this default, as it is written in the language.
    Default(String),
    /// These words describe the default; empty if there is nothing to say.
    Otherwise(String),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Default(text) => write!(f, "default {text}"),
            Self::Otherwise(words) if words.is_empty() => f.write_str("optional"),
            Self::Otherwise(words) => write!(f, "default: {words}"),
        }
    }
}
