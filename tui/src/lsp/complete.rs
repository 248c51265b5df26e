//! Completion: what can stand at a place of a text. The readers say it: they are run on the text with the word at the place
//! left out or replaced.
//! Knows no field by name.

use fewbits_engine::ops::Ops;
use fewbits_engine::reading::Expectations;
use fewbits_engine::text::fault::{Faults, Span};
use fewbits_engine::text::note::{Asked, Need};
use fewbits_engine::text::value::{Struct, Value, ValueKind};
use fewbits_ops::StandardOps;

use super::names::{NameKind, occurrences};

/// The variant that stands at the place while the readers run; no reader knows it.
const PLACEHOLDER: &str = "fewbits_completes_here";

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The text to insert.
    pub text: String,
    /// What it is.
    pub kind: CompletionKind,
    /// A few words beside it.
    pub detail: String,
    /// What it means, in a sentence; empty without one.
    pub about: String,
}

/// The kind of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionKind {
    /// A field of a struct or variant, with its colon.
    Field,
    /// A variant of a choice.
    Variant,
    /// The name of an axis, a node or a table.
    Name(NameKind),
    /// A metric of a node.
    Metric,
}

/// Returns the word before a place, and what can stand for it.
#[must_use]
pub fn complete(text: &str, offset: usize, ops: &StandardOps) -> (Span, Vec<Completion>) {
    let before = &text[..offset];
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = Span { start, end: offset };
    if let Some(quote) = open_quote(before) {
        return (word, in_text(text, word, quote, ops));
    }
    // A word that begins here is another one.
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = match text[offset..].find(|c| !is_word(c)) {
        _ if start == offset => offset,
        Some(length) => offset + length,
        None => text.len(),
    };
    let mut found = vec![];
    // As a field: without the word.
    let expects = expectations(&text[..start], "", &text[end..], ops);
    if let Some(body) = innermost(&expects.value, start) {
        let given = given(body);
        let asked = expects.fields(body.span);
        found.extend(asked.into_iter().filter(|asked| !given.contains(&asked.name)).map(field));
    }
    // As a value: with another word.
    let apart = if text[end..].starts_with(is_word) { ", " } else { "" };
    let expects = expectations(&text[..start], PLACEHOLDER, &format!("{apart}{}", &text[end..]), ops);
    let place = Span { start, end: start + PLACEHOLDER.len() };
    if let Some((what, variants)) = expects.expected(place) {
        let variant = |name: &String| Completion {
            text: name.clone(),
            kind: CompletionKind::Variant,
            detail: what.to_owned(),
            about: String::new(),
        };
        let is_value = before[..start].trim_end().ends_with(':');
        if is_value {
            found.clear();
        }
        found.extend(variants.iter().map(variant));
    }
    (word, found)
}

/// Runs the readers on a text of these parts. If it has a mistake of syntax, the part behind the word is left out, and open
/// brackets are closed.
fn expectations(before: &str, word: &str, after: &str, ops: &StandardOps) -> Expectations {
    let (whole, mut faults) = (format!("{before}{word}{after}"), Faults::default());
    let _ = Value::parse(&whole, &mut faults);
    if faults.is_empty() {
        return Expectations::new(&whole, ops);
    }
    let mut open = vec![];
    let mut at = 0;
    let mut in_text = false;
    while let Some(c) = before[at..].chars().next() {
        match c {
            '"' => in_text = !in_text,
            _ if in_text => {}
            '/' if before[at..].starts_with("//") => {
                at += before[at..].find('\n').unwrap_or(before.len() - at);
                continue;
            }
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' => drop(open.pop()),
            _ => {}
        }
        at += c.len_utf8();
    }
    let closed: String = open.into_iter().rev().collect();
    Expectations::new(&format!("{before}{word}{closed}"), ops)
}

fn field(asked: &Asked) -> Completion {
    let detail = match &asked.need {
        Need::Required => "required".to_owned(),
        Need::Default(text) => format!("default {text}"),
        Need::Otherwise(words) if words.is_empty() => "optional".to_owned(),
        Need::Otherwise(words) => format!("default: {words}"),
    };
    let detail = if asked.must.is_empty() { detail } else { format!("{}; {detail}", asked.must) };
    Completion {
        text: format!("{}: ", asked.name),
        kind: CompletionKind::Field,
        detail,
        about: asked.about.to_owned(),
    }
}

/// Returns the quote that a place stands behind, if it stands in a text.
fn open_quote(before: &str) -> Option<usize> {
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let mut quote = None;
    for (at, c) in before[line..].char_indices() {
        match (c, quote) {
            ('"', None) => quote = Some(line + at),
            ('"', Some(_)) => quote = None,
            ('/', None) if before[line + at..].starts_with("//") => return None,
            _ => {}
        }
    }
    quote
}

