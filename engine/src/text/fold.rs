//! The parts of a text that an editor can fold. Knows tokens, and no grammar: half-written texts fold too.

use super::tokens::{TokenKind, tokens};

/// A part of several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The first line, from 0; it stays visible.
    pub first: usize,
    /// The last line that is hidden.
    pub last: usize,
    /// The kind.
    pub kind: FoldKind,
}

/// The kind of a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldKind {
    /// A pair of brackets; the line of the closing one stays visible.
    Brackets,
    /// A comment, or comments on lines that follow each other.
    Comment,
}

/// Returns the folds of a text, by their first lines; none if a text in quotes or a comment has no end.
#[must_use]
pub fn folds(text: &str) -> Vec<Fold> {
    let mut folds = vec![];
    let mut open = vec![];
    let mut line = 0;
    // Whether a token stands before on the line; a comment behind one belongs to that line alone.
    let mut is_behind = false;
    // The comments on lines that follow each other, so far.
    let mut comment: Option<Fold> = None;
    for token in tokens(text).unwrap_or_default() {
        let last = line + token.text.matches('\n').count();
        match token.kind {
            TokenKind::Open => open.push(line),
            TokenKind::Close => {
                let pair = open.pop().filter(|first| line > first + 1);
                folds.extend(pair.map(|first| Fold { first, last: line - 1, kind: FoldKind::Brackets }));
            }
            TokenKind::LineComment | TokenKind::BlockComment if is_behind => {}
            TokenKind::LineComment | TokenKind::BlockComment => match &mut comment {
                Some(comment) if comment.last + 1 == line => comment.last = last,
                _ => folds.extend(comment.replace(Fold { first: line, last, kind: FoldKind::Comment })),
            },
            TokenKind::Comma | TokenKind::Colon | TokenKind::Word | TokenKind::Space => {}
        }
        is_behind = if last > line {
            token.kind != TokenKind::Space
        } else {
            is_behind || token.kind != TokenKind::Space
        };
        line = last;
    }
    folds.extend(comment);
    folds.retain(|fold| fold.last > fold.first);
    folds.sort_by_key(|fold| (fold.first, fold.last));
    folds.dedup();
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_comments_of_several_lines_fold() {
        let text = "// a\n// b\nX(\n  y: [1, 2],\n  z: {\n    1: 2,\n  },\n  // c\n)\n/* d\n e */\n(";
        let told: Vec<(usize, usize, FoldKind)> =
            folds(text).into_iter().map(|fold| (fold.first, fold.last, fold.kind)).collect();
        let expected = [
            (0, 1, FoldKind::Comment),
            (2, 7, FoldKind::Brackets),
            (4, 5, FoldKind::Brackets),
            (9, 10, FoldKind::Comment),
        ];
        assert_eq!(told, expected);
        assert_eq!(folds("\"without an end"), []);
        assert_eq!(folds("(a: 1, // x\nb: 2, // y\n)").len(), 1, "comments behind items do not fold");
        assert_eq!(folds("A(B([\n1\n]))").len(), 1, "equal folds are one");
    }
}
