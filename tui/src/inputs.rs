//! The files that a command reads, of which no output may take the place.
//! Knows nothing of what is in them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::ops::{Ops, SourceContent};
use fewbits_ops::StandardOps;

use crate::cli::Global;
use crate::exit::Coded;
use crate::session::store_dir;

/// The files that a command reads; `-o` must not replace them.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Files.
    pub files: Vec<PathBuf>,
    /// The folder of the store: every file in it.
    pub store: Option<PathBuf>,
}

impl Inputs {
    /// Returns what a command reads of an experiment: its file, the files of its datasets, and the store.
    pub fn collect(
        graph: &TaskGraph<StandardOps>,
        ops: &StandardOps,
        file: &Path,
        global: &Global,
    ) -> Result<Self> {
        let mut files = vec![file.to_path_buf()];
        for work in graph.steps.iter().flat_map(|step| &step.works) {
            let sources = ops.sources(&work.op).unwrap_or_default();
            files.extend(sources.into_iter().filter_map(|source| match source.content {
                SourceContent::File { path, .. } => Some(path),
                SourceContent::Embedded(_) => None,
            }));
        }
        Ok(Self { files, store: Some(store_dir(global)?) })
    }

    /// Refuses an output that is one of the inputs, under whatever name: symbolic and hard links lead to one file.
    pub fn refuse(&self, output: &Path) -> Result<()> {
        let file = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let (place, existing) = (output.display(), file(output));
        if let Some(input) = self.files.iter().find(|input| existing.is_some() && file(input) == existing) {
            let input = input.display();
            let message = format!("{place}: this would replace {input}, which the command reads");
            return Err(Coded::usage(format!("{message}; name another file with -o FILE")));
        }
        // The output may not exist yet: then its folder decides whether it lies in the store.
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
