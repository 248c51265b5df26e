//! Expressions over axes and metrics, in the Common Expression Language (crate `cel`).
//! Knows nothing of where the values come from.

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Program};

use super::size_limit::too_large;
use crate::text::fault::{Faults, Span};

/// A compiled expression and the names in it.
#[derive(Clone, Debug)]
pub struct Expression {
    /// The expression as written.
    pub text: String,
    /// The place of the expression in the text.
    pub span: Span,
    /// The names in the expression, each once.
    pub references: Vec<Reference>,
    /// The literals that names and their fields are compared with: `rounding == 'Stochastic'`.
    pub comparisons: Vec<LiteralComparison>,
    program: Arc<Program>,
}

/// A name in an expression: `e`, `accuracy.loss`, `format.e`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name before the dot.
    pub root: String,
    /// The name after the dot.
    pub member: Option<String>,
}

/// The path step that stands for an index into a list, as in `h[0]`.
pub const ITEM: &str = "[…]";

/// A comparison, by `==`, `!=` or `in`, of a name or one of its fields with a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralComparison {
    /// The name and the fields selected from it; [`ITEM`] for an item of a list.
    pub path: Vec<String>,
    /// The literal.
    pub literal: Literal,
}

/// A literal of an expression; numbers as text, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `'text'`.
    Text(String),
    /// `3`, `0.5`.
    Number(String),
    /// `true`, `false`.
    Truth(bool),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => f.write_str(number),
            Self::Truth(truth) => write!(f, "{truth}"),
        }
    }
}

/// The reason that an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unevaluated {
    /// The kind of the reason.
    pub cause: Cause,
    /// The mistake in words, with its fix.
    pub message: String,
}

/// The kinds of reasons that an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A map lacks this field.
    Lacks(String),
    /// A number does not fit: a divisor of zero, an index outside a list, a whole number beyond 64 bits. Another
    /// number of the same type may fit.
    Number,
    /// The types do not fit each other.
    Type,
}

impl Unevaluated {
    fn of_type(message: String) -> Self {
        Self { cause: Cause::Type, message }
    }
}

impl Expression {
    /// Compiles an expression; reports a fault if its syntax is wrong or it is too large.
    pub fn compile(text: &str, span: Span, faults: &mut Faults) -> Option<Self> {
        if let Some((message, hint)) = too_large(text) {
            faults.add(span, message, hint);
            return None;
        }
        match Program::compile(text) {
            Ok(program) => {
                let (mut references, mut comparisons) = (vec![], vec![]);
                collect(program.expression(), &mut vec![], &mut references, &mut comparisons);
                Some(Self {
                    text: text.to_owned(),
                    span,
                    references,
                    comparisons,
                    program: Arc::new(program),
                })
            }
            Err(errors) => {
                // Later errors mostly follow from the first.
                if let Some(error) = errors.errors.into_iter().min_by_key(|error| error.pos.1) {
                    // The parser counts columns from 1, which makes up for the opening quote.
                    let start = (span.start + error.pos.1.max(1) as usize).min(span.end);
                    let place = Span { start, end: span.end.max(start) };
                    let (message, hint) = translate(error.msg.lines().next().unwrap_or_default());
                    faults.add(place, format!("not an expression: {message}"), hint);
                }
                None
            }
        }
    }

    /// Returns the reference if the expression consists of nothing but one metric or field.
    #[must_use]
    pub fn plain(&self) -> Option<&Reference> {
        let [reference] = self.references.as_slice() else { return None };
        let member = reference.member.as_deref()?;
        let rest = self.text.trim().strip_prefix(&*reference.root)?.strip_prefix('.')?;
        (rest == member).then_some(reference)
    }

    /// Returns whether the expression uses this name, alone or before a dot.
    #[must_use]
    pub fn mentions(&self, root: &str) -> bool {
        self.references.iter().any(|reference| reference.root == root)
    }
}

/// The evaluator of expressions; its context is costly to set up, so it is made once and reused.
pub struct Evaluator {
    root: Context<'static, 'static>,
}

impl Evaluator {
    /// Makes an evaluator with the standard functions.
    #[must_use]
    pub fn new() -> Self {
        Self { root: Context::default() }
    }

    /// Evaluates an expression with these variables. The error contains the mistake and its fix.
    pub fn value(
        &self,
        expression: &Expression,
        variables: impl IntoIterator<Item = (String, cel::Value)>,
    ) -> Result<cel::Value, Unevaluated> {
        let mut scope = self.root.new_inner_scope();
        for (name, value) in variables {
            scope.add_variable_from_value(name, value);
        }
        expression.program.execute(&scope).map_err(|error| explain(&error, expression))
    }

