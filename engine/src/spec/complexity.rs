//! How large an expression may be, so that parsing and evaluating it never overflows the stack of a thread.
//! Knows brackets, texts and signs, and nothing of what they mean.

/// The most operators, brackets and selected fields of an expression.
const MOST_OPERATORS: usize = 1000;

/// The most brackets of an expression that stand in each other; the parser allows 96 levels of its own grammar.
const MOST_DEPTH: usize = 50;

/// Returns why an expression is too large to be read, and what to do. Parser and evaluator recurse once per bracket,
/// operator and selected field, so that long chains would overflow the stack of a thread.
pub(super) fn too_large(text: &str) -> Option<(String, &'static str)> {
    let (mut depth, mut operators, mut quote, mut before) = (0_usize, 0_usize, None, ' ');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => {
                (depth, operators) = (depth + 1, operators + 1);
                if depth > MOST_DEPTH {
                    let message = format!("brackets nest more than {MOST_DEPTH} deep in this expression");
                    return Some((message, "take inner brackets apart"));
                }
            }
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' | '?' | '.') => {
                // A sequence of `!` or `-` is one operator, and a point between digits is none.
                let is_none =
                    (matches!(c, '!' | '-') && before == c) || (c == '.' && before.is_ascii_digit());
                operators += usize::from(!is_none);
            }
            (Some(_) | None, _) => {}
        }
        before = c;
    }
    let message =
        || format!("this expression has {operators} operators, more than the {MOST_OPERATORS} allowed");
    (operators > MOST_OPERATORS).then(|| (message(), "split it over columns or constraints"))
}

#[cfg(test)]
mod tests {
    use super::super::expression::{Evaluator, Expression};
    use crate::text::fault::{Faults, Span};

    fn compile(text: &str) -> Expression {
        Expression::compile(text, Span::default(), &mut Faults::default()).expect(text)
    }

    #[test]
    fn expressions_that_would_overflow_a_stack_are_faults_at_their_place() {
        let check = |text: &str, expected: &str| {
            let mut faults = Faults::default();
            assert!(
                Expression::compile(text, Span { start: 3, end: 9 }, &mut faults).is_none(),
                "{expected}"
            );
            let [fault] = faults.into_sorted().try_into().expect("one fault");
            assert!(fault.message.contains(expected), "{}", fault.message);
            assert!(fault.span.start >= 3 && !fault.message.contains("ParseError"), "{fault:?}");
        };
        check(&vec!["a.b"; 9000].join("+"), "17999 operators");
        check(&vec!["e"; 20_000].join(" && "), "operators");
        check(&format!("a{}", ".b".repeat(5000)), "operators");
        check(&format!("a{}", "[0]".repeat(5000)), "operators");
        check(&"a ? 1 : ".repeat(400), "nests more than");
        check(&format!("{}1{}", "(".repeat(96), ")".repeat(96)), "brackets nest more than 50 deep");
        check(&format!("{}1{}", "{1:[".repeat(60), "]}".repeat(60)), "brackets nest more than 50 deep");
        // A long list, a text, a sequence of `!`, and fifty brackets are read.
        let list = (0..20_000).map(|n| format!("{n}.5")).collect::<Vec<_>>().join(",");
        for text in [
            format!("e in [{list}]"),
            format!("s == '{}'", "(a+b.c) \\' ".repeat(2000)),
            format!("{}true", "!".repeat(100_000)),
            format!("{}e{}", "(".repeat(50), ")".repeat(50)),
            vec!["a.b"; 500].join("+"),
        ] {
            compile(&text);
        }
    }

    #[test]
    fn the_longest_expression_is_evaluated_on_a_small_stack() {
        let sum = vec!["a.b"; 500].join("+");
        let deep = format!("{}e{}", "(".repeat(50), ")".repeat(50));
        let evaluate = move || {
            let metrics = std::collections::HashMap::from([("b".to_owned(), cel::Value::Float(1.0))]);
            let variables =
                [("a".to_owned(), cel::Value::from(metrics)), ("e".to_owned(), cel::Value::Int(7))];
            let of = |text: &str| Evaluator::new().number(&compile(text), variables.clone());
            (of(&sum), of(&deep))
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(evaluate).expect("a thread");
        assert_eq!(thread.join().expect("no overflow"), (Ok(500.0), Ok(7.0)));
    }
}
