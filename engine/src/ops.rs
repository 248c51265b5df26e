//! What the engine asks of the ops: the one trait between them.
//! It has two implementers, so that the engine can be tested without networks: the ops of fewbits and the
//! arithmetic ops of the engine's own tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fewbits_store::{Digest, Series};

use crate::run::context::Context;
use crate::text::fault::Faults;
use crate::text::fields::Fields;

/// One kind of node: its name in a file, its wiring and its metrics.
#[derive(Clone, Copy, Debug)]
pub struct NodeKind {
    /// The variant's name in the file: `Train`.
    pub name: &'static str,
    /// Its inputs: the field that names the node, and the type of artifact that must come from it.
    pub inputs: &'static [(&'static str, &'static str)],
    /// The type of its artifact, if other nodes can read it.
    pub output: Option<&'static str>,
    /// The parts of its artifact.
    pub parts: &'static [&'static str],
    /// The metrics it may record.
    pub metrics: &'static [&'static str],
    /// The metrics that tables, questions and views treat by their meaning, each with its role.
    pub roles: &'static [(MetricRole, &'static str)],
    /// The parameter that seeds independent repetitions, if there is one: the usual unit of replication.
    pub seed: Option<&'static str>,
    /// Whether its artifact goes into the store.
    pub keeping: Keeping,
}

/// The meanings of metrics: the engine and the tui know metrics by their roles, never by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricRole {
    /// The share of images answered right; the record has one bit per image.
    Accuracy,
    /// The number of images that the accuracy is a share of.
    Total,
    /// The accuracy of always giving the most frequent class.
    Chance,
    /// An end of Wilson's interval of a share of images.
    WilsonBound,
    /// The p-value of `McNemar`'s test of two networks on the same images.
    McNemarP,
    /// The bytes of a network's tensors as stored.
    Bytes,
    /// The stored bits per weight, scales included.
    BitsPerWeight,
    /// The bits of a code, scales not included.
    CodeBits,
    /// The mean loss over the training images of an epoch.
    TrainLoss,
    /// The share of training images answered right in an epoch.
    TrainAccuracy,
    /// The mean loss over the validation images after an epoch.
    ValidationLoss,
    /// The share of validation images answered right after an epoch.
    ValidationAccuracy,
}

impl NodeKind {
    /// The kind of a node that is not there: it has no metrics.
    pub(crate) const NONE: Self = Self {
        name: "",
        inputs: &[],
        output: None,
        parts: &[],
        metrics: &[],
        roles: &[],
        seed: None,
        keeping: Keeping::Never,
    };

    /// Returns the metric with a role, the first if several have it.
    #[must_use]
    pub fn metric(&self, role: MetricRole) -> Option<&'static str> {
        self.roles.iter().find(|(of, _)| *of == role).map(|(_, name)| *name)
    }

    /// Returns whether a metric has a role.
    #[must_use]
    pub fn has_role(&self, metric: &str, role: MetricRole) -> bool {
        self.roles.iter().any(|(of, name)| *of == role && *name == metric)
    }
}

/// When an artifact goes into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Never: there is none, or it is made again from its source at less cost.
    Never,
    /// When the file says `keep: true`: it is cheap to make again.
    WhenAsked,
    /// Unless the file says `keep: false`: it is costly to make again.
    Always,
}

impl Keeping {
    /// Says what a node's `keep` is where it is not given.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Never => "false, and nothing else",
            Self::WhenAsked => "false",
            Self::Always => "true",
        }
    }
}

/// What identifies a computation besides the content of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The op's name in the preimage.
    pub op: &'static str,
    /// The op's version, raised when its numbers change.
    pub version: u32,
    /// All parameters that matter, defaults resolved.
    pub params: serde_json::Value,
}

/// Something outside the experiment that a task reads.
#[derive(Clone, Debug)]
pub struct TaskSource {
    /// Its name in the preimage.
    pub name: String,
    /// Where its content comes from.
    pub content: SourceContent,
}