    /// Evaluates an expression that must be true or false; any other type is an error.
    pub fn truth(
        &self,
        expression: &Expression,
        variables: impl IntoIterator<Item = (String, cel::Value)>,
    ) -> Result<bool, Unevaluated> {
        match self.value(expression, variables)? {
            cel::Value::Bool(truth) => Ok(truth),
            other => Err(Unevaluated::of_type(format!("it gives {}, not true or false", other.type_of()))),
        }
    }

    /// Evaluates an expression that must be a number; truth values count as 1 and 0.
    pub fn number(
        &self,
        expression: &Expression,
        variables: impl IntoIterator<Item = (String, cel::Value)>,
    ) -> Result<f64, Unevaluated> {
        match self.value(expression, variables)? {
            cel::Value::Float(number) => Ok(number),
            cel::Value::Int(number) => Ok(number as f64),
            cel::Value::UInt(number) => Ok(number as f64),
            cel::Value::Bool(truth) => Ok(f64::from(u8::from(truth))),
            other => Err(Unevaluated::of_type(format!("it gives {}, not a number", other.type_of()))),
        }
    }
}

impl Default for Evaluator {
    fn default() -> Self {
        Self::new()
    }
}

/// Translates the parser's message into plain words, with a hint.
fn translate(message: &str) -> (String, &'static str) {
    let example = "expressions are CEL: `e + m <= 8 && rounding == 'Nearest'`";
    let found = message.split('\'').nth(1).unwrap_or_default().trim();
    let hint = if found == "=" { "compare with `==`" } else { example };
    if message.contains("Recursion limit") {
        let message = "it nests more than 96 levels of brackets and conditions".to_owned();
        return (message, "take inner parts apart, or split the expression over columns");
    }
    let message = match found {
        "" => message.to_owned(),
        "<EOF>" => "it ends too early".to_owned(),
        _ => format!("`{found}` cannot stand here"),
    };
    (message, hint)
}

fn explain(error: &cel::ExecutionError, expression: &Expression) -> Unevaluated {
    let text = error.to_string();
    let lower = text.to_lowercase();
    if (lower.contains("int") && lower.contains("double"))
        || (lower.contains("int(") && lower.contains("float("))
    {
        let message = "it mixes whole and decimal numbers: metrics are decimal, and so is an axis with a decimal value; write `2.0` for `2`, or `double(e)`";
        return Unevaluated::of_type(message.to_owned());
    }
    match error {
        cel::ExecutionError::NoSuchKey(key) => {
            let of = |reference: &&Reference| reference.member.as_deref() == Some(key.as_str());
            let root = expression.references.iter().find(of).map_or("axis", |reference| &reference.root);
            let message = format!("a value has no field `{key}`: guard it with `has({root}.{key}) && …`");
            Unevaluated { cause: Cause::Lacks(key.to_string()), message }
        }
        cel::ExecutionError::DivisionByZero(_) | cel::ExecutionError::RemainderByZero(_) => {
            let message = "it divides a whole number by zero".to_owned();
            Unevaluated { cause: Cause::Number, message }
        }
        cel::ExecutionError::Overflow(..)
        | cel::ExecutionError::IndexOutOfBounds(_)
        | cel::ExecutionError::DuplicateKey(_)
        | cel::ExecutionError::FunctionError { .. } => Unevaluated { cause: Cause::Number, message: text },
        _ => Unevaluated::of_type(text),
    }
}

/// Returns the comparisons of a call with literals.
fn compared(call: &CallExpr) -> Vec<LiteralComparison> {
    let comparison = |path: &IdedExpr, literal: &IdedExpr| {
        Some(LiteralComparison { path: path_of(&path.expr)?, literal: literal_of(&literal.expr)? })
    };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
            comparison(one, other).or_else(|| comparison(other, one)).into_iter().collect()
        }
        (operators::IN, [one, IdedExpr { expr: Expr::List(list), .. }]) => {
            list.elements.iter().filter_map(|element| comparison(one, element)).collect()
        }
        _ => vec![],
    }
}

/// Returns the names of `a.b.c`, with [`ITEM`] for each index; `None` for any other expression.
fn path_of(expression: &Expr) -> Option<Vec<String>> {
    let (mut names, mut at) = (vec![], expression);
    loop {
        match at {
            Expr::Select(select) if !select.test => {
                names.push(select.field.clone());
                at = &select.operand.expr;
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                names.push(ITEM.to_owned());
                at = &call.args.first()?.expr;
            }
            Expr::Ident(root) => {
                names.push(root.clone());
                names.reverse();
                return Some(names);
            }
            _ => return None,
        }
    }
}

