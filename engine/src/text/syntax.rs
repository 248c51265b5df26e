//! Faults of an experiment's syntax: one per mistake, with a repair that lets the parser go on.
//! Knows the brackets, texts and comments of RON; the parser knows the rest.

use super::fault::{Fault, Span};

/// A syntax mistake and its repair.
pub struct Mistake {
    /// The fault.
    pub fault: Fault,
    /// The place and the character whose insertion repairs the text; `None` if no repair is likely to be right.
    pub repair: Option<(usize, char)>,
}

/// A bracket with its place.
type Bracket = (usize, char);

/// The maximum depth of brackets; the parser recurses once per level, so deeper values could overflow the stack.
const MOST_DEPTH: usize = 100;

/// The first mistake that brackets and quotes alone reveal.
enum BracketShape {
    /// Every bracket is closed by the matching bracket.
    Sound,
    /// The text at this place spans lines up to the quote that probably opens the next text, or has no end.
    OpenText(usize),
    /// The bracket is not closed before the given place, where an outer bracket is closed or the file ends.
    OpenBracket(Bracket, usize),
    /// The bracket at this place closes nothing.
    Extra(usize, char),
    /// The comment at this place is not closed.
    OpenComment(usize),
}

/// Explains the mistake at the place of the parser's first error; `message` is the parser's message.
#[must_use]
pub fn explain(text: &str, place: Span, message: &str) -> Mistake {
    match shape(text) {
        BracketShape::OpenText(at) if at <= place.end => {
            let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
            mistake(
                Span { start: at, end },
                "this text has no closing quote".to_owned(),
                "add `\"` where it ends",
            )
        }
        BracketShape::OpenBracket((at, open), end) if at < place.end => {
            let start = place.start.min(end);
            let (line, column) = position(text, at);
            let found = found(text, start);
            let mut mistake = mistake(
                Span { start, end: start + found.len() },
                format!("expected `{}` before {}", closing(open), quoted(found)),
                "",
            );
            mistake.fault.hint = format!("the `{open}` in line {line}, column {column} is not closed");
            // The place of the missing bracket is only clear when the open bracket is near: on the same line, or the
            // file ends here.
            let between = text.get(at..start).unwrap_or_default();
            let near = !between.contains('\n') || start >= text.trim_end().len();
            mistake.repair = near.then_some((start, closing(open)));
            mistake
        }
        BracketShape::OpenComment(at) if at <= place.end => {
            let span = Span { start: at, end: at + 2 };
            mistake(span, "this comment has no end".to_owned(), "add `*/` where it ends")
        }
        BracketShape::Extra(at, closer) if at <= place.start => {
            let span = Span { start: at, end: at + 1 };
            mistake(span, format!("this `{closer}` closes nothing"), "remove it, or open a bracket before it")
        }
        BracketShape::Sound
        | BracketShape::OpenText(_)
        | BracketShape::OpenBracket(..)
        | BracketShape::Extra(..)
        | BracketShape::OpenComment(_) => translate(text, place, message),
    }
}

/// Returns a fault at the first bracket that nests deeper than the maximum depth.
#[must_use]
pub fn too_deep(text: &str) -> Option<Fault> {
    let mut depth = 0_usize;
    let (at, _) = brackets(text).0.into_iter().find(|(_, c)| {
        depth = if is_opening(*c) { depth + 1 } else { depth.saturating_sub(1) };
        depth > MOST_DEPTH
    })?;
    let message = format!("brackets nest more than {MOST_DEPTH} deep");
    Some(Fault { span: Span { start: at, end: at + 1 }, message, hint: String::new() })
}

/// Translates the parser's message into the words of this language.
fn translate(text: &str, place: Span, message: &str) -> Mistake {
    let found = found(text, place.start);
    let span = Span { start: place.start, end: place.start + found.len() };
    let lower = message.to_lowercase();
    if found.starts_with('\'') {
        return mistake(span, "a text stands in double quotes".to_owned(), "write `\"` for `'`");
    }
    if lower.contains("trailing") {
        let hint = "a file is one `Experiment(…)`: remove the text behind it";
        return mistake(span, format!("the experiment has ended before {}", quoted(found)), hint);
    }
    if lower.contains("expected comma") || lower.contains("expected closing") {
        let message = format!("expected `,` or a closing bracket, found {}", quoted(found));
        if found == ":" {
            return mistake(span, message, "in one pair of parentheses all values have names, or none has");
        }
        if follows_field(&text[..place.start]) {
            return mistake(span, message, "is a colon missing before it?");
        }
        let mut mistake = mistake(span, message, "is a comma missing before it?");
        mistake.repair = Some((place.start, ','));
        return mistake;
    }
    let mut message = message.to_owned();
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    mistake(place, message, "")
}

/// Returns whether a text probably ends with a field's name.
fn follows_field(before: &str) -> bool {
    let before = before.trim_end();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let last = &before[before.trim_end_matches(word).len()..];
    last.starts_with(|c: char| c.is_ascii_lowercase()) && !["true", "false"].contains(&last)
}

fn mistake(span: Span, message: String, hint: &str) -> Mistake {
    Mistake { fault: Fault { span, message, hint: hint.to_owned() }, repair: None }
}

/// Returns the word, text or sign at a place; empty at the end of the file.
fn found(text: &str, at: usize) -> &str {
    let rest = &text[at.min(text.len())..];
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let quoted = rest.strip_prefix('"').and_then(|rest| rest.find(['"', '\n'])).map(|end| end + 2);
    let length = quoted.or_else(|| rest.find(|c| !word(c))).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    rest.get(..length.max(first)).unwrap_or(rest)
}

