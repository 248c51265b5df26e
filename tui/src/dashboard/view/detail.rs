//! The details of one task in words: its status, the reason why it ran, its metrics, parameters, inputs and log.
//! Knows nothing of keys or positions on the screen.

use std::collections::BTreeMap;

use fewbits_engine::graph::TaskId;
use fewbits_engine::reason::Reason;
use fewbits_ops::LAYER;
use fewbits_ops::quantize::TensorSize;
use fewbits_store::Series;
use ratatui::style::Style;
use ratatui::text::Line;

use super::confusion::cells;
use super::log_words::{progress, words};
use crate::command::plan::describe;
use crate::dashboard::run_model::RunModel;
use crate::dashboard::task_status::TaskStatus;
use crate::dashboard::theme::Theme;
use crate::figure::confusion::ConfusionCounts;
use crate::render::number::number;
use crate::ui::eta::duration;
use crate::ui::plain::change;

/// A line of the details.
pub enum DetailLine {
    /// A line of text, which is wrapped.
    Text(Style, String),
    /// Cells, which are not.
    Cells(Line<'static>),
}

/// Returns the details of a task as lines.
#[must_use]
pub fn details(run: &RunModel, task: TaskId, now: f64, theme: Theme) -> Vec<DetailLine> {
    let known = run.task(task);
    let text = |text: String| DetailLine::Text(Style::new(), text);
    let mut lines = vec![DetailLine::Text(
        theme.status(known.status),
        format!("{} {}", theme.glyph(known.status), state(run, task, now)),
    )];
    lines.extend(why(run, task).into_iter().map(text));
    if known.detail.as_ref().is_some_and(|detail| detail.rebuilt) {
        let note = "its artifact is not kept, so it was made again for the tasks that read it; its result is unchanged";
        lines.push(text(note.to_owned()));
    }
    if let Some(error) = known.detail.as_ref().and_then(|detail| detail.error.clone()) {
        lines.push(DetailLine::Text(theme.bad(), format!("error: {error}")));
    }
    let section = |title: &str| DetailLine::Text(theme.strong(), title.to_owned());
    if let Some(metrics) = run.metrics(task) {
        lines.push(section("metrics"));
        lines.extend(metrics.iter().map(|(name, value)| text(format!("  {name:<24} {}", number(*value)))));
    }
    let record = run.record(task).and_then(Option::as_ref);
    if let Some(counts) = record.and_then(|record| ConfusionCounts::of(record)) {
        lines.push(section("images by true class (rows) and given class (columns)"));
        lines.extend(cells(&counts, theme).into_iter().map(DetailLine::Cells));
    }
    if let Some(record) = record {
        let rows = tensors(run.tensors(task), &record.series).into_iter();
        lines.extend(rows.map(|row| DetailLine::Cells(Line::raw(row))));
    }
    lines.push(section("parameters"));
    lines.extend(parameters(run, task).into_iter().map(text));
    lines.push(section("inputs"));
    lines.extend(inputs(run, task).into_iter().map(text));
    lines.push(section("made of"));
    if let Some(key) = key(run, task) {
        lines.push(text(format!("  key {key}")));
    }
    lines.extend(made_of(run, task).into_iter().map(text));
    let entries = run.log.iter().filter(|entry| entry.task == Some(task));
    let log: Vec<DetailLine> =
        entries.map(|entry| text(format!("  {} {}", duration(entry.at), words(run, entry)))).collect();
    if !log.is_empty() {
        lines.push(section("log"));
        lines.extend(log);
    }
    lines
}

/// Returns a table of the tensors: format, bytes and their share of all, share of the squared error of the weights, and the
/// squared error of the layer's outputs over their square, as far as the record has them.
fn tensors(tensors: &[TensorSize], series: &BTreeMap<String, Series>) -> Vec<String> {
    if tensors.is_empty() {
        return vec![];
    }
    let of = |series: Option<&Series>, name: &str| {
        let at = series?.names.iter().position(|found| found == name)?;
        series?.values.get(at).copied().filter(|value| !value.is_nan())
    };
    let error =
        |tensor: &TensorSize| of(series.get("mse"), &tensor.name).map(|error| error * tensor.numbers as f64);
    let output_error = |tensor: &TensorSize| {
        let layer = tensor.name.strip_suffix(".weight")?;
        of(series.get("output_error").filter(|series| series.along == LAYER), layer)
    };
    let all_bytes: f64 = tensors.iter().map(|tensor| tensor.bytes as f64).sum();
    let all_error: f64 = tensors.iter().filter_map(error).sum();
    let percent =
        |part: f64, all: f64| if all > 0.0 { format!("{:.1}", 100.0 * part / all) } else { String::new() };
    let head = ["tensor", "format", "bits", "bytes", "% bytes", "% error", "output error"].map(str::to_owned);
    let row = |tensor: &TensorSize| {
        [
            tensor.name.clone(),
            tensor.format.as_ref().map_or("F32".to_owned(), ToString::to_string),
            tensor.format.as_ref().map_or(String::new(), |format| bar(format.code_bits())),
            tensor.bytes.to_string(),
            percent(tensor.bytes as f64, all_bytes),
            error(tensor).map_or(String::new(), |error| percent(error, all_error)),
            output_error(tensor).map_or(String::new(), number),
        ]
    };
    aligned(&std::iter::once(head).chain(tensors.iter().map(row)).collect::<Vec<_>>())
}

/// Draws the bits of a code, rounded up: a block for two bits.
fn bar(bits: f64) -> String {
    let bits = (bits.ceil() as usize).min(16);
    "█".repeat(bits / 2) + if bits % 2 == 1 { "▌" } else { "" }
}

/// Returns rows as lines: the first three columns to the left, the others to the right.
fn aligned(rows: &[[String; 7]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        if column < 3 { format!(" {text:<width$}") } else { format!(" {text:>width$}") }
    };
    rows.iter()
        .map(|row| format!(" {}", row.iter().enumerate().map(cell).collect::<String>()).trim_end().to_owned())
        .collect()
}

fn state(run: &RunModel, task: TaskId, now: f64) -> String {
    let known = run.task(task);
    let detail = known.detail.as_deref();
    match known.status {
        TaskStatus::Done => {
            let seconds = known.seconds.map_or(String::new(), |seconds| format!(" in {}", duration(seconds)));
            let since =
                known.started.map_or(String::new(), |at| format!(", started {} into the run", duration(at)));
            format!("done{seconds}{since}")
        }
        TaskStatus::Running => {
            let since = known.started.map_or(0.0, |start| run.elapsed(now) - start);
            format!("running for {}  {}", duration(since.max(0.0)), progress(run, task))
        }
        TaskStatus::Saving => "computed: its result is on its way to the disk".to_owned(),
        TaskStatus::Cached => match detail.and_then(|detail| detail.same_as) {
            Some(other) => format!("cached: the same as {}", run.opened.graph.name(other)),
            None => "cached: its result was in the store".to_owned(),
        },
        TaskStatus::Skipped => match detail.and_then(|detail| detail.because.clone()) {
            Some(because) => format!("skipped: {because} failed"),
            None if known.started.is_some() => "dropped: the run ended while it ran".to_owned(),
            None => "left: the run ended before it".to_owned(),
        },
        TaskStatus::Waiting => {
            let waits =
                |input: &TaskId| !matches!(run.task(*input).status, TaskStatus::Done | TaskStatus::Cached);
            match run.opened.graph.inputs(task).into_iter().find(waits) {
                Some(input) => format!("waiting for {}", run.opened.graph.name(input)),
                None => "waiting for its turn".to_owned(),
            }
        }
        TaskStatus::Failed => "failed".to_owned(),
    }
}

/// Returns the reason why a task ran or was reused, and the worker that ran it.
fn why(run: &RunModel, task: TaskId) -> Vec<String> {
    let on = run.task(task).detail.as_ref().and_then(|detail| detail.on.as_deref());
    let on = on.map(|on| format!("it ran on {on}"));
    reason(run, task).into_iter().chain(on).collect()
}

fn reason(run: &RunModel, task: TaskId) -> Vec<String> {
    let known = run.task(task);
    match known.detail.as_ref().and_then(|detail| detail.reason.as_ref()) {
        Some(Reason::Changed { relative, changes }) => {
            let head = format!("it ran because it differs from {relative}:");
            [head].into_iter().chain(changes.iter().map(|changed| format!("  {}", change(changed)))).collect()
        }
        Some(Reason::New) => vec!["it ran because it is new: no earlier run had it".to_owned()],
        Some(Reason::Unfinished) => vec!["it ran because the last run left it without a result".to_owned()],
        Some(Reason::Lost) => vec!["it ran because its kept result was lost".to_owned()],
        Some(other) => vec![describe(other)],
        None if known.detail.as_ref().is_some_and(|detail| detail.same_as.is_some()) => {
            vec!["it was reused: that task is made of the same, so it has the same key".to_owned()]
        }
        None if known.status == TaskStatus::Cached => {
            vec!["it was reused: nothing that it is made of has changed".to_owned()]
        }
        None => vec![],
    }
}

fn parameters(run: &RunModel, task: TaskId) -> Vec<String> {
    let work = run.opened.graph.resolved_op(task);
    let point: Vec<String> =
        run.opened.graph.point(task).map(|(axis, label)| format!("{axis}={label}")).collect();
    let mut lines = vec![];
    if !point.is_empty() {
        lines.push(format!("  at {}", point.join(", ")));
    }
    lines.push(format!("  {} version {}", work.name, work.version));
    if let Ok(serde_json::Value::Object(params)) = serde_json::from_str(&work.params) {
        lines.extend(params.iter().map(|(name, value)| format!("  {name}: {value}")));
    }
    lines
}

fn inputs(run: &RunModel, task: TaskId) -> Vec<String> {
    let inputs = run.opened.graph.inputs(task);
    if inputs.is_empty() {
        return vec!["  none".to_owned()];
    }
    let line =
        |input: &TaskId| format!("  {}  {}", run.opened.graph.name(*input), run.task(*input).status.word());
    inputs.iter().map(line).collect()
}

/// Returns the task's provenance from its record: the digests of its inputs and parts, the time, and the software.
fn made_of(run: &RunModel, task: TaskId) -> Vec<String> {
    let record = match run.record(task) {
        Some(Some(record)) => record,
        Some(None) => return vec!["  the store has no record of it any more".to_owned()],
        None => return vec![],
    };
    let preimage: serde_json::Value = serde_json::from_str(&record.preimage).unwrap_or_default();
    let digests = preimage.get("inputs").and_then(serde_json::Value::as_object).into_iter().flatten();
    let digest =
        |value: &serde_json::Value| value.as_str().unwrap_or_default().chars().take(12).collect::<String>();
    let mut lines: Vec<String> = digests.map(|(name, value)| format!("  {name} {}", digest(value))).collect();
    lines.extend(record.parts.iter().map(|(name, part)| format!("  gave {name} {}", part.short())));
    lines.push(format!("  computed in {}", duration(record.seconds)));
    lines.extend(record.provenance.iter().map(|(name, value)| format!("  {name}: {value}")));
    lines
}

/// Returns the key of a task in hex; `None` while it is unknown.
#[must_use]
pub fn key(run: &RunModel, task: TaskId) -> Option<String> {
    let told = run.task(task).detail.as_ref().map(|detail| detail.key.clone()).filter(|key| !key.is_empty());
    let kept = || {
        let record = run.record(task)?.as_ref()?;
        Some(fewbits_store::Key::derive(&record.preimage).to_string())
    };
    told.or_else(kept)
}

#[cfg(test)]
mod tests {
    use fewbits_ops::format::Format;

