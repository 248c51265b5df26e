//! Expressions over axes and metrics, in the Common Expression Language (crate `cel`).
//! Knows nothing of where the values come from.

use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Program};

use crate::text::fault::{Faults, Span};

/// A compiled expression and the names in it.
#[derive(Clone, Debug)]
pub struct Expression {
    /// The expression as written.
    pub text: String,
    /// Where it is written.
    pub span: Span,
    /// The names it refers to, each once.
    pub references: Vec<Reference>,
    /// What names alone are compared with: `rounding == 'Stochastic'`.
    pub comparisons: Vec<Comparison>,
    program: Arc<Program>,
}

/// A name in an expression: `e`, `accuracy.loss`, `format.e`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name before the dot.
    pub root: String,
    /// The name after it.
    pub member: Option<String>,
}

/// A name that is compared, by `==` or `!=`, with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The name.
    pub root: String,
    /// The text.
    pub text: String,
}

impl Expression {
    /// Compiles an expression, or reports why it cannot be.
    pub fn compile(text: &str, span: Span, faults: &mut Faults) -> Option<Self> {
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
                // Those after the first are mostly its consequences.
                if let Some(error) = errors.errors.into_iter().min_by_key(|error| error.pos.1) {
                    // Columns count from the opening quote.
                    let start = (span.start + error.pos.1.max(1) as usize).min(span.end);
                    let place = Span { start, end: span.end.max(start) };
                    let (message, hint) = translate(error.msg.lines().next().unwrap_or_default());
                    faults.add(place, format!("not an expression: {message}"), hint);
                }
                None
            }
        }
    }

    /// Returns the metric or field that the expression is, where it is nothing else.
    #[must_use]
    pub fn plain(&self) -> Option<&Reference> {
        let [reference] = self.references.as_slice() else { return None };
        let member = reference.member.as_deref()?;
        let rest = self.text.trim().strip_prefix(&*reference.root)?.strip_prefix('.')?;
        (rest == member).then_some(reference)
    }

    /// Returns whether the expression uses this name before a dot or alone.
    #[must_use]
    pub fn mentions(&self, root: &str) -> bool {
        self.references.iter().any(|reference| reference.root == root)
    }
}

/// Evaluates expressions; what is costly to set up is set up once.
pub struct Evaluator {
    root: Context<'static, 'static>,
}

impl Evaluator {
    /// Makes an evaluator with the standard functions.
    #[must_use]
    pub fn new() -> Self {
        Self { root: Context::default() }
    }

    /// Evaluates an expression with these variables; the error says what does not fit, and the fix.
    pub fn value(
        &self,
        expression: &Expression,
        variables: impl IntoIterator<Item = (String, cel::Value)>,
    ) -> Result<cel::Value, String> {
        let mut scope = self.root.new_inner_scope();
        for (name, value) in variables {
            scope.add_variable_from_value(name, value);
        }
        expression.program.execute(&scope).map_err(|error| explain(&error, expression))
    }

    /// Evaluates an expression that must be true or false.
    pub fn truth(
        &self,
        expression: &Expression,
        variables: impl IntoIterator<Item = (String, cel::Value)>,
    ) -> Result<bool, String> {
        match self.value(expression, variables)? {
            cel::Value::Bool(truth) => Ok(truth),
            other => Err(format!("it gives {}, not true or false", other.type_of())),
        }
    }

    /// Evaluates an expression that must be a number; truth values count as 1 and 0.
    pub fn number(
        &self,
        expression: &Expression,
        variables: impl IntoIterator<Item = (String, cel::Value)>,
    ) -> Result<f64, String> {
        match self.value(expression, variables)? {
            cel::Value::Float(number) => Ok(number),
            cel::Value::Int(number) => Ok(number as f64),
            cel::Value::UInt(number) => Ok(number as f64),
            cel::Value::Bool(truth) => Ok(f64::from(u8::from(truth))),
            other => Err(format!("it gives {}, not a number", other.type_of())),
        }
    }
}