fn quoted(found: &str) -> String {
    if found.trim().is_empty() { "the end of the file".to_owned() } else { format!("`{found}`") }
}

/// Returns the line and column of a place, both counted from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '{')
}

fn shape(text: &str) -> BracketShape {
    let (brackets, end) = brackets(text);
    let mut stack: Vec<Bracket> = vec![];
    for (index, &(at, c)) in brackets.iter().enumerate() {
        if is_opening(c) {
            stack.push((at, c));
            continue;
        }
        // A closing bracket is superfluous if the text is balanced without it.
        let is_extra = || end.is_none() && is_sound(brackets[..index].iter().chain(&brackets[index + 1..]));
        match stack.pop() {
            Some((_, open)) if closing(open) == c => {}
            Some(open) if stack.iter().any(|(_, other)| closing(*other) == c) && !is_extra() => {
                return BracketShape::OpenBracket(open, at);
            }
            _ => return BracketShape::Extra(at, c),
        }
    }
    let open = |open| BracketShape::OpenBracket(open, text.trim_end().len());
    end.or(stack.pop().map(open)).unwrap_or(BracketShape::Sound)
}

/// Returns the brackets outside of texts and comments, and the unclosed text or comment that ends the search, if any.
fn brackets(text: &str) -> (Vec<Bracket>, Option<BracketShape>) {
    let mut brackets = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        match c {
            '/' if text[at..].starts_with("//") => at += text[at..].find('\n').unwrap_or(text.len() - at),
            '/' if text[at..].starts_with("/*") => match end_of_comment(text, at) {
                Some(end) => at = end,
                None => return (brackets, Some(BracketShape::OpenComment(at))),
            },
            '"' => match end_of_text(text, at) {
                Some(end) => at = end,
                None => return (brackets, Some(BracketShape::OpenText(at))),
            },
            _ => {
                if matches!(c, '(' | '[' | '{' | ')' | ']' | '}') {
                    brackets.push((at, c));
                }
                at = next;
            }
        }
    }
    (brackets, None)
}

fn is_sound<'b>(brackets: impl Iterator<Item = &'b Bracket>) -> bool {
    let mut stack = vec![];
    for &(_, c) in brackets {
        if is_opening(c) {
            stack.push(closing(c));
        } else if stack.pop() != Some(c) {
            return false;
        }
    }
    stack.is_empty()
}

/// Returns the end of the comment that begins at a place; comments nest.
pub(super) fn end_of_comment(text: &str, start: usize) -> Option<usize> {
    let (mut depth, mut at) = (1_usize, start + 2);
    while depth > 0 {
        at += text[at..].find(['*', '/'])?;
        match text[at..].get(..2) {
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

/// Returns the end of the text that begins at a place; `None` if the closing quote probably opens the next text.
pub(super) fn end_of_text(text: &str, start: usize) -> Option<usize> {
    let raw = text[..start].trim_end_matches('#');
    if raw.ends_with('r') {
        let end = format!("\"{}", &text[raw.len()..start]);
        return text[start + 1..].find(&end).map(|length| start + 1 + length + end.len());
    }
    let mut escaped = false;
    let end = text[start + 1..].find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    let end = start + 2 + end?;
    let joined = text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (!joined || !text[start..end].contains('\n')).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::super::fault::Faults;
    use super::super::value::Value;

    #[test]
    fn a_mistake_is_told_once_and_reading_goes_on_behind_it() {
        let check = |text: &str, wanted: &[(usize, &str)]| {
            let mut faults = Faults::default();
            let value = Value::parse(text, &mut faults).to_string();
            let found: Vec<_> = faults.into_sorted().into_iter().map(|f| (f.span.start, f.message)).collect();
            let wanted: Vec<_> = wanted.iter().map(|(at, message)| (*at, (*message).to_owned())).collect();
            assert_eq!(found, wanted, "{text}");
            value
        };
        let comma = "expected `,` or a closing bracket, found `c`";
        let two = "expected `,` or a closing bracket, found `2`";
        assert_eq!(check("A(b: 1 c: 2)", &[(7, comma)]), "A(b:1,c:2)");
        assert_eq!(check("A(b: [1 2], d: 3 c: 4)", &[(8, two), (17, comma)]), "A(b:[1,2],d:3,c:4)");
        assert_eq!(check("A(b: [1, c: 2)", &[(10, "expected `]` before `:`")]), "?");
        assert_eq!(check("A(b: [1)", &[(7, "expected `]` before `)`")]), "A(b:[1])");
        assert_eq!(check("A(b: 1", &[(6, "expected `)` before the end of the file")]), "A(b:1)");
        assert_eq!(check("A(b: 1))", &[(7, "this `)` closes nothing")]), "?");
        assert_eq!(check("A(b: \"x, c: 1)", &[(5, "this text has no closing quote")]), "?");
        assert_eq!(check("A(b: 1) /* c", &[(8, "this comment has no end")]), "?");
        // Places behind a repair refer to the text as written.
        check("A(b: 1 c: 2, c: 'x')", &[(7, comma), (13, "`c` is given twice")]);
    }

    #[test]
    fn no_text_is_too_strange() {
        for text in [
            "",
            "(",
            ")",
            "\"",
            "[(",
            "\u{e9}(",
            "A(\u{e9}: 1 \u{e9})",
            "'",
            "/*",
            "A(r#\"x\"# b)",
            "'{ \"a\"",
            "\"\\\u{11400}\"",
            "(((((((((((((((((((((((((",
            &"X(".repeat(100_000),
            &format!("[{}", "(]".repeat(10_000)),
        ] {
            let _ = Value::parse(text, &mut Faults::default());
        }
    }
}