/// The content of a source.
#[derive(Clone, Debug)]
pub enum SourceContent {
    /// Part of the program.
    Embedded(Digest),
    /// A file.
    File {
        /// Where it is, or would be.
        path: PathBuf,
        /// What to say when it is not there: what is missing, and what to do.
        missing: String,
    },
}

/// Wiring that does not fit, found before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The field of the node that it is about.
    pub field: &'static str,
    /// The entry of that field, where it is a map and only one of its entries does not fit.
    pub entry: Option<String>,
    /// What does not fit.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What a task made.
#[derive(Debug)]
pub struct Output<A> {
    /// The artifact, if other nodes can read it.
    pub artifact: Option<Arc<A>>,
    /// The digests of the artifact's parts.
    pub parts: BTreeMap<String, Digest>,
    /// Named scalars; undefined ones are absent.
    pub metrics: BTreeMap<String, f64>,
    /// Named curves.
    pub series: BTreeMap<String, Series>,
    /// One bit per image, least significant first: whether it was classified correctly.
    pub correct: Option<Vec<u8>>,
}

/// Why a task failed, in one sentence a user can act on.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The run was cancelled; not a failure.
    #[error("cancelled")]
    Cancelled,
    /// Something outside is missing: the task can run once it is there.
    #[error("{0}")]
    Missing(String),
    /// The work failed.
    #[error("{0}")]
    Failed(String),
}

/// The ops an engine works with.
pub trait Ops: Send + Sync + 'static {
    /// One node's work with its parameters resolved.
    type Op: Send + Sync + 'static;
    /// What is known of an artifact before it is made: shapes, classes, origin.
    type Port: Clone + Eq + std::hash::Hash + Send + Sync + 'static;
    /// What tasks hand to each other in memory.
    type Artifact: Send + Sync + 'static;

    /// Returns the kinds of nodes there are.
    fn kinds(&self) -> &'static [NodeKind];

    /// Reads the parameters of a node of this kind; the engine has taken the inputs and `keep` already.
    fn read_op(&self, kind: &str, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Self::Op>;

    /// Checks an op against what is known of its inputs (in the order of [`NodeKind::inputs`]) and returns what is
    /// known of its artifact.
    fn port(&self, op: &Self::Op, inputs: &[&Self::Port]) -> Result<Self::Port, Misfit>;

    /// Returns what identifies the op's work.
    fn identity(&self, op: &Self::Op) -> Identity;

    /// Returns the parts of its inputs that the op reads: the input's place and the part's name. It reads at least
    /// one part of every input.
    fn reads(&self, op: &Self::Op) -> Vec<(usize, &'static str)>;

    /// Returns what the op reads from outside the experiment.
    fn sources(&self, op: &Self::Op) -> Result<Vec<TaskSource>, OpError>;

    /// Does the work. Called on a thread of the executor, inside its rayon pool.
    fn run(
        &self,
        op: &Self::Op,
        inputs: &[Arc<Self::Artifact>],
        context: &Context,
    ) -> Result<Output<Self::Artifact>, OpError>;

    /// Returns the bytes of each part, as kept in the store; their digests are those of [`Output::parts`].
    fn encode(&self, artifact: &Self::Artifact) -> BTreeMap<String, Vec<u8>>;

    /// Makes an artifact from the bytes of its parts.
    fn decode(&self, parts: BTreeMap<String, Vec<u8>>) -> Result<Self::Artifact, OpError>;

    /// Returns what a reader of a table must know of the works behind it, such as that it compares unlike things.
    fn remark(&self, works: &[&Self::Op]) -> Option<String> {
        let _ = works;
        None
    }

    /// Returns what makes the numbers of works of this name, for the provenance of their records.
    fn provenance(&self, name: &str) -> BTreeMap<String, String>;
}
