//! The tokens of an experiment's text, comments and line breaks included. Together they are the whole text.
//! Knows no grammar.

use super::syntax::{end_of_comment, end_of_text};

/// A token with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// The kind.
    pub kind: TokenKind,
    /// The text, as it stands.
    pub text: &'t str,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `(`, `[` or `{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// A name, a number, or a text in quotes.
    Word,
    /// A comment up to the end of its line.
    LineComment,
    /// A comment that has an end.
    BlockComment,
    /// Spaces and line breaks.
    Space,
}

/// Divides a text into tokens; `None` if a text in quotes or a comment has no end.
#[must_use]
pub fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, end) = match c {
            '(' | '[' | '{' => (TokenKind::Open, at + 1),
            ')' | ']' | '}' => (TokenKind::Close, at + 1),
            ',' => (TokenKind::Comma, at + 1),
            ':' => (TokenKind::Colon, at + 1),
            '"' => (TokenKind::Word, end_of_text(text, at)?),
            _ if rest.starts_with("//") => {
                (TokenKind::LineComment, at + rest.find('\n').unwrap_or(rest.len()))
            }
            _ if rest.starts_with("/*") => (TokenKind::BlockComment, end_of_comment(text, at)?),
            _ if is_space(c) => (TokenKind::Space, at + rest.find(|c| !is_space(c)).unwrap_or(rest.len())),
            _ => (TokenKind::Word, word_end(text, at)?),
        };
        tokens.push(Token { kind, text: &text[at..end] });
        at = end;
    }
    Some(tokens)
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Returns the end of a word. A raw text (`r#"…"#`) is one word, whatever stands in it.
fn word_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start..];
    let prefix = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    if let Some(after) = prefix {
        let hashes = after.len() - after.trim_start_matches('#').len();
        if after[hashes..].starts_with('"') {
            let content = rest.len() - after.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            return rest[content..].find(&close).map(|end| start + content + end + close.len());
        }
    }
    if let Some(quoted) = rest.strip_prefix('\'') {
        // A character: at least one, escaped or not.
        let first = quoted.chars().next()?;
        let from = 1 + first.len_utf8() + if first == '\\' { quoted.chars().nth(1)?.len_utf8() } else { 0 };
        return rest.get(from..)?.find('\'').map(|end| start + from + end + 1);
    }
    let is_end = |c: char| is_space(c) || "()[]{},:\"'".contains(c);
    let mut end = rest.find(is_end).unwrap_or(rest.len()).max(1);
    while !rest.is_char_boundary(end) {
        end += 1;
    }
    // A comment directly behind a word is no part of it.
    let comment = rest[..end].find("//").into_iter().chain(rest[..end].find("/*")).min();
    Some(start + comment.filter(|at| *at > 0).unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_whole_text() {
        let text = "\u{feff}A(b: \"x, // y\", c: [1.5e-3, r#\"a\"b\"#, 'x', ':'], /* (d */ ) // end";
        let found = tokens(text).expect("tokens");
        assert_eq!(found.iter().map(|token| token.text).collect::<String>(), text);
        let words = found.iter().filter(|token| token.kind == TokenKind::Word).map(|token| token.text);
        assert_eq!(
            words.collect::<Vec<_>>(),
            ["A", "b", "\"x, // y\"", "c", "1.5e-3", "r#\"a\"b\"#", "'x'", "':'"]
        );
        assert_eq!(tokens("a // b\n12// c").expect("tokens").len(), 6);
        for open in ["\"a", "/* a", "r#\"a\"", "'a"] {
            assert!(tokens(open).is_none(), "{open}");
        }
    }
}
