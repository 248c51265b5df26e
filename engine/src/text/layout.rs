//! The layout of an experiment's text: indentation, spaces, line breaks and trailing commas. Values and comments stay as they
//! are, and in their order.
//!
//! A group stands on one line if it stood so and fits; else its items stand on lines of their own. Items that stood on one
//! line together stay together as far as they fit, and a list of words fills its lines. In a map each item has its line, and
//! the values are aligned. So are comments behind items.

mod items;
mod printer;

use items::Reader;
use printer::Printer;

use super::syntax::too_deep;
use super::tokens::{Token, TokenKind, tokens};

/// Returns the text in the layout of experiments; `None` if it has a mistake of syntax or nests too deep. The layout of a laid-out text is
/// itself.
#[must_use]
pub fn layout(text: &str) -> Option<String> {
    if too_deep(text).is_some() {
        return None;
    }
    let all = tokens(text)?;
    let root = Reader::new(&all).items(None)?;
    let mut printer = Printer::default();
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
