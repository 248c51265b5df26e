//! The layout of an experiment's text: indentation, spaces, line breaks and trailing commas. Values and comments stay as they
//! are, and in their order.
//!
//! A group stands on one line if it stood so and fits; else its items stand on lines of their own. Items that stood on one
//! line together stay together as far as they fit, and a list of words fills its lines. In a map each item has its line, and
//! the values are aligned. So are comments behind items.

use super::syntax::too_deep;
use super::tokens::{Token, TokenKind, tokens};

/// The widest line.
const WIDTH: usize = 120;
/// The spaces of a level.
const INDENT: usize = 4;
/// The most spaces that align a value with those beside it.
const MOST_SPACES: usize = 8;

/// A value: a word, or a group with the word before it.
#[derive(Debug, Default)]
struct Node<'t> {
    /// The word, or that before the bracket; empty without one.
    word: &'t str,
    group: Option<Group<'t>>,
}

#[derive(Debug)]
struct Group<'t> {
    open: &'t str,
    close: &'t str,
    items: Vec<Item<'t>>,
    /// Comments before the closing bracket, on lines of their own.
    last: Vec<Comment<'t>>,
    /// Whether the first item stood on the line of the opening bracket.
    is_begun: bool,
}

#[derive(Debug, Default)]
struct Item<'t> {
    /// Comments before the item, on lines of their own.
    before: Vec<Comment<'t>>,
    /// Whether an empty line stood before the item and its comments.
    is_apart: bool,
    /// Whether the item stood on the line on which the one before ends.
    is_beside: bool,
    /// The name of a field or the key of a map.
    key: Option<Node<'t>>,
    value: Node<'t>,
    /// A comment behind the item, on its line.
    behind: Option<&'t str>,
}

#[derive(Debug)]
struct Comment<'t> {
    text: &'t str,
    /// Whether an empty line stood before it.
    is_apart: bool,
}

/// Returns the text in the layout of experiments; `None` if it has a mistake of syntax or nests too deep. The layout of a laid-out text is
/// itself.
#[must_use]
pub fn layout(text: &str) -> Option<String> {
    if too_deep(text).is_some() {
        return None;
    }
    let all = tokens(text)?;
    let mut reader = Reader { tokens: &all, at: 0, breaks: 0 };
    let root = reader.items(None)?;
    let mut printer = Printer { out: String::new() };
    for (at, item) in root.items.iter().enumerate() {
        printer.leave_line(0, at > 0 && item.is_apart);
        printer.comments(&item.before, 0);
        printer.item(item, 0, 0, 0);
        if let Some(comment) = item.behind {
            printer.out += "  ";
            printer.out += comment;
        }
    }
    for (at, comment) in root.last.iter().enumerate() {
        printer.leave_line(0, comment.is_apart && (at > 0 || !root.items.is_empty()));
        printer.out += comment.text.trim_end();
    }
    let mut laid: String = printer.out.trim_start().trim_end().to_owned();
    laid.push('\n');
    Some(laid)
}

/// Reads tokens into groups.
struct Reader<'r, 't> {
    tokens: &'r [Token<'t>],
    at: usize,
    /// The line breaks since the last token that is no space.
    breaks: usize,
}