    use super::*;

    #[test]
    fn what_a_record_does_not_have_leaves_the_rest_of_the_table_as_it_is() {
        let series = |along: &str, names: &[&str], values: &[f64]| Series {
            along: along.to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
            values: values.to_vec(),
        };
        let tensor = |name: &str, format: Option<&str>, numbers, bytes| TensorSize {
            name: name.to_owned(),
            format: format.and_then(|text| Format::parse(text).ok()),
            numbers,
            bytes,
        };
        let network = [
            tensor("conv1.bias", None, 4, 16),
            tensor("conv1.weight", Some("Int(3)"), 36, 30),
            tensor("dead.weight", Some("E2M1"), 12, 54),
        ];
        let told = |record: &BTreeMap<String, Series>| -> Vec<String> {
            let lines = tensors(&network, record);
            lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        let mut record = BTreeMap::from([
            ("mse".to_owned(), series("tensor", &["conv1.weight", "dead.weight"], &[0.25, 0.25])),
            ("output_error".to_owned(), series(LAYER, &["conv1", "dead"], &[0.5, f64::NAN])),
        ]);
        let head = "tensor format bits bytes % bytes % error output error";
        assert_eq!(
            told(&record),
            [
                head,
                "conv1.bias F32 16 16.0",
                "conv1.weight Int(3) █▌ 30 30.0 75.0 0.5000",
                "dead.weight E2M1 ██ 54 54.0 25.0"
            ]
        );
        record.clear();
        assert_eq!(told(&record)[2], "conv1.weight Int(3) █▌ 30 30.0");
        assert!(tensors(&[], &record).is_empty());
    }
}
