//! Completion: the fields, variants and names that are valid at the cursor. The parameter readers name them: they are run on
//! the text with the word at the cursor left out or replaced.
//! Knows no field by name.

use fewbits_engine::ops::{NodeKind, Ops as _};
use fewbits_engine::reading::Expectations;
use fewbits_engine::schema::FieldSchema;
use fewbits_engine::text::fault::{Faults, Span};
use fewbits_engine::text::note::Asked;
use fewbits_engine::text::tokens::{TokenKind, tokens};
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_ops::StandardOps;

use super::names::NameKind;
use super::quoted::{in_text, open_quote};
use super::template::{Language, Template};

/// The variant that stands at the place while the readers run; no reader knows it.
pub(super) const PLACEHOLDER: &str = "fewbits_completes_here";

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The name in the list.
    pub label: String,
    /// The text to insert.
    pub template: Template,
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
    /// A whole node or table.
    Entry,
}

impl Completion {
    pub(super) fn new(text: &str, kind: CompletionKind, detail: &str) -> Self {
        let label = text.trim_end_matches([' ', ':']).to_owned();
        let template = Template { text: text.to_owned(), holes: vec![] };
        Self { label, template, kind, detail: detail.to_owned(), about: String::new() }
    }
}

/// Returns the word around an offset, and what is valid in its place. Nothing is in a comment.
#[must_use]
pub fn complete(
    text: &str,
    offset: usize,
    ops: &StandardOps,
    language: &Language,
) -> (Span, Vec<Completion>) {
    let before = &text[..offset];
    let start = before
        .rfind(|c: char| !is_word(c))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    // A word that begins here is another one.
    let end = match text[offset..].find(|c| !is_word(c)) {
        _ if start == offset => offset,
        Some(length) => offset + length,
        None => text.len(),
    };
    let word = Span { start, end };
    if is_in_comment(before) {
        return (word, vec![]);
    }
    if let Some(quote) = open_quote(before) {
        return (word, in_text(text, word, quote, ops));
    }
    let mut found = vec![];
    // As a field or an entry: without the word.
    let expects = expectations(&text[..start], "", &text[end..], ops);
    if let Some(map) = map_around(&expects.value, start)
        && is_key(&text[..start])
    {
        let mut found = entries(map, &expects.value, ops, language);
        if text[end..].trim_start().starts_with(',') {
            for entry in &mut found {
                entry.template.drop_comma();
            }
        }
        return (word, found);
    }
    if let Some(body) = innermost(&expects.value, start) {
        let given = given(body);
        let asked = expects.fields(body.span).into_iter().filter(|asked| !given.contains(&asked.name));
        let owner = expects.expected(body.span).map_or("", |(what, _)| what);
        // A field that is written already keeps its colon.
        let colon = if text[end..].trim_start().starts_with(':') { "" } else { ": " };
        found.extend(asked.map(|asked| field(asked, language.field(owner, body, asked.name), colon)));
    }
    // As a value: with another word.
    let apart = if text[end..].starts_with(is_word) { ", " } else { "" };
    let expects = expectations(&text[..start], PLACEHOLDER, &format!("{apart}{}", &text[end..]), ops);
    // A variant whose fields are written already reaches further than its name.
    let mut place = Span { start, end: start + PLACEHOLDER.len() };
    expects.value.walk(&mut |value| {
        if value.span.start == start {
            place = value.span;
        }
    });
    if let Some((what, variants)) = expects.expected(place) {
        let is_value = before[..start].trim_end().ends_with(':');
        if is_value {
            found.clear();
        }
        let nodes = named_nodes(&expects.value, ops);
        let is_named = text[end..].starts_with('(');
        found.extend(variants.iter().map(|name| {
            let completion = Completion::new(name, CompletionKind::Variant, what);
            if is_named {
                return completion;
            }
            Completion { template: Template::of(what, name, &nodes, language), ..completion }
        }));
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
    for token in tokens(before).unwrap_or_default() {
        match token.kind {
            TokenKind::Open => open.push(token.text),
            TokenKind::Close => drop(open.pop()),
            _ => {}
        }
    }
    let closing = |open: &&str| match *open {
        "(" => ')',
        "[" => ']',
        _ => '}',
    };
    let closed: String = open.iter().rev().map(closing).collect();
    Expectations::new(&format!("{before}{word}{closed}"), ops)
}

fn field(asked: &Asked, described: Option<&FieldSchema>, colon: &str) -> Completion {
    let words = described.map_or_else(|| asked.must.clone(), FieldSchema::type_words);
    let detail = if words.is_empty() { asked.need.to_string() } else { format!("{words}; {}", asked.need) };
    let about = asked.about.to_owned();
    Completion { about, ..Completion::new(&format!("{}{colon}", asked.name), CompletionKind::Field, &detail) }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a text ends in a comment.
fn is_in_comment(before: &str) -> bool {
    match tokens(before) {
        // A line comment reaches to the end of its line.
        Some(tokens) => tokens
            .last()
            .is_some_and(|last| last.kind == TokenKind::LineComment && !last.text.ends_with('\n')),
        // A text in quotes or a block comment has no end.
        None => before
            .rfind("/*")
            .is_some_and(|at| !before[at..].contains("*/") && tokens(&before[..at]).is_some()),
    }
}

/// Returns the nodes of an experiment with their kinds, as far as they are written.
pub(super) fn named_nodes(value: &Value, ops: &StandardOps) -> Vec<(String, &'static NodeKind)> {
    let Some(ValueKind::Map(nodes)) = value.field("nodes").map(|nodes| &nodes.kind) else { return vec![] };
    let named = |(key, node): &(Value, Value)| {
        let (ValueKind::Text(key), ValueKind::Struct(body)) = (&key.kind, &node.kind) else { return None };
        let kind = ops.kinds().iter().find(|kind| body.name.as_deref() == Some(kind.name))?;
        Some((key.clone(), kind))
    };
    nodes.iter().filter_map(named).collect()
}

/// Returns the field of the experiment that is the map around a place, if no other bracket is between.
pub(super) fn map_around(value: &Value, offset: usize) -> Option<&str> {
    let map = brackets(value, offset).filter(|map| matches!(map.kind, ValueKind::Map(_)))?;
    let ValueKind::Struct(experiment) = &value.kind else { return None };
    experiment.fields.iter().find(|field| field.value.span == map.span).map(|field| &*field.name)
}

/// Whether the key of an entry can stand behind a text.
pub(super) fn is_key(before: &str) -> bool {
    let spaces = [TokenKind::Space, TokenKind::LineComment, TokenKind::BlockComment];
    let tokens = tokens(before).unwrap_or_default();
    let last = tokens.iter().rfind(|token| !spaces.contains(&token.kind));
    last.is_some_and(|last| matches!(last.kind, TokenKind::Open | TokenKind::Comma))
}

/// Returns templates of the entries that a map of the experiment can have.
fn entries(field: &str, value: &Value, ops: &StandardOps, language: &Language) -> Vec<Completion> {
    let alone = format!("Experiment(name: \"x\", {field}: {{\"x\": {PLACEHOLDER}}})");
    let expects = Expectations::new(&alone, ops);
    let Some(start) = alone.find(PLACEHOLDER) else { return vec![] };
    let place = Span { start, end: start + PLACEHOLDER.len() };
    let Some((what, variants)) = expects.expected(place) else { return vec![] };
    let nodes = named_nodes(value, ops);
    let taken: Vec<&str> = match value.field(field).map(|map| &map.kind) {
        Some(ValueKind::Map(entries)) => entries.iter().filter_map(|(key, _)| text_of(key)).collect(),
        _ => vec![],
    };
    let entry = |variant: &String| {
        let name = variant.to_lowercase();
        let mut names = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}{number}")));
        let free = names.find(|name| !taken.contains(&name.as_str())).unwrap_or_default();
        let template = Template::of(what, variant, &nodes, language).entry(&free);
        Completion { template, ..Completion::new(variant, CompletionKind::Entry, what) }
    };
    variants.iter().map(entry).collect()
}

pub(super) fn text_of(value: &Value) -> Option<&str> {
    if let ValueKind::Text(text) = &value.kind { Some(text) } else { None }
}

/// Returns the innermost struct around a place, if no other bracket is between.
pub(super) fn innermost(value: &Value, offset: usize) -> Option<&Value> {
    brackets(value, offset).filter(|found| matches!(found.kind, ValueKind::Struct(_)))
}

/// Returns the innermost struct, list or map around a place.
fn brackets(value: &Value, offset: usize) -> Option<&Value> {
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
    found
}

pub(super) fn contains(value: &Value, offset: usize) -> bool {
    value.span.start < offset && offset < value.span.end
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
        let (_, found) = complete(&text.replace('|', ""), offset, &ops, &Language::new(&ops));
        found.into_iter().map(|found| found.template.snippet()).collect()
    }

    fn node(node: &str) -> Vec<String> {
        at(&format!(
            r#"Experiment(name: "x", axes: {{"e": [1, 2]}}, nodes: {{"d": Dataset(source: Mnist10k), "net": Train(data: "d", model: Mlp([8])), "n": {node}}}, tables: {{"t": Pivot(value: "net.train_loss", rows: [])}})"#
        ))
    }

    /// Asserts that completions have these texts.
    fn has(found: &[String], wanted: &[&str]) {
        for wanted in wanted {
            assert!(found.iter().any(|text| text == wanted), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn fields_variants_and_names_are_completed() {
        has(&at("Experiment(|"), &["name: ", "nodes: ", "tables: "]);
        let fields = node(r#"Quantize(model: "net", |)"#);
        has(&fields, &["format: ", "rounding: ", "data: ", "keep: "]);
        assert!(!fields.contains(&"model: ".to_owned()), "{fields:?}");
        has(&node(r#"Quantize(model: "net", fo|)"#), &["format: "]);
        has(
            &node(r#"Quantize(model: "net", format: |)"#),
            &["Int(bits: $1)", "E4M3", "Posit(n: $1, es: $2)"],
        );
        has(&node(r#"Quantize(model: "net", format: Po|(n: 4, es: 0))"#), &["Posit"]);
        let formats = node(r#"Quantize(model: "net", format: E2|, rounding: Nearest)"#);
        has(&formats, &["E2M1"]);
        assert!(!formats.contains(&"seed: ".to_owned()), "{formats:?}");
        has(&node(r#"Quantize(model: "net", format: Posit(|))"#), &["n: ", "es: "]);
        has(
            &node(r#"Train(data: "d", model: Layers([Conv(out: 1, kernel: 3), |]))"#),
            &["Relu", "Linear(out: $1)"],
        );
        assert_eq!(node(r#"Train(data: "|", model: Mlp([8]))"#), ["d"]);
        assert_eq!(node(r#"Evaluate(model: "|", data: "d")"#), ["net"]);
        assert_eq!(node(r#"Quantize(model: "net", format: Int(Axis("|")))"#), ["e"]);
        let table = |value: &str| {
            at(&format!(
                r#"Experiment(name: "x", axes: {{"e": [1]}}, nodes: {{"d": Dataset(source: Mnist10k)}}, tables: {{"t": Pivot(value: "{value}")}})"#
            ))
        };
        assert_eq!(table("|"), ["e", "d"]);
        has(&table("1.0 * d.|"), &["classes", "seconds"]);
        assert_eq!(at("// |"), Vec::<String>::new());
    }

    #[test]
    fn whole_nodes_and_tables_are_completed() {
        let nodes =
            r#"nodes: {"d": Dataset(source: Mnist10k), "train": Train(data: "d", model: Mlp([8])), // x"#;
        let text = format!("Experiment(name: \"x\", {nodes}\n |}})");
        let quantize = r#""quantize": Quantize(model: "train", format: $1),"#;
        has(
            &at(&text),
            &[
                r#""train2": Train(data: "d", model: $1),"#,
                quantize,
                r#""evaluate": Evaluate(model: "train", data: "d"),"#,
            ],
        );
        has(&at(&text.replace('|', "Qua|")), &[quantize]);
        let value = text.replace('|', "\"q\": |");
        has(&at(&value), &[r#"Quantize(model: "train", format: $1)"#]);
        let tables = text.replace('|', "}, tables: {|");
        has(&at(&tables), &[r#""pareto": Pareto(minimize: "$1", maximize: "$2"),"#]);
        assert_eq!(at(&text.replace('|', "}, axes: {|")), Vec::<String>::new());
    }
}
