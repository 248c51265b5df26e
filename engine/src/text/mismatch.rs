//! The fault of a value that is not of the expected kind.
//! Knows no field and no variant.

use super::fault::Faults;
use super::note::Note;
use super::value::{Value, ValueKind};

/// Reports a value of the wrong kind, unless its fault is already reported.
pub fn mismatch(value: &Value, expected: &str, faults: &mut Faults) {
    mismatch_with(value, expected, "", faults);
}

/// Reports a value that does not fit and shows the value itself; for values whose kind alone does not explain the
/// fault.
pub fn unfit(value: &Value, expected: &str, faults: &mut Faults) {
    faults.note(value.span, || Note::Expected { what: expected.to_owned(), variants: vec![] });
    if !matches!(value.kind, ValueKind::Unreadable) {
        faults.add(value.span, format!("expected {expected}, found {value}"), "");
    }
}

pub(super) fn mismatch_with(value: &Value, expected: &str, hint: &str, faults: &mut Faults) {
    faults.note(value.span, || Note::Expected { what: expected.to_owned(), variants: vec![] });
    if matches!(value.kind, ValueKind::Unreadable) || value.stands_for_axis() {
        return;
    }
    let hint = match &value.kind {
        ValueKind::Text(text) if text.starts_with(|c: char| c.is_ascii_uppercase()) => {
            format!("names of variants stand without quotes: `{text}`")
        }
        _ => hint.to_owned(),
    };
    faults.add(value.span, format!("expected {expected}, found {}", value.describe()), hint);
}