fn literal_of(expression: &Expr) -> Option<Literal> {
    let Expr::Literal(literal) = expression else { return None };
    Some(match literal {
        LiteralValue::String(text) => Literal::Text(text.inner().to_owned()),
        LiteralValue::Int(number) => Literal::Number(number.inner().to_string()),
        LiteralValue::UInt(number) => Literal::Number(number.inner().to_string()),
        LiteralValue::Double(number) => Literal::Number(number.inner().to_string()),
        LiteralValue::Boolean(truth) => Literal::Truth(*truth.inner()),
        LiteralValue::Bytes(_) | LiteralValue::Null => return None,
    })
}

fn collect(
    expression: &IdedExpr,
    bound: &mut Vec<String>,
    into: &mut Vec<Reference>,
    comparisons: &mut Vec<LiteralComparison>,
) {
    let mut add = |root: &str, member: Option<&str>, bound: &[String]| {
        let reference = Reference { root: root.to_owned(), member: member.map(str::to_owned) };
        if !root.starts_with('@') && !bound.iter().any(|name| name == root) && !into.contains(&reference) {
            into.push(reference);
        }
    };
    match &expression.expr {
        Expr::Ident(name) => add(name, None, bound),
        Expr::Select(select) => match &select.operand.expr {
            Expr::Ident(name) => add(name, Some(&select.field), bound),
            _ => collect(&select.operand, bound, into, comparisons),
        },
        Expr::Call(call) => {
            let is_free = |found: &LiteralComparison| !bound.contains(&found.path[0]);
            comparisons.extend(compared(call).into_iter().filter(is_free));
            call.target.iter().for_each(|target| collect(target, bound, into, comparisons));
            call.args.iter().for_each(|argument| collect(argument, bound, into, comparisons));
        }
        Expr::List(list) => {
            list.elements.iter().for_each(|element| collect(element, bound, into, comparisons));
        }
        Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                collect(&entry.key, bound, into, comparisons);
                collect(&entry.value, bound, into, comparisons);
            }
            EntryExpr::StructField(field) => collect(&field.value, bound, into, comparisons),
        }),
        Expr::Comprehension(all) => {
            collect(&all.iter_range, bound, into, comparisons);
            let before = bound.len();
            bound.extend([all.iter_var.clone(), all.accu_var.clone()]);
            bound.extend(all.iter_var2.clone());
            for part in [&all.accu_init, &all.loop_cond, &all.loop_step, &all.result] {
                collect(part, bound, into, comparisons);
            }
            bound.truncate(before);
        }
        Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Expression {
        Expression::compile(text, Span::default(), &mut Faults::default()).expect(text)
    }

    #[test]
    fn names_are_collected_once_and_bound_names_are_not() {
        let names = |text: &str| {
            let names = compile(text).references.into_iter();
            names
                .map(|r| r.root + r.member.map(|m| format!(".{m}")).as_deref().unwrap_or(""))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("1 + e + m <= 8 && e > 0"), ["e", "m"]);
        assert_eq!(names("full.accuracy - accuracy.accuracy"), ["full.accuracy", "accuracy.accuracy"]);
        assert_eq!(names("has(format.e) && format.e > 2"), ["format.e"]);
        assert_eq!(names("[1, 2].exists(x, x == e)"), ["e"]);
    }

    #[test]
    fn comparisons_with_literals_are_collected() {
        let check = |text: &str, expected: &[&str]| {
            let found = compile(text).comparisons.into_iter();
            let found: Vec<String> = found.map(|c| format!("{} {}", c.path.join("."), c.literal)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("rounding == 'Nearest' || !('A' != s) && e == 1", &["rounding 'Nearest'", "s 'A'", "e 1"]);
        check("a.format.kind == 'Float' || ['a'].exists(x, x == 'a')", &["a.format.kind 'Float'"]);
        check("h[0] == 'A' && s.sizes[1] != 2", &["h.[…] 'A'", "s.sizes.[…] 2"]);
        check("r in ['A', 'B'] && !(x in [0.5]) && t == true", &["r 'A'", "r 'B'", "x 0.5", "t true"]);
    }

    #[test]
    fn a_metric_alone_is_plain() {
        let member = |text: &str| compile(text).plain().and_then(|reference| reference.member.clone());
        assert_eq!(member(" accuracy.loss ").as_deref(), Some("loss"));
        for other in ["e", "-accuracy.loss", "accuracy.loss + accuracy.loss", "(accuracy.loss)", "a.b + c.d"]
        {
            assert_eq!(member(other), None, "{other}");
        }
    }

    #[test]
    fn whole_and_decimal_numbers_do_not_mix() {
        let variables = [("e".to_owned(), cel::Value::Float(2.5))];
        let error = Evaluator::new().truth(&compile("1 + e <= 8"), variables).expect_err("mixed");
        assert!(error.message.contains("2.0"), "{error}");
    }
}
