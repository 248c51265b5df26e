//! What stands at a place, in words: a name, a field, a variant, a format with its numbers.
//! Knows no field by name.

use fewbits_engine::reading::Reading;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::text::fault::Span;
use fewbits_engine::text::note::Need;
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_ops::StandardOps;
use fewbits_ops::format::Format;

use super::names::{NameKind, Occurrence};
use crate::render::number::{count, number};

/// The most values of an axis that are listed.
const VALUES: usize = 12;
/// The widest codes whose numbers are counted.
const MOST_BITS: u32 = 16;

/// Returns the place of what stands at an offset, and a description of it as Markdown.
#[must_use]
pub fn hover(
    text: &str,
    offset: usize,
    reading: &Reading<StandardOps>,
    names: &[Occurrence],
) -> Option<(Span, String)> {
    let holds = |span: Span| span.start <= offset && offset <= span.end;
    if let Some(name) = names.iter().find(|name| holds(name.span)) {
        return Some((name.span, named(name, reading)?));
    }
    let mut found = None;
    reading.value.walk(&mut |value| {
        let ValueKind::Struct(body) = &value.kind else { return };
        for field in body.fields.iter().filter(|field| holds(field.span)) {
            let asked = reading.fields(value.span).into_iter().find(|asked| asked.name == &*field.name);
            let owner = body.name.as_deref().unwrap_or("(…)");
            let expected = reading.expected(field.value.span);
            let what = asked.map_or("", |asked| &asked.must);
            let what = if what.is_empty() { expected.map_or("", |(what, _)| what) } else { what };
            let need = match asked.map(|asked| &asked.need) {
                Some(Need::Required) => "required".to_owned(),
                Some(Need::Default(text)) => format!("default `{text}`"),
                Some(Need::Otherwise(words)) if !words.is_empty() => format!("default: {words}"),
                Some(Need::Otherwise(_)) => "optional".to_owned(),
                None => continue,
            };
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            let about = asked.map_or("", |asked| asked.about);
            found = Some((field.span, format!("`{}` of `{owner}`{what}; {need}\n\n{about}", field.name)));
        }
        if let Some(name) = &body.name {
            let span = Span { start: value.span.start, end: value.span.start + name.len() };
            if holds(span) && text.get(span.range()) == Some(name) {
                found = variant(text, value, reading).map(|words| (span, words)).or(found.take());
            }
        }
    });
    found
}

fn named(name: &Occurrence, reading: &Reading<StandardOps>) -> Option<String> {
    let experiment =
        reading.graph.as_ref().map_or(reading.experiment.as_ref(), |graph| Some(&graph.experiment))?;
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
            let tasks = reading.graph.as_ref().ok().map(|graph| graph.tasks_of(at).count());
            let tasks = tasks.map_or(String::new(), |tasks| format!(", {}", count(tasks, "task")));
            Some(format!("node `{}`: `{}`{tasks}{}", node.name, node.kind.name, over(experiment, &node.name)))
        }
        NameKind::Table => Some(format!("table `{}`", name.name)),
    }
}

fn over(experiment: &Experiment, node: &str) -> String {
    let axes = experiment.node(node).map(|node| experiment.axis_names(&experiment.nodes[node].axes));
    match axes {
        Some(axes) if !axes.is_empty() => format!(" over {}", axes.join(", ")),
        _ => String::new(),
    }
}

/// Describes a variant: a format by its numbers, any other by the choice that it is one of.
fn variant(text: &str, value: &Value, reading: &Reading<StandardOps>) -> Option<String> {
    let (what, variants) = reading.expected(value.span)?;
    let written = text.get(value.span.range())?;
    if what == "a format"
        && let Ok(format) = Format::parse(written)
    {
        return Some(numbers(written, &format));
    }
    let others: Vec<String> = variants.iter().map(|variant| format!("`{variant}`")).collect();
    Some(format!("{what}: {}", others.join(", ")))
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
    let mut all: Vec<f64> = codec.table().into_iter().flatten().filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let least = all.iter().copied().find(|value| *value > 0.0);
    let least = least.map_or(String::new(), |least| format!(", the least above 0 is {}", number(least)));
    format!("{range}; {}{least}", count(all.len(), "number"))
}
