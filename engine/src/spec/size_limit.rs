//! The limit on the size of an expression, so that parsing and evaluating it never overflows the stack of a thread.
//! Knows the tokens of CEL, not their meaning.

/// The maximum number of operators, brackets and selected fields of an expression.
const MOST_OPERATORS: usize = 1000;

/// The maximum depth of brackets; the parser allows 96 levels of its own grammar.
const MOST_DEPTH: usize = 50;

/// Returns a message and a hint if an expression is too large. The parser and the evaluator recurse once per bracket,
/// operator and selected field, so long chains would overflow the stack of a thread.
pub(super) fn too_large(text: &str) -> Option<(String, &'static str)> {
    let (mut depth, mut operators, mut before) = (0_usize, 0_usize, Token::Value);
    for token in Tokens(text) {
        match token {
            Token::Open => {
                (depth, operators) = (depth + 1, operators + 1);
                if depth > MOST_DEPTH {
                    let message = format!("brackets nest more than {MOST_DEPTH} deep in this expression");
                    return Some((message, "take inner brackets apart"));
                }
            }
            Token::Close => depth = depth.saturating_sub(1),
            // A sequence of `!` or `-` is one operator.
            Token::Operator(sign) if matches!(sign, "!" | "-") && before == token => {}
            Token::Operator(_) => operators += 1,
            Token::Value => {}
        }
        before = token;
    }
    let message =
        || format!("this expression has {operators} operators, more than the {MOST_OPERATORS} allowed");
    (operators > MOST_OPERATORS).then(|| (message(), "split it over columns or constraints"))
}

/// The kinds of tokens that matter for the size of an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    /// `(`, `[`, `{`.
    Open,
    /// `)`, `]`, `}`.
    Close,
    /// An operator, or the dot before a field.
    Operator(&'t str),
    /// A name, a number, a text, or any other sign.
    Value,
}

/// The remaining tokens of an expression, as CEL's grammar divides it (`CEL.g4`). An invalid text is divided as by
/// the parser's error recovery: the quote alone, then the rest.
struct Tokens<'t>(&'t str);

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.0 = self.0.trim_start();
        while self.0.starts_with("//") {
            self.0 = self.0.find('\n').map_or("", |end| self.0[end..].trim_start());
        }
        let first = self.0.chars().next()?;
        if let Some(bytes) = value_bytes(self.0) {
            let value = self.take(bytes);
            return Some(if value == "in" { Token::Operator(value) } else { Token::Value });
        }
        let is_double = ["==", "!=", "<=", ">=", "&&", "||"].iter().any(|sign| self.0.starts_with(sign));
        let sign = self.take(if is_double { 2 } else { first.len_utf8() });
        Some(match first {
            '(' | '[' | '{' => Token::Open,
            ')' | ']' | '}' => Token::Close,
            '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' | '?' | '.' => {
                Token::Operator(sign)
            }
            _ => Token::Value,
        })
    }
}

impl<'t> Tokens<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }
}

/// Returns the length of the name, number or text at the beginning; `None` if there is none.
fn value_bytes(text: &str) -> Option<usize> {
    let word = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (prefix, rest) = text.split_at(word);
    let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let is_raw = matches!(prefix, "r" | "R" | "br" | "bR" | "Br" | "BR");
    if (is_raw || matches!(prefix, "b" | "B" | ""))
        && let Some(bytes) = text_bytes(rest, is_raw)
    {
        return Some(word + bytes);
    }
    match prefix {
        _ if (is_digit(prefix) || prefix.is_empty()) && rest.starts_with('.') && is_digit(&rest[1..]) => {
            Some(word + 1 + number_bytes(&rest[1..]))
        }
        _ if is_digit(prefix) => Some(number_bytes(text)),
        "" => None,
        _ => Some(word),
    }
}

/// Returns the length of the digits at the beginning, with an exponent or a suffix: `12`, `0x1F`, `5e-7`, `3u`.
fn number_bytes(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let bytes = digits(text);
    let (number, rest) = text.split_at(bytes);
    let has_exponent = number.ends_with(['e', 'E']) && !number.starts_with("0x");
    if has_exponent && rest.starts_with(['+', '-']) { bytes + 1 + digits(&rest[1..]) } else { bytes }
}

/// Returns the length of the text in single, double or tripled quotes at the beginning; `None` if there is no valid
/// text. A raw text has no escapes.
fn text_bytes(text: &str, is_raw: bool) -> Option<usize> {
    let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| text.starts_with(quote))?;
    let mut at = quote.len();
    loop {
        let rest = &text[at..];
        if rest.starts_with(quote) {
            return Some(at + quote.len());
        }
        at += match rest.chars().next()? {
            '\\' if !is_raw => escape_bytes(&rest[1..])? + 1,
            '\n' | '\r' if quote.len() == 1 => return None,
            c => c.len_utf8(),
        };
    }
}

/// Returns the length of an escape without its backslash; `None` if the escape is invalid.
fn escape_bytes(text: &str) -> Option<usize> {
    let digits =
        |count: usize, is: fn(&u8) -> bool| text.bytes().skip(1).take(count).filter(is).count() == count;
    match text.bytes().next()? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => Some(1),
        b'x' | b'X' if digits(2, u8::is_ascii_hexdigit) => Some(3),
        b'u' if digits(4, u8::is_ascii_hexdigit) => Some(5),
        b'U' if digits(8, u8::is_ascii_hexdigit) => Some(9),
        b'0'..=b'3' if digits(2, |byte| (b'0'..=b'7').contains(byte)) => Some(3),
        _ => None,
    }
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
        check(&vec!["e"; 20_000].join(" && "), "19999 operators");
        check(&vec!["e"; 20_000].join(" in "), "19999 operators");
        check(&vec!["e == 1"; 501].join("||"), "1001 operators");
        check(&format!("a{}", ".b".repeat(5000)), "5000 operators");
        check(&format!("a1{}", ".b1".repeat(5000)), "5000 operators");
        check(&format!("a{}", "[0]".repeat(5000)), "5000 operators");
        check(&format!("e // it's\n{}", " + e".repeat(5000)), "5000 operators");
        check(&format!("'\\q' + {}", vec!["e"; 5000].join("+")), "5000 operators");
        check(&format!("' + {}", vec!["e"; 5000].join("+")), "5000 operators");
        check(&format!("r'\\' + {}", vec!["e"; 5000].join("+")), "5000 operators");
        check(&format!("'''it's''' + {}", vec!["e"; 5000].join("+")), "5000 operators");
        check(&"a ? 1 : ".repeat(400), "nests more than");
        check(&format!("{}1{}", "(".repeat(96), ")".repeat(96)), "brackets nest more than 50 deep");
        check(&format!("{}1{}", "{1:[".repeat(60), "]}".repeat(60)), "brackets nest more than 50 deep");
        // A long list, a text, a sequence of `!`, and fifty nested brackets are within the limits.
        let list = (0..20_000).map(|n| format!("{n}.5")).collect::<Vec<_>>().join(",");
        for text in [
            format!("e in [{list}]"),
            format!("s == '{}'", "(a+b.c) \\' ".repeat(2000)),
            format!("{}true", "!".repeat(100_000)),
            format!("{}e{}", "(".repeat(50), ")".repeat(50)),
            vec!["a.b"; 500].join("+"),
            vec!["e == 1"; 500].join(" || "),
            format!("e in [{}]", vec!["1e-7"; 2000].join(",")),
            "0xE-1 + 1.5 - .5 // a comment that ends the text".to_owned(),
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
