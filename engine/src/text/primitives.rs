//! The readers of plain values: truth values, numbers, texts, lists, and optional values.
//! Knows no parameter.

use super::fault::Faults;
use super::fields::FromValue;
use super::mismatch::mismatch;
use super::value::{Struct, Value, ValueKind};

impl FromValue for Value {
    fn from_value(value: &Value, _: &mut Faults) -> Option<Self> {
        Some(value.clone())
    }
}

impl FromValue for bool {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        if let ValueKind::Bool(read) = value.kind {
            return Some(read);
        }
        mismatch(value, "`true` or `false`", faults);
        None
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        if let ValueKind::Int(read) = value.kind {
            return Some(read);
        }
        mismatch(value, "a whole number", faults);
        None
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        match value.kind {
            ValueKind::Int(read) => Some(read as f64),
            // −0 and 0 are the same parameter: adding 0 makes both +0, so that they have the same key.
            ValueKind::Real(read) => Some(read + 0.0),
            _ => {
                mismatch(value, "a number", faults);
                None
            }
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        if let ValueKind::Text(read) = &value.kind {
            return Some(read.clone());
        }
        let hint = value.bare_name().map_or(String::new(), |name| format!("write it in quotes: \"{name}\""));
        if !value.stands_for_axis() && !hint.is_empty() {
            faults.add(value.span, format!("expected a text, found {}", value.describe()), hint);
        } else {
            mismatch(value, "a text", faults);
        }
        None
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let ValueKind::List(items) = &value.kind else {
            mismatch(value, "a list", faults);
            return None;
        };
        // Reads every item before it fails, so that every fault is found.
        let read: Vec<Option<T>> = items.iter().map(|item| T::from_value(item, faults)).collect();
        read.into_iter().collect()
    }
}

/// Reads `None`, `Some(value)` or a bare value.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        match &value.kind {
            ValueKind::Struct(Struct { name: Some(name), positional, .. })
                if &**name == "Some" && positional.len() == 1 =>
            {
                T::from_value(&positional[0], faults).map(Some)
            }
            _ if value.bare_name() == Some("None") => Some(None),
            _ => T::from_value(value, faults).map(Some),
        }
    }
}
