//! The faults of files with networks that others trained.

use thiserror::Error;

/// A fault of a file with a network.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// Path of the file.
        file: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is larger than a file of its kind may be.
    #[error("{file}: {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// Path of the file.
        file: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are not a file of this kind.
    #[error("{file}: {what}")]
    Format {
        /// Path of the file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The network has nodes that fewbits does not compute.
    #[error("{file}: {}", sentence(.nodes))]
    Unsupported {
        /// Path of the file.
        file: String,
        /// Every such node, with the reason.
        nodes: Vec<String>,
    },
    /// The output that is asked for is not there, or none is and there are several.
    #[error("{file}: {what}")]
    Output {
        /// Path of the file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The outputs differ from those of another runtime.
    #[error(
        "{file}: the largest difference from its outputs is {difference:.1e} of the largest output; above {limit:.0e} the \
         imported network is another one: check that `golden` was made from this file, after `network.eval()`, with the \
         inputs as the network takes them and the outputs as the file gives them, with a softmax only if the file has one"
    )]
    Golden {
        /// Path of the file with the outputs.
        file: String,
        /// The largest difference relative to the largest output.
        difference: f64,
        /// The largest difference that is allowed.
        limit: f64,
    },
}

/// Returns the sentence about nodes.
fn sentence(nodes: &[String]) -> String {
    const MOST: usize = 20;
    let mut text = nodes.iter().take(MOST).cloned().collect::<Vec<_>>().join("; ");
    if nodes.len() > MOST {
        text.push_str(&format!("; and {} more", nodes.len() - MOST));
    }
    text
}

impl ImportError {
    pub(crate) fn format(file: &str, what: impl Into<String>) -> Self {
        Self::Format { file: file.to_owned(), what: what.into() }
    }
}
