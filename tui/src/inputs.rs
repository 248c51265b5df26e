//! The files that a command reads, which its output must not replace.
//! Knows nothing of their content.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::ops::{Ops, SourceContent, TaskSource};
use fewbits_ops::StandardOps;

use crate::cli::Global;
use crate::exit::Coded;
use crate::session::store_dir;

/// Returns the files outside an experiment that its tasks read, sorted.
#[must_use]
pub fn source_files(graph: &TaskGraph<StandardOps>, ops: &StandardOps) -> BTreeSet<PathBuf> {
    let resolved = graph.node_tasks.iter().flat_map(|step| &step.resolved_ops);
    let sources = resolved.flat_map(|resolved| ops.sources(&resolved.op).unwrap_or_default());
    let file = |source: TaskSource| match source.content {
        SourceContent::File { path, .. } => Some(path),
        SourceContent::Embedded(_) => None,
    };
    sources.filter_map(file).collect()
}

/// Lists the inputs of a command.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The store's folder, which counts with every file in it.
    pub store: Option<PathBuf>,
}

impl Inputs {
    /// Collects the inputs of a command on an experiment: its file, its dataset files, and the store.
    pub fn collect(
        graph: &TaskGraph<StandardOps>,
        ops: &StandardOps,
        file: &Path,
        global: &Global,
    ) -> Result<Self> {
        let files = std::iter::once(file.to_path_buf()).chain(source_files(graph, ops)).collect();
        Ok(Self { files, store: Some(store_dir(global)?) })
    }

    /// Returns an error if an output is one of the inputs. Compares devices and inodes, so symbolic and hard links are
    /// detected.
    pub fn refuse(&self, output: &Path) -> Result<()> {
        let file = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let (place, existing) = (output.display(), file(output));
        if let Some(input) = self.files.iter().find(|input| existing.is_some() && file(input) == existing) {
            let input = input.display();
            let message = format!("{place}: this would replace {input}, which the command reads");
            return Err(Coded::usage(format!("{message}; name another file with -o FILE")));
        }
        // An output that does not exist yet lies in the store if its folder does.
        let folder = output.canonicalize().ok().or_else(|| {
            let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.unwrap_or(Path::new(".")).canonicalize().ok()
        });
        let store = self.store.as_ref().and_then(|store| store.canonicalize().ok());
        if folder.zip(store).is_some_and(|(folder, store)| folder.starts_with(store)) {
            return Err(Coded::usage(format!(
                "{place}: this is in the store's own folder; name another file with -o FILE"
            )));
        }
        Ok(())
    }
}
