//! Items of an experiment's text, with their comments, the words of their values, and how they stood on lines.
//! Knows no layout.

use crate::text::tokens::{Token, TokenKind};

/// A value: a word, or a group with the word before it.
#[derive(Debug, Default)]
pub(super) struct Node<'t> {
    /// The word, or that before the bracket; empty without one.
    pub(super) word: &'t str,
    pub(super) group: Option<Group<'t>>,
}

#[derive(Debug)]
pub(super) struct Group<'t> {
    pub(super) open: &'t str,
    pub(super) close: &'t str,
    pub(super) items: Vec<Item<'t>>,
    /// Comments before the closing bracket, on lines of their own.
    pub(super) last: Vec<Comment<'t>>,
    /// Whether the first item stood on the line of the opening bracket.
    pub(super) is_begun: bool,
}

#[derive(Debug, Default)]
pub(super) struct Item<'t> {
    /// Comments before the item, on lines of their own.
    pub(super) before: Vec<Comment<'t>>,
    /// Whether an empty line stood before the item and its comments.
    pub(super) is_apart: bool,
    /// Whether the item stood on the line on which the one before ends.
    pub(super) is_beside: bool,
    /// The name of a field or the key of a map.
    pub(super) key: Option<Node<'t>>,
    pub(super) value: Node<'t>,
    /// A comment behind the item, on its line.
    pub(super) behind: Option<&'t str>,
}

#[derive(Debug)]
pub(super) struct Comment<'t> {
    pub(super) text: &'t str,
    /// Whether an empty line stood before it.
    pub(super) is_apart: bool,
}

/// Reads tokens into groups.
pub(super) struct Reader<'r, 't> {
    tokens: &'r [Token<'t>],
    at: usize,
    /// The line breaks since the last token that is no space.
    breaks: usize,
}

impl<'r, 't> Reader<'r, 't> {
    pub(super) fn new(tokens: &'r [Token<'t>]) -> Self {
        Self { tokens, at: 0, breaks: 0 }
    }

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
    pub(super) fn items(&mut self, open: Option<&'t str>) -> Option<Group<'t>> {
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

impl Node<'_> {
    /// Returns the value on one line; `None` if it has to stand on several.
    pub(super) fn flat(&self) -> Option<String> {
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
    pub(super) fn flat(&self) -> Option<String> {
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
