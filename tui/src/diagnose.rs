//! Faults of an experiment file in the style of rustc: place, caret, hint.
//! Knows nothing of the parser.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use fewbits_engine::text::fault::Fault;

/// Renders the faults as text.
#[must_use]
pub fn faults(faults: &[Fault], text: &str, path: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for fault in faults {
        out += &renderer.render(&[group(fault, text, path)]);
        out += "\n\n";
    }
    let count = faults.len();
    out + &format!("{path}: {count} {}\n", if count == 1 { "error" } else { "errors" })
}

fn group<'a>(fault: &'a Fault, text: &'a str, path: &'a str) -> annotate_snippets::Group<'a> {
    // Editors do not count a byte-order mark among a line's columns.
    let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = text.len() - shown.len();
    let (start, end) = (fault.span.start.saturating_sub(mark), fault.span.end.saturating_sub(mark));
    // The mark ends with its first line: a value of many lines would fill the screen.
    let start = start.min(shown.len());
    let line_end = shown[start..].find('\n').map_or(shown.len(), |at| start + at);
    let span = start..end.clamp(start, line_end);
    let annotation = AnnotationKind::Primary.span(span);
    let group = Level::ERROR
        .primary_title(&fault.message)
        .element(Snippet::source(shown).path(path).annotation(annotation));
    if fault.hint.is_empty() { group } else { group.element(Level::HELP.message(&fault.hint)) }
}
