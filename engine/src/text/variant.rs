//! Readers of values that are one of several variants: the variant's name selects the reader of its fields.
//! Knows no variant.

use super::fault::{Faults, suggest};
use super::fields::Fields;
use super::mismatch::mismatch_with;
use super::note::Note;
use super::value::{Struct, Value, ValueKind};

/// The reader of a variant's fields; it reports faults and returns `None` if there is one.
pub type VariantReader<T> = fn(&mut Fields<'_>, &mut Faults) -> Option<T>;

/// Reads a value that is one of several variants; `what` names the choice in messages, with its article.
pub fn read_variant<T>(
    value: &Value,
    what: &str,
    variants: &[(&'static str, VariantReader<T>)],
    faults: &mut Faults,
) -> Option<T> {
    let names: Vec<&str> = variants.iter().map(|(name, _)| *name).collect();
    let found = variant(value, what, &names, faults)?;
    let (name, read) = variants.iter().find(|(name, _)| *name == found)?;
    let mut fields = Fields::open(value, name, faults)?;
    let read = read(&mut fields, faults);
    fields.finish(faults);
    read
}

/// Returns the name of the variant if it is one of `valid`, else reports a fault.
pub fn variant<'n>(value: &Value, what: &str, valid: &[&'n str], faults: &mut Faults) -> Option<&'n str> {
    let variants = || valid.iter().map(|name| (*name).to_owned()).collect();
    faults.note(value.span, || Note::Expected { what: what.to_owned(), variants: variants() });
    let ValueKind::Struct(Struct { name: Some(name), .. }) = &value.kind else {
        mismatch_with(value, what, &suggest("", valid.iter().copied()), faults);
        return None;
    };
    if value.stands_for_axis() {
        // Only an invalid `Axis(…)` is left here, and its fault is already reported.
        return None;
    }
    let found = valid.iter().find(|valid| ***valid == **name).copied();
    if found.is_none() {
        let message =
            format!("there is no {} `{name}`", what.trim_start_matches("a ").trim_start_matches("an "));
        faults.add(value.span, message, suggest(name, valid.iter().copied()));
    }
    found
}

/// Reads a value that is only a name, one of `choices`.
pub fn choice<T: Copy>(value: &Value, what: &str, choices: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let name = variant(value, what, &names, faults)?;
    Fields::open(value, name, faults)?.finish(faults);
    choices.iter().find(|(choice, _)| *choice == name).map(|(_, value)| *value)
}