impl Default for Evaluator {
    fn default() -> Self {
        Self::new()
    }
}

/// Says in plain words what the parser says in its own, and what to do.
fn translate(message: &str) -> (String, &'static str) {
    let example = "expressions are CEL: `e + m <= 8 && rounding == 'Nearest'`";
    let found = message.split('\'').nth(1).unwrap_or_default().trim();
    let hint = if found == "=" { "compare with `==`" } else { example };
    let message = match found {
        "" => message.to_owned(),
        "<EOF>" => "it ends too early".to_owned(),
        _ => format!("`{found}` cannot stand here"),
    };
    (message, hint)
}

fn explain(error: &cel::ExecutionError, expression: &Expression) -> String {
    let text = error.to_string();
    let lower = text.to_lowercase();
    if (lower.contains("int") && lower.contains("double"))
        || (lower.contains("int(") && lower.contains("float("))
    {
        return "it mixes whole and decimal numbers: metrics are decimal, and so is an axis with a decimal value; write `2.0` for `2`, or `double(e)`"
            .to_owned();
    }
    match error {
        cel::ExecutionError::NoSuchKey(key) => {
            let of = |reference: &&Reference| reference.member.as_deref() == Some(key.as_str());
            let root = expression.references.iter().find(of).map_or("axis", |reference| &reference.root);
            format!("a value has no field `{key}`: guard it with `has({root}.{key}) && …`")
        }
        _ => text,
    }
}

/// Returns the name and the text of a call that compares the two.
fn comparison(call: &CallExpr) -> Option<Comparison> {
    if call.func_name != operators::EQUALS && call.func_name != operators::NOT_EQUALS {
        return None;
    }
    match call.args.as_slice() {
        [
            IdedExpr { expr: Expr::Ident(root), .. },
            IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. },
        ]
        | [
            IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. },
            IdedExpr { expr: Expr::Ident(root), .. },
        ] => Some(Comparison { root: root.clone(), text: text.inner().to_owned() }),
        _ => None,
    }
}

fn collect(
    expression: &IdedExpr,
    bound: &mut Vec<String>,
    into: &mut Vec<Reference>,
    compared: &mut Vec<Comparison>,
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
            _ => collect(&select.operand, bound, into, compared),
        },
        Expr::Call(call) => {
            let free = |found: &Comparison| !bound.contains(&found.root);
            compared.extend(comparison(call).filter(free));
            call.target.iter().for_each(|target| collect(target, bound, into, compared));
            call.args.iter().for_each(|argument| collect(argument, bound, into, compared));
        }
        Expr::List(list) => list.elements.iter().for_each(|element| collect(element, bound, into, compared)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                collect(&entry.key, bound, into, compared);
                collect(&entry.value, bound, into, compared);
            }
            EntryExpr::StructField(field) => collect(&field.value, bound, into, compared),
        }),
        Expr::Comprehension(all) => {
            collect(&all.iter_range, bound, into, compared);
            let before = bound.len();
            bound.extend([all.iter_var.clone(), all.accu_var.clone()]);
            bound.extend(all.iter_var2.clone());
            for part in [&all.accu_init, &all.loop_cond, &all.loop_step, &all.result] {
                collect(part, bound, into, compared);
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
    fn comparisons_of_names_with_texts_are_collected() {
        let compared = |text: &str| -> Vec<String> {
            compile(text).comparisons.into_iter().map(|c| format!("{} {}", c.root, c.text)).collect()
        };
        assert_eq!(compared("rounding == 'Nearest' || !('A' != s) && e == 1"), ["rounding Nearest", "s A"]);
        assert_eq!(compared("format.kind == 'Float' || ['a'].exists(x, x == 'a')"), [""; 0]);
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
        assert!(error.contains("2.0"), "{error}");
    }
}