impl<'t> Reader<'_, 't> {
    /// Returns the next token that is no space, and counts the line breaks before it.
    fn next(&mut self) -> Option<Token<'t>> {
        self.breaks = 0;
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            if token.kind != TokenKind::Space {
                return Some(token);
            }
            self.breaks += token.text.matches('\n').count();
        }
        None
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens[self.at..].iter().find(|token| token.kind != TokenKind::Space).copied()
    }

    /// Reads the items of a group up to its closing bracket, or those of the file.
    fn items(&mut self, open: Option<&'t str>) -> Option<Group<'t>> {
        let mut group =
            Group { open: open.unwrap_or_default(), close: "", items: vec![], last: vec![], is_begun: false };
        let mut item = Item::default();
        // Whether the item has begun, and whether its value was read.
        let (mut has_begun, mut has_value, mut is_first) = (false, false, true);
        // Comments between a value and its comma belong to what follows.
        let mut after = vec![];
        loop {
            let Some(token) = self.next() else {
                if open.is_some() {
                    return None;
                }
                group.end(item, has_value, after);
                return Some(group);
            };
            let breaks = self.breaks;
            if std::mem::take(&mut is_first) {
                group.is_begun = breaks == 0 && token.kind != TokenKind::Close;
            }
            match token.kind {
                TokenKind::Space => {}
                TokenKind::LineComment | TokenKind::BlockComment => {
                    let text = token.text.trim_end();
                    match (has_value, group.items.last_mut()) {
                        // Behind a value, before its comma.
                        (true, _) if breaks == 0 && item.behind.is_none() => item.behind = Some(text),
                        // Behind the comma.
                        (false, Some(last)) if breaks == 0 && !has_begun && last.behind.is_none() => {
                            last.behind = Some(text);
                        }
                        _ => {
                            let comments = if has_value { &mut after } else { &mut item.before };
                            comments.push(Comment { text, is_apart: breaks > 1 });
                        }
                    }
                }
                TokenKind::Comma => {
                    if !has_value || open.is_none() {
                        return None;
                    }
                    let before = std::mem::take(&mut after);
                    group.items.push(std::mem::replace(&mut item, Item { before, ..Item::default() }));
                    (has_begun, has_value) = (false, false);
                }
                TokenKind::Colon => {
                    item.before.append(&mut after);
                    if !has_value || item.key.is_some() || open.is_none() {
                        return None;
                    }
                    item.key = Some(std::mem::take(&mut item.value));
                    has_value = false;
                }
                TokenKind::Close => {
                    let fits =
                        matches!((open, token.text), (Some("("), ")") | (Some("["), "]") | (Some("{"), "}"));
                    if !fits || (has_begun && !has_value) {
                        return None;
                    }
                    group.close = token.text;
                    group.end(item, has_value, after);
                    return Some(group);
                }
                TokenKind::Open | TokenKind::Word => {
                    if has_value {
                        // Only the file holds values without a comma between them: attributes before the experiment.
                        if open.is_some() {
                            return None;
                        }
                        let before = std::mem::take(&mut after);
                        group.items.push(std::mem::replace(&mut item, Item { before, ..Item::default() }));
                        has_begun = false;
                    }
                    if !has_begun {
                        item.is_apart = item.before.first().map_or(breaks > 1, |comment| comment.is_apart);
                        item.is_beside = breaks == 0 && item.before.is_empty();
                        if let Some(first) = item.before.first_mut() {
                            first.is_apart = false;
                        }
                        has_begun = true;
                    }
                    item.value = self.node(token)?;
                    has_value = true;
                }
            }
        }
    }

    fn node(&mut self, token: Token<'t>) -> Option<Node<'t>> {
        if token.kind == TokenKind::Open {
            return Some(Node { word: "", group: Some(self.items(Some(token.text))?) });
        }
        let opens = self.peek().is_some_and(|next| next.kind == TokenKind::Open);
        let group = if opens && !token.text.starts_with(['"', '\'']) {
            let open = self.next()?;
            Some(self.items(Some(open.text))?)
        } else {
            None
        };
        Some(Node { word: token.text, group })
    }
}

impl<'t> Group<'t> {
    /// Takes the last item, if it has a value, and the comments behind it.
    fn end(&mut self, item: Item<'t>, has_value: bool, after: Vec<Comment<'t>>) {
        if has_value {
            self.items.push(item);
            self.last = after;
        } else {
            self.last = item.before;
        }
    }
}

struct Printer {
    out: String,
}

impl Printer {
    /// Ends the line, unless nothing was written yet, and indents the next one.
    fn leave_line(&mut self, indent: usize, is_apart: bool) {
        if !self.out.is_empty() {
            self.out.truncate(self.out.trim_end_matches(' ').len());
            self.out += if is_apart { "\n\n" } else { "\n" };
        }
        self.out += &" ".repeat(indent);
    }

    /// Returns the width of the line so far.
    fn column(&self) -> usize {
        self.out.rsplit('\n').next().unwrap_or_default().chars().count()
    }

    /// Writes comments, each followed by a new line. The place is at the beginning of a line.
    fn comments(&mut self, comments: &[Comment<'_>], indent: usize) {
        for (at, comment) in comments.iter().enumerate() {
            if at > 0 && comment.is_apart {
                // The line is fresh already.
                self.leave_line(indent, false);
            }
            self.out += comment.text;
            self.leave_line(indent, false);
        }
    }

    /// Writes an item without its comments; `after` is the width of what follows on the line, `spaces` aligns the value.
    fn item(&mut self, item: &Item<'_>, indent: usize, after: usize, spaces: usize) {
        if let Some(key) = &item.key {
            self.node(key, indent, after);
            self.out += ": ";
            self.out += &" ".repeat(spaces);
        }
        self.node(&item.value, indent, after);
    }

    fn node(&mut self, node: &Node<'_>, indent: usize, after: usize) {
        let flat = node.flat();
        let room = WIDTH.saturating_sub(self.column() + after);
        if let Some(flat) = flat.filter(|flat| node.group.is_none() || flat.chars().count() <= room) {
            self.out += &flat;
            return;
        }
        self.out += node.word;
        if let Some(group) = &node.group {
            self.group(group, indent);
        }
    }

    fn group(&mut self, group: &Group<'_>, indent: usize) {
        let inner = indent + INDENT;
        self.out += group.open;
        // A value in a value, `Layers([…])`, takes no level of its own.
        if let [item] = group.items.as_slice()
            && group.is_begun
            && group.last.is_empty()
            && item.key.is_none()
            && item.behind.is_none()
            && item.before.is_empty()
        {
            self.node(&item.value, indent, 1);
            self.out += group.close;
            return;
        }
        let is_map = group.open == "{";
        let aligned = if is_map { aligned(group) } else { vec![0; group.items.len()] };
        let is_word = |item: &Item<'_>| item.key.is_none() && item.value.group.is_none();
        let fills = group.is_begun && group.open == "[" && group.items.iter().all(is_word);
        let mut line: Vec<(usize, &str)> = vec![];
        for (at, item) in group.items.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &group.items[before]);
            let is_beside = before.is_some_and(|before| {
                let stood_together = item.is_beside && (!group.is_begun || fills) && !is_map;
                stood_together && before.behind.is_none() && before.flat().is_some()
            });
            let width = item.flat().map(|flat| flat.chars().count() + 2);
            let fits = |column: usize| width.is_some_and(|width| column + width <= WIDTH);
            if is_beside && fits(self.column()) {
                self.out.push(' ');
            } else {
                self.leave_line(inner, at > 0 && item.is_apart);
                self.comments(&item.before, inner);
            }
            self.item(item, inner, 1, aligned[at]);
            self.out.push(',');
            if let Some(comment) = item.behind {
                line.push((self.out.len(), comment));
                // The comments of lines that follow each other are aligned once the last of them is written.
                let next = group.items.get(at + 1);
                let goes_on = next.is_some_and(|next| {
                    next.behind.is_some() && next.before.is_empty() && !next.is_apart && next.flat().is_some()
                });
                if !goes_on {
                    self.comments_behind(std::mem::take(&mut line));
                }
            }
        }
        for (at, comment) in group.last.iter().enumerate() {
            self.leave_line(inner, comment.is_apart && (at > 0 || !group.items.is_empty()));
            self.out += comment.text;
        }
        self.leave_line(indent, false);
        self.out += group.close;
    }

    /// Inserts comments at the ends of lines, one below the other.
    fn comments_behind(&mut self, comments: Vec<(usize, &str)>) {
        let column = |at: usize, out: &str| out[..at].rsplit('\n').next().unwrap_or_default().chars().count();
        let columns: Vec<usize> = comments.iter().map(|(at, _)| column(*at, &self.out)).collect();
        let widest = columns.iter().copied().max().unwrap_or(0);
        for ((at, comment), column) in comments.into_iter().zip(columns).rev() {
            self.out.insert_str(at, &format!("{}  {comment}", " ".repeat(widest - column)));
        }
    }
}

