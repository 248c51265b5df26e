//! A text that an editor has open: its reading, its names, and the results of its tasks.
//! Knows nothing of messages.

use std::path::Path;
use std::sync::Arc;

use fewbits_engine::dense::{DenseMap, NodeId};
use fewbits_engine::graph::base_of;
use fewbits_engine::ops::Ops as _;
use fewbits_engine::preview::NodePreview;
use fewbits_engine::reading::Reading;
use fewbits_ops::StandardOps;
use lsp_types::{Position, TextDocumentContentChangeEvent};

use super::document::{Document, Encoding};
use super::names::{Occurrence, occurrences};
use super::results::Results;
use crate::cli::Global;
use crate::session::data_dir;

/// The most bytes of a text that is read.
const MOST_BYTES: usize = 1 << 20;

/// A text that an editor has open.
pub struct OpenText {
    /// The text.
    pub document: Document,
    /// The number that the editor gave to this state of the text.
    pub version: i32,
    /// The ops that read it.
    pub ops: Arc<StandardOps>,
    /// The reading of the text as it is; `None` until it is needed.
    reading: Option<Reading<StandardOps>>,
    results: Results,
    /// The most tasks of an experiment.
    max_tasks: usize,
}

impl OpenText {
    /// Opens the text of a file.
    pub fn new(file: &Path, text: String, version: i32, encoding: Encoding, global: &Global) -> Self {
        let ops = StandardOps::new(data_dir(global), base_of(file).to_path_buf());
        Self {
            document: Document::new(text, encoding),
            version,
            ops: Arc::new(ops),
            reading: None,
            results: Results::new(file.to_path_buf(), global.clone()),
            max_tasks: global.max_tasks,
        }
    }

    /// Forgets what was read from files: another file that the text names may have changed.
    pub fn forget(&mut self) {
        self.reading = None;
        self.results.forget();
    }

    /// Applies edits, one after the other.
    pub fn edit(&mut self, changes: Vec<TextDocumentContentChangeEvent>, version: i32) {
        for change in changes {
            self.document.edit(change);
        }
        (self.reading, self.version) = (None, version);
        self.results.forget();
    }

    /// Whether the text is larger than what is read.
    pub fn is_too_large(&self) -> bool {
        self.document.text.len() > MOST_BYTES
    }

    /// Reads the text as it is.
    pub fn read(&mut self) -> &Reading<StandardOps> {
        let (text, ops, most) = (&self.document.text, &self.ops, self.max_tasks);
        self.reading.get_or_insert_with(|| Reading::new(text, &**ops, most))
    }

    /// Returns the reading, and for each node the results in the store; `None` if the text has faults, or if there is
    /// nothing to tell of the store.
    pub fn read_with_results(&mut self) -> (&Reading<StandardOps>, Option<&DenseMap<NodeId, NodePreview>>) {
        self.read();
        let reading = self.reading.as_ref().expect("read above");
        let results = reading.graph.as_ref().ok().and_then(|graph| self.results.of(graph, &self.ops));
        (reading, results)
    }

    /// Forgets the results if the store changed since they were asked for; returns whether it did.
    pub fn forget_outdated(&mut self) -> bool {
        self.results.forget_outdated()
    }

    /// Returns all names in the text.
    pub fn names(&mut self) -> Vec<Occurrence> {
        let kinds = self.ops.kinds();
        let text = self.document.text.clone();
        occurrences(&text, &self.read().expects.value, kinds)
    }

    /// Returns the name at a position.
    pub fn name_at(&mut self, position: Position) -> Option<Occurrence> {
        let offset = self.document.offset(position);
        self.names().into_iter().find(|name| name.span.start <= offset && offset <= name.span.end)
    }
}
