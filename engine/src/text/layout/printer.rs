//! The printer of items: writes groups on one line where they stood so and fit, else on several.
//! Knows no token.

use super::items::{Comment, Group, Item, Node};

/// The widest line.
const WIDTH: usize = 120;
/// The spaces of a level.
const INDENT: usize = 4;
/// The most spaces that align a value with those beside it.
const MOST_SPACES: usize = 8;

#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: String,
}

impl Printer {
    /// Ends the line, unless nothing was written yet, and indents the next one.
    pub(super) fn leave_line(&mut self, indent: usize, is_apart: bool) {
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
    pub(super) fn comments(&mut self, comments: &[Comment<'_>], indent: usize) {
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
    pub(super) fn item(&mut self, item: &Item<'_>, indent: usize, after: usize, spaces: usize) {
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
