//! Escapes text for Markdown (`CommonMark` 0.31 with GitHub's tables), so that renderers show the text unchanged.

/// The characters that start markup inside a line; always escaped.
const INLINE: [char; 10] = ['\\', '`', '*', '<', '>', '[', ']', '|', '~', '&'];

/// Escapes a text for a paragraph or a heading. Line breaks become spaces.
#[must_use]
pub fn line(text: &str) -> String {
    let escaped = escape(&text.replace(['\r', '\n'], " "));
    // At the start of a line, these characters start a heading, a list, a rule or a code block.
    let body = escaped.trim_start();
    let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut next = body[digits..].chars();
    match (next.next(), next.next()) {
        (Some('.' | ')'), None | Some(' ')) if digits > 0 => {
            format!("{}\\{}", &body[..digits], &body[digits..])
        }
        (Some('#' | '-' | '+' | '='), _) if digits == 0 => format!("\\{body}"),
        _ => body.to_owned(),
    }
}

/// Escapes a text for a table cell. Line breaks become `<br>`.
#[must_use]
pub fn cell(text: &str) -> String {
    escape(&text.replace("\r\n", "\n")).replace(['\r', '\n'], "<br>")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // An underscore within a word is no markup.
        let in_word = before.is_alphanumeric() && rest.peek().is_some_and(|c| c.is_alphanumeric());
        if INLINE.contains(&c) || (c == '_' && !in_word) {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_what_would_end_them() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text), expected);
        check("int3 | asym", "int3 \\| asym");
        check("bytes\n(packed)\r\nx", "bytes<br>(packed)<br>x");
        check("a.accuracy_low", "a.accuracy_low");
        check("_a_ *b* `c` <b> [d](e) ~f~ &lt; \\", r"\_a\_ \*b\* \`c\` \<b\> \[d\](e) \~f\~ \&lt; \\");
        check("0.38 ±0.35", "0.38 ±0.35");
    }

    #[test]
    fn lines_begin_no_block() {
        let check = |text: &str, expected: &str| assert_eq!(line(text), expected);
        check("# a\nb", "\\# a b");
        check("- a", "\\- a");
        check("1. a", "1\\. a");
        check("    1.0 - a", "1.0 - a");
        check("100.0 * (a - b)", "100.0 \\* (a - b)");
        check("plain", "plain");
    }
}
