//! Descriptions of the names, fields, variants and formats of an open text.
//! Knows no field by name.

use fewbits_engine::dense::{DenseMap, NodeId};
use fewbits_engine::preview::NodePreview;
use fewbits_engine::reading::Reading;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::table::caption::caption;
use fewbits_engine::text::fault::Span;
use fewbits_engine::text::value::{NamedValue, Struct, Value, ValueKind};
use fewbits_ops::StandardOps;
use fewbits_ops::format::Format;

use super::names::{NameKind, Occurrence};
use super::results::stored;
use crate::render::number::{count, number};

/// The most values of an axis that are listed.
const VALUES: usize = 12;
/// The widest codes whose numbers are counted.
const MOST_BITS: u32 = 16;

/// An open text with its reading, names and cached counts.
pub struct HoverContext<'t> {
    /// The text.
    pub text: &'t str,
    /// Its reading.
    pub reading: &'t Reading<StandardOps>,
    /// Its names.
    pub names: &'t [Occurrence],
    /// The results of its nodes; `None` if they are not known.
    pub results: Option<&'t DenseMap<NodeId, NodePreview>>,
    /// The ops that read it.
    pub ops: &'t StandardOps,
}

impl HoverContext<'_> {
    /// Returns the place of the name, field or variant at an offset, and a description of it as Markdown.
    #[must_use]
    pub fn hover(&self, offset: usize) -> Option<(Span, String)> {
        let holds = |span: Span| span.start <= offset && offset <= span.end;
        if let Some(name) = self.names.iter().find(|name| holds(name.span)) {
            return Some((name.span, self.named(name)?));
        }
        let mut found = None;
        self.reading.expects.value.walk(&mut |value| {
            let ValueKind::Struct(body) = &value.kind else { return };
            for field in body.fields.iter().filter(|field| holds(field.span)) {
                if let Some(words) = self.field(value, body, field) {
                    found = Some((field.span, words));
                }
            }
            if let Some(name) = &body.name {
                let span = Span { start: value.span.start, end: value.span.start + name.len() };
                if holds(span) && self.text.get(span.range()) == Some(name) {
                    found = self.variant(value).map(|words| (span, words)).or(found.take());
                }
            }
        });
        found
    }

    fn named(&self, name: &Occurrence) -> Option<String> {
        let graph = self.reading.graph.as_ref().ok();
        let experiment = graph.map_or(self.reading.experiment.as_ref(), |graph| Some(&graph.experiment))?;
        match name.kind {
            NameKind::Axis => {
                let axis = experiment.axes.iter().find(|axis| axis.name == name.name)?;
                let labels: Vec<&str> =
                    axis.levels.iter().map(|level| level.label.as_str()).take(VALUES).collect();
                let more = if axis.levels.len() > VALUES { ", …" } else { "" };
                Some(format!(
                    "axis `{}`: {}: {}{more}",
                    axis.name,
                    count(axis.levels.len(), "value"),
                    labels.join(", ")
                ))
            }
            NameKind::Node => {
                let at = experiment.node(&name.name)?;
                let node = &experiment.nodes[at];
                let tasks = graph.map(|graph| count(graph.tasks_of(at).count(), "task"));
                let tasks = tasks.map_or(String::new(), |tasks| format!(", {tasks}"));
                let stored = self.results.map_or(String::new(), |results| stored(&results[at]));
                let over = over(experiment, &node.name);
                Some(format!("node `{}`: `{}`{tasks}{over}{stored}", node.name, node.kind.name))
            }
            NameKind::Table => {
                let table = experiment.table(&name.name)?;
                let caption = graph.map(|graph| caption(self.ops, graph, table));
                let caption = caption.map_or(String::new(), |caption| format!(": {caption}"));
                Some(format!("table `{}`{caption}", name.name))
            }
        }
    }

    fn field(&self, value: &Value, body: &Struct, field: &NamedValue) -> Option<String> {
        let asked =
            self.reading.expects.fields(value.span).into_iter().find(|asked| asked.name == &*field.name)?;
        let owner = body.name.as_deref().unwrap_or("(…)");
        let expected = self.reading.expects.expected(field.value.span).map_or("", |(what, _)| what);
        let what = if asked.must.is_empty() { expected } else { &asked.must };
        let what = if what.is_empty() { String::new() } else { format!(": {what}") };
        Some(format!("`{}` of `{owner}`{what}; {}\n\n{}", field.name, asked.need, asked.about))
    }

    /// Describes a variant: a format by its numbers, and any by its fields; one without fields by the others of its choice.
    fn variant(&self, value: &Value) -> Option<String> {
        let (what, variants) = self.reading.expects.expected(value.span)?;
        let written = self.text.get(value.span.range())?;
        let name = value.bare_name().or_else(|| written.split('(').next())?.trim();
        let mut words = match Format::parse(written) {
            Ok(format) if what == "a format" => numbers(written, &format),
            _ => format!("`{name}`: {what}"),
        };
        let fields = self.reading.expects.fields(value.span);
        for field in &fields {
            let must = if field.must.is_empty() { String::new() } else { format!("{}; ", field.must) };
            words += &format!("\n- `{}`: {must}{}. {}", field.name, field.need, field.about);
        }
        if fields.is_empty() && what != "a format" {
            let others: Vec<String> = variants.iter().map(|variant| format!("`{variant}`")).collect();
            words += &format!("; the choice: {}", others.join(", "));
        }
        Some(words)
    }
}

fn over(experiment: &Experiment, node: &str) -> String {
    let axes = experiment.node(node).map(|node| experiment.axis_names(&experiment.nodes[node].axes));
    match axes {
        Some(axes) if !axes.is_empty() => format!(" over {}", axes.join(", ")),
        _ => String::new(),
    }
}

fn numbers(written: &str, format: &Format) -> String {
    let bits = format!("`{written}`: {} bits", number(format.code_bits()));
    let Ok(codec) = format.codec() else { return bits };
    if matches!(format, Format::KMeans { .. }) {
        return format!("{bits}; its numbers are fitted to each tensor");
    }
    let (low, high) = codec.limits();
    let range = format!("{bits}, from {} to {}", number(low), number(high));
    if codec.bits() > MOST_BITS {
        return range;
    }
    // A code below the lowest number, as −2 of `Int(2)`, is never written.
    let is_written = |value: &f64| (low..=high).contains(value);
    let mut all: Vec<f64> = codec.table().into_iter().flatten().filter(is_written).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let least = all.iter().copied().find(|value| *value > 0.0);
    let least = least.map_or(String::new(), |least| format!(", the least above 0 is {}", number(least)));
    format!("{range}; {}{least}", count(all.len(), "number"))
}
