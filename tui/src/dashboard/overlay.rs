//! The overlays above a view: the list of keys, the question about the run, and the prompt for a filter.
//! Holds data only.

use super::filter::Filter;
use super::line_editor::LineEditor;

/// The overlay above the view.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Overlay {
    /// No overlay.
    #[default]
    None,
    /// The list of keys, with its scroll offset in lines.
    Help(usize),
    /// The question whether to stop the run, detach it or continue.
    Quit,
    /// The prompt for a filter: the text so far, and the filter before, which Esc restores.
    Prompt(LineEditor, Filter),
}
