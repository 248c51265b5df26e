//! Numbers as the language writes them: whole numbers of 64 bits in four bases, and decimal numbers.
//! Knows nothing of the fields that the numbers belong to.

use super::fault::{Faults, Span};
use super::value::ValueKind;

/// The suffixes with which RON may name a number's type.
const SUFFIXES: [&str; 12] =
    ["i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize"];

/// The suffixes of floating-point types; in a hexadecimal number they are digits.
const REAL_SUFFIXES: [&str; 2] = ["f32", "f64"];

/// Converts a number as written; reports a number that cannot be used, and returns `Unreadable` for it.
pub(super) fn convert(written: &str, span: Span, faults: &mut Faults) -> ValueKind {
    let raw = written.replace('_', "");
    let (sign, digits) = match raw.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", raw.strip_prefix('+').unwrap_or(&raw)),
    };
    let radix = match digits.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    let whole = if radix == 10 { digits } else { &digits[2..] };
    if let Ok(value) = i64::from_str_radix(&format!("{sign}{whole}"), radix) {
        return ValueKind::Int(value);
    }
    if let Ok(value) = raw.parse::<f64>()
        && value.is_finite()
        && !is_lost(value, digits)
        && !whole.bytes().all(|byte| byte.is_ascii_digit())
    {
        return ValueKind::Real(value);
    }
    faults.add(span, format!("`{written}` is not a number that can be used here"), number_hint(&raw));
    ValueKind::Unreadable
}

/// Returns whether a nonzero number underflowed to zero.
fn is_lost(value: f64, digits: &str) -> bool {
    let mantissa = digits.split(['e', 'E']).next().unwrap_or(digits);
    value == 0.0 && mantissa.contains(|c: char| ('1'..='9').contains(&c))
}

/// Returns a hint on how to write a number that cannot be read.
fn number_hint(raw: &str) -> String {
    let digits = raw.trim_start_matches(['-', '+']);
    let is_hex = digits.starts_with("0x");
    let real = REAL_SUFFIXES.iter().filter(|_| !is_hex);
    match SUFFIXES.iter().chain(real).find_map(|suffix| raw.strip_suffix(suffix)) {
        Some(bare) => format!("remove the type suffix: write `{bare}`"),
        None if raw.parse().is_ok_and(|value| is_lost(value, digits)) => {
            "it is too small for a number of 64 bits: write `0.0`".to_owned()
        }
        None if raw.parse().is_ok_and(f64::is_infinite) && digits.contains(['e', 'E', '.']) => {
            format!("decimal numbers go up to {:e} in magnitude", f64::MAX)
        }
        None => format!("whole numbers go from {} to {}", i64::MIN, i64::MAX),
    }
}
