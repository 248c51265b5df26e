//! Numbers and texts as C literals. Knows nothing of networks.

use std::fmt::Write;

/// The columns of a line of a table.
const COLUMNS: usize = 120;

/// Returns a finite binary32 number: the shortest decimal number that a compiler reads as the same one.
pub(super) fn float(number: f32) -> String {
    format!("{number:e}f")
}

/// Returns a finite binary64 number.
pub(super) fn double(number: f64) -> String {
    format!("{number:e}")
}

/// Returns a text in double quotes. Letters beyond ASCII are written as octal bytes, and no trigraph arises.
pub(super) fn text(text: &str) -> String {
    let mut quoted = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' if byte != b'?' => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Returns text that a comment can hold.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().replace("*/", "* /")
}

/// Returns elements separated by commas, in lines that are not too long, indented by four.
pub(super) fn lines(elements: impl IntoIterator<Item = String>) -> String {
    let (mut all, mut line) = (String::new(), String::new());
    for element in elements {
        if 4 + line.len() + element.len() + 1 > COLUMNS {
            let _ = writeln!(all, "    {}", line.trim_end());
            line.clear();
        }
        let _ = write!(line, "{element}, ");
    }
    if !line.is_empty() {
        let _ = writeln!(all, "    {}", line.trim_end());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_c() {
        assert_eq!([0.0, -0.0, 1.5e-3, f32::MAX].map(float), ["0e0f", "-0e0f", "1.5e-3f", "3.4028235e38f"]);
        assert_eq!(text("a \"b\" \\ ü ??/\n"), r#""a \"b\" \\ \303\274 \077\077/\012""#);
        assert_eq!(comment("a */ b\nc"), "a * / b c");
        let table = lines((0..100).map(|number| number.to_string()));
        assert!(table.lines().all(|line| line.len() <= COLUMNS && line.starts_with("    ")));
        assert_eq!(table.matches(',').count(), 100);
    }
}