/// Returns the spaces that align the value of each item of a map.
fn aligned(group: &Group<'_>) -> Vec<usize> {
    let width = |item: &Item<'_>| item.key.as_ref().and_then(Node::flat).map_or(0, |key| key.chars().count());
    let narrow = group.items.iter().map(width).min().unwrap_or(0);
    let widths = group.items.iter().map(width);
    let widest = widths.filter(|width| *width <= narrow + MOST_SPACES).max().unwrap_or(0);
    group.items.iter().map(|item| widest.saturating_sub(width(item))).collect()
}

impl Node<'_> {
    /// Returns the value on one line; `None` if it has to stand on several.
    fn flat(&self) -> Option<String> {
        let Some(group) = &self.group else { return Some(self.word.to_owned()) };
        let is_whole = group.items.is_empty() || group.is_begun;
        if !is_whole || !group.last.is_empty() || group.items.iter().any(|item| item.behind.is_some()) {
            return None;
        }
        let items = group.items.iter().map(Item::flat).collect::<Option<Vec<String>>>()?;
        Some(format!("{}{}{}{}", self.word, group.open, items.join(", "), group.close))
    }
}

impl Item<'_> {
    /// Returns the item on one line; `None` if it has to stand on several, or has a comment.
    fn flat(&self) -> Option<String> {
        if !self.before.is_empty() {
            return None;
        }
        let value = self.value.flat()?;
        match &self.key {
            Some(key) => Some(format!("{}: {value}", key.flat()?)),
            None => Some(value),
        }
    }
}

