//! What readers note of a place for who asks how the language is written: what they would take there.
//! Knows nothing of who asks; see [`crate::schema`].

use serde::Serialize;

/// What a reader notes of the value at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// It takes this.
    Expected {
        /// In words, with the article: `a rounding`.
        what: String,
        /// The names it must have one of; none if it is not a choice of names.
        variants: Vec<String>,
    },
    /// It is a struct or variant of which these fields are asked for, in this order.
    Fields(Vec<Asked>),
}

/// A field that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Its name.
    pub name: &'static str,
    /// What holds where it is not given.
    pub need: Need,
    /// What its value must be besides its type, in the words of the message: `above 0`; empty if nothing.
    pub must: String,
}

/// What holds where a field is not given.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It must be given.
    Required,
    /// It has this value, as the language writes it.
    Default(String),
    /// What these words say; nothing in particular where they are empty.
    Otherwise(String),
}