/// Completes in a text in quotes: the name of an axis in `Axis("…")`, of a node in an input, names in expressions.
fn in_text(text: &str, word: Span, quote: usize, ops: &StandardOps) -> Vec<Completion> {
    let end = text[word.end..].find(['"', '\n']).map_or(text.len(), |at| word.end + at);
    let closed = if text[end..].starts_with('"') { "" } else { "\"" };
    let whole = format!("{}{closed}{}", &text[..end], &text[end..]);
    let expects = Expectations::new(&whole, ops);
    let names = occurrences(&whole, &expects.value, ops.kinds());
    let of = |kind: NameKind| {
        let defined = names.iter().filter(move |name| name.kind == kind && name.defines.is_some());
        defined.map(move |name| Completion {
            text: name.name.clone(),
            kind: CompletionKind::Name(kind),
            detail: match kind {
                NameKind::Axis => "an axis",
                NameKind::Node => "a node",
                NameKind::Table => "a table",
            }
            .to_owned(),
            about: String::new(),
        })
    };
    let before = text[..quote].trim_end();
    if before.ends_with("Axis(") {
        return of(NameKind::Axis).collect();
    }
    if let Some(node) = text[quote + 1..word.start].strip_suffix('.') {
        let node = node.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or(node);
        return metrics(&expects.value, node, ops);
    }
    let within = |field: &str| expects.value.field(field).is_some_and(|value| contains(value, quote));
    if within("nodes") {
        return of(NameKind::Node).collect();
    }
    if within("tables") || within("only") {
        return of(NameKind::Axis).chain(of(NameKind::Node)).collect();
    }
    vec![]
}

/// Returns the metrics of a node.
fn metrics(value: &Value, node: &str, ops: &StandardOps) -> Vec<Completion> {
    let Some(ValueKind::Map(nodes)) = value.field("nodes").map(|nodes| &nodes.kind) else { return vec![] };
    let named = nodes.iter().find(|(key, _)| matches!(&key.kind, ValueKind::Text(name) if name == node));
    let Some((_, Value { kind: ValueKind::Struct(Struct { name: Some(name), .. }), .. })) = named else {
        return vec![];
    };
    let kind = ops.kinds().iter().find(|kind| *kind.name == **name);
    let metric = |metric: &&str| Completion {
        text: (*metric).to_owned(),
        kind: CompletionKind::Metric,
        detail: format!("a metric of {name}"),
        about: String::new(),
    };
    kind.map_or(vec![], |kind| kind.metrics.iter().chain([&"seconds"]).map(metric).collect())
}

fn contains(value: &Value, offset: usize) -> bool {
    value.span.start < offset && offset < value.span.end
}

/// Returns the innermost struct around a place.
fn innermost(value: &Value, offset: usize) -> Option<&Value> {
    let mut found: Option<&Value> = None;
    value.walk(&mut |value| {
        let is_inner = || found.is_none_or(|found| found.span.start <= value.span.start);
        if matches!(value.kind, ValueKind::Struct(_) | ValueKind::List(_) | ValueKind::Map(_))
            && contains(value, offset)
            && is_inner()
        {
            found = Some(value);
        }
    });
    found.filter(|found| matches!(found.kind, ValueKind::Struct(_)))
}

fn given(value: &Value) -> Vec<&str> {
    let ValueKind::Struct(body) = &value.kind else { return vec![] };
    body.fields.iter().map(|field| &*field.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Completes at `|` of an experiment's part.
    fn at(text: &str) -> Vec<String> {
        let offset = text.find('|').expect("a place");
        let ops = StandardOps::new("".into(), "".into());
        let (_, found) = complete(&text.replace('|', ""), offset, &ops);
        found.into_iter().map(|found| found.text).collect()
    }

    fn node(node: &str) -> Vec<String> {
        at(&format!(
            r#"Experiment(name: "x", axes: {{"e": [1, 2]}}, nodes: {{"d": Dataset(source: Mnist10k), "net": Train(data: "d", model: Mlp([8])), "n": {node}}}, tables: {{"t": Pivot(value: "net.train_loss", rows: [])}})"#
        ))
    }

    #[test]
    fn fields_variants_and_names_are_completed() {
        let has = |found: Vec<String>, wanted: &[&str]| {
            for wanted in wanted {
                assert!(found.iter().any(|text| text == wanted), "{wanted}: {found:?}");
            }
            found
        };
        has(at("Experiment(|"), &["name: ", "nodes: ", "tables: "]);
        let fields =
            has(node(r#"Quantize(model: "net", |)"#), &["format: ", "rounding: ", "data: ", "keep: "]);
        assert!(!fields.contains(&"model: ".to_owned()), "{fields:?}");
        has(node(r#"Quantize(model: "net", fo|)"#), &["format: "]);
        has(node(r#"Quantize(model: "net", format: |)"#), &["Int", "E4M3", "Posit"]);
        let formats = has(node(r#"Quantize(model: "net", format: E2|, rounding: Nearest)"#), &["E2M1"]);
        assert!(!formats.contains(&"seed: ".to_owned()), "{formats:?}");
        has(node(r#"Quantize(model: "net", format: Posit(|))"#), &["n: ", "es: "]);
        has(node("|"), &["Train", "Quantize", "Evaluate"]);
        has(node(r#"Train(data: "d", model: Layers([Conv(out: 1, kernel: 3), |]))"#), &["Relu", "Linear"]);
        assert_eq!(node(r#"Train(data: "|", model: Mlp([8]))"#), ["d", "net", "n"]);
        assert_eq!(node(r#"Quantize(model: "net", format: Int(Axis("|")))"#), ["e"]);
        let table = |value: &str| {
            at(&format!(
                r#"Experiment(name: "x", axes: {{"e": [1]}}, nodes: {{"d": Dataset(source: Mnist10k)}}, tables: {{"t": Pivot(value: "{value}")}})"#
            ))
        };
        assert_eq!(table("|"), ["e", "d"]);
        has(table("1.0 * d.|"), &["classes", "seconds"]);
        assert_eq!(at("// |"), Vec::<String>::new());
    }
}