/// Returns whether two texts differ in spaces, line breaks and trailing commas only.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    let split = |text| {
        let all = tokens(text)?;
        let (comments, mut others): (Vec<Token<'_>>, Vec<Token<'_>>) = all
            .into_iter()
            .filter(|token| token.kind != TokenKind::Space)
            .partition(|token| matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment));
        let mut comments: Vec<&str> = comments.into_iter().map(|token| token.text.trim_end()).collect();
        comments.sort_unstable();
        let is_trailing = |at: usize, of: &[Token<'_>]| {
            of[at].kind == TokenKind::Comma && of.get(at + 1).is_none_or(|next| next.kind == TokenKind::Close)
        };
        let trailing: Vec<bool> = (0..others.len()).map(|at| is_trailing(at, &others)).collect();
        let mut trailing = trailing.into_iter();
        others.retain(|_| !trailing.next().unwrap_or(false));
        Some((comments, others))
    };
    match (split(one), split(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(layout(text).as_deref(), Some(expected), "{text}");
        assert_eq!(layout(expected).as_deref(), Some(expected), "of itself");
        assert!(is_same(text, expected));
    }

    #[test]
    fn groups_that_fit_stay_on_their_line() {
        check("A( b :1,c:[ 2,3 , ],)", "A(b: 1, c: [2, 3])\n");
        check("A(\n b: 1, c: [2,\n3])", "A(\n    b: 1, c: [2, 3],\n)\n");
        check("A(\nb: {\"x\": 1,\n\n\n\n\"y\": 2})", "A(\n    b: {\"x\": 1, \"y\": 2},\n)\n");
        check("#![enable(implicit_some)]\nA()", "#![enable(implicit_some)]\nA()\n");
    }

    #[test]
    fn groups_that_do_not_fit_have_an_item_on_each_line() {
        let word = "w".repeat(70);
        check(&format!("A(b: {word}, c: {word})"), &format!("A(\n    b: {word},\n    c: {word},\n)\n"));
    }

    #[test]
    fn a_list_of_words_fills_its_lines() {
        let words = vec!["w".repeat(30); 5].join(", ");
        let three = vec!["w".repeat(30); 3].join(", ");
        let two = vec!["w".repeat(30); 2].join(", ");
        check(&format!("A([{words}])"), &format!("A([\n    {three},\n    {two},\n])\n"));
    }

    #[test]
    fn items_that_stood_together_stay_together() {
        check(
            "A([\nConv(1), Relu,\n  Conv(2),Relu,  // twice\n\n  Linear(3)])",
            "A([\n    Conv(1), Relu,\n    Conv(2), Relu,  // twice\n\n    Linear(3),\n])\n",
        );
    }

    #[test]
    fn values_of_maps_and_comments_are_aligned() {
        check(
            "E(\na: {\n\"a\": 1, // one\n\"long\": [2,3], // two\n// apart\n\"much longer than the rest\": {\n\"x\": 4}, \"b\": 5})",
            "E(
    a: {
        \"a\":    1,       // one
        \"long\": [2, 3],  // two
        // apart
        \"much longer than the rest\": {
            \"x\": 4,
        },
        \"b\":    5,
    },
)
",
        );
    }

    #[test]
    fn comments_stay_where_they_belong() {
        check(
            "// first\n\n// second\nA(\n\n// before\nb: 1 // behind\n, /* too */\n// last\n)\n// end\n",
            "// first\n\n// second\nA(\n    // before\n    b: 1,  // behind\n    /* too */\n    // last\n)\n// end\n",
        );
        check("A(b: // why\n1)", "A(\n    // why\n    b: 1,\n)\n");
    }

    #[test]
    fn mistakes_of_syntax_have_no_layout() {
        for text in ["A(", "A(b: 1 c: 2)", "A(]", "\"", "A(b:)", "A(,)", "A(b: 1: 2)", "A(),", "A: 1"] {
            assert_eq!(layout(text), None, "{text}");
        }
        assert_eq!(layout(&"(".repeat(100_000)), None);
        assert_eq!(layout("").as_deref(), Some("\n"));
    }

    #[test]
    fn the_experiments_of_the_repository_are_laid_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../experiments");
        for entry in std::fs::read_dir(folder).expect("experiments") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a text");
            assert_eq!(layout(&text).as_deref(), Some(text.as_str()), "{}", path.display());
        }
    }

    /// Texts of values with comments, spaces and line breaks anywhere.
    fn text() -> impl Strategy<Value = String> {
        let space = prop_oneof![
            Just(""),
            Just(" "),
            Just("\n"),
            Just("\n\n\n"),
            Just(" // c\n"),
            Just("/* d */"),
            Just("\n\n// e\n  ")
        ];
        let word = prop_oneof![
            Just("a".to_owned()),
            Just("-1.5e3".to_owned()),
            Just("\"t, // (\"".to_owned()),
            Just("w".repeat(50))
        ];
        word.prop_recursive(4, 40, 5, move |inner| {
            let item = (
                prop::option::of(prop_oneof![Just("k"), Just("\"key\"")]),
                inner,
                space.clone(),
                space.clone(),
                space.clone(),
            );
            (
                prop_oneof![Just("A("), Just("("), Just("["), Just("{")],
                prop::collection::vec(item, 0..6),
                space.clone(),
                any::<bool>(),
            )
                .prop_map(|(open, items, end, comma)| {
                    let close = match open {
                        "[" => "]",
                        "{" => "}",
                        _ => ")",
                    };
                    let mut text = open.to_owned();
                    for (at, (key, value, before, between, after)) in items.iter().enumerate() {
                        text += before;
                        if let Some(key) = key {
                            text += &format!("{key}{between}:{between}");
                        }
                        text += &format!("{value}{after}");
                        if at + 1 < items.len() || comma {
                            text.push(',');
                        }
                    }
                    text + end + close
                })
        })
    }

    proptest! {
        #[test]
        fn a_layout_keeps_values_and_comments_and_is_its_own_layout(text in text()) {
            let laid = layout(&text).expect("no mistake of syntax");
            prop_assert!(is_same(&text, &laid), "{}", laid);
            prop_assert_eq!(layout(&laid), Some(laid.clone()), "{}", laid);
            prop_assert!(laid.lines().all(|line| line.trim_end() == line), "{}", laid);
        }
    }
}
