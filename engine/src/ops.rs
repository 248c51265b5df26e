//! The trait between the engine and the ops, with the types in its interface.
//! It has two implementers, so that the engine can be tested without networks: the ops of fewbits and the arithmetic
//! ops of the engine's own tests. Knows no op.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fewbits_store::{Digest, Record, Series};

use crate::context::Context;
use crate::text::fault::Faults;
use crate::text::fields::Fields;

/// One kind of node: its name in a file, its wiring and its metrics.
#[derive(Clone, Copy, Debug)]
pub struct NodeKind {
    /// The variant's name in the file: `Train`.
    pub name: &'static str,
    /// The inputs, as pairs of the field that names the node and the type of artifact that the node must produce.
    pub inputs: &'static [(&'static str, &'static str)],
    /// An input that a node may leave out. It stands behind the others, and only tasks whose op reads it have it.
    pub optional_input: Option<(&'static str, &'static str)>,
    /// The type of the artifact; `None` if the kind has no artifact for other nodes.
    pub output: Option<&'static str>,
    /// The names of the artifact's parts.
    pub parts: &'static [&'static str],
    /// The metrics that a record may have.
    pub metrics: &'static [&'static str],
    /// The metrics that the engine and the tui treat by their meaning, each with its role.
    pub roles: &'static [(MetricRole, &'static str)],
    /// The parameter that seeds independent repetitions, the usual unit of replication; `None` if there is none.
    pub seed: Option<&'static str>,
    /// Whether the store keeps the artifact.
    pub keeping: Keeping,
    /// The kind of the probes of a node of this kind, which read the same inputs; `None` if it has none.
    pub probe: Option<&'static Self>,
}

/// The part that an op reads of an input if its result depends on how the input was made, beside its content: the key of the
/// input's task.
pub const KEY_PART: &str = "key";

/// A task that an op reads beside its inputs, and that no file names.
#[derive(Debug)]
pub struct Probe<P> {
    /// Its name among the probes of the op.
    pub label: String,
    /// Its op.
    pub op: P,
}

/// The roles of metrics: the engine and the tui know metrics by their roles, never by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricRole {
    /// The share of images classified correctly; the record has one bit per image.
    Accuracy,
    /// The number of images that the accuracy is a share of.
    Total,
    /// The accuracy of a classifier that always gives the most frequent class.
    Chance,
    /// A bound of Wilson's confidence interval of a share of images.
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
    /// The share of training images classified correctly in an epoch.
    TrainAccuracy,
    /// The mean loss over the validation images after an epoch.
    ValidationLoss,
    /// The share of validation images classified correctly after an epoch.
    ValidationAccuracy,
}

impl NodeKind {
    /// The kind that stands in for an unknown node: it has no metrics.
    pub(crate) const NONE: Self = Self {
        name: "",
        inputs: &[],
        optional_input: None,
        output: None,
        parts: &[],
        metrics: &[],
        roles: &[],
        seed: None,
        keeping: Keeping::Never,
        probe: None,
    };

    /// Returns all inputs, the optional one last.
    pub fn all_inputs(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        self.inputs.iter().copied().chain(self.optional_input)
    }

    /// Returns the metric with a role; the first if several have it.
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

/// The rule by which a kind's artifact goes into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Never: there is no artifact, or it is cheaper to make it again from its source.
    Never,
    /// Only if the file says `keep: true`: the artifact is cheap to make again.
    WhenAsked,
    /// Unless the file says `keep: false`: the artifact is costly to make again.
    Always,
    /// Never, because the record says it all: [`Ops::decode_metrics`] makes the artifact from it.
    InRecord,
    /// As [`Self::Always`] where [`Ops::is_costly`], else as [`Self::WhenAsked`]; the default in words.
    WhenCostly(&'static str),
}

impl Keeping {
    /// Returns the default of a node's `keep` in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Never | Self::InRecord => "false, and nothing else",
            Self::WhenAsked => "false",
            Self::Always => "true",
            Self::WhenCostly(words) => words,
        }
    }
}

/// The identity of a computation, apart from the content of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The op's name in the preimage.
    pub op: &'static str,
    /// The op's version; it is raised when the op's numbers change.
    pub version: u32,
    /// All parameters that affect the result, with defaults resolved.
    pub params: serde_json::Value,
}

/// A file or embedded content outside the experiment that a task reads.
#[derive(Clone, Debug)]
pub struct TaskSource {
    /// Its name in the preimage.
    pub name: String,
    /// The origin of its content.
    pub content: SourceContent,
}

/// The content of a source.
#[derive(Clone, Debug)]
pub enum SourceContent {
    /// Content embedded in the program.
    Embedded(Digest),
    /// A file.
    File {
        /// The path of the file, even if it does not exist.
        path: PathBuf,
        /// The message if the file does not exist: the name of the missing file, and the fix.
        missing: String,
    },
}

/// A step from a value in an experiment to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// An entry of a map, by its key.
    Key(String),
    /// An item of a list, or of a variant's only list, counted from 0.
    Item(usize),
    /// A field of a variant, by its name.
    Field(&'static str),
}

/// A fault of the wiring: an input does not fit the op. It is found before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The field of the node at which the fault is reported.
    pub field: &'static str,
    /// The way to the part of the field that does not fit; empty if it is the whole field.
    pub path: Vec<PathStep>,
    /// The message.
    pub message: String,
    /// The hint.
    pub hint: String,
}

/// The output of a task.
#[derive(Debug)]
pub struct Output<A> {
    /// The artifact; `None` if the kind has no artifact for other nodes.
    pub artifact: Option<Arc<A>>,
    /// The digests of the artifact's parts.
    pub parts: BTreeMap<String, Digest>,
    /// The metrics by name; undefined ones are absent.
    pub metrics: BTreeMap<String, f64>,
    /// The series by name.
    pub series: BTreeMap<String, Series>,
    /// One bit per image, least significant first: whether the image was classified correctly.
    pub correct: Option<Vec<u8>>,
}

/// The reason that a task failed, in one sentence with a fix.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The run was cancelled; this is not a failure.
    #[error("cancelled")]
    Cancelled,
    /// Something outside the experiment is missing: the task can run once it is there.
    #[error("{0}")]
    Missing(String),
    /// The computation failed.
    #[error("{0}")]
    Failed(String),
}

/// The ops of an engine: their parameters, keys, computations and artifacts.
pub trait Ops: Send + Sync + 'static {
    /// An op with its parameters read.
    type Op: Send + Sync + 'static;
    /// The facts about an artifact that are known before it is made: shapes, classes, origin.
    type Port: Clone + Eq + std::hash::Hash + Send + Sync + 'static;
    /// The artifact that tasks pass to each other in memory.
    type Artifact: Send + Sync + 'static;

    /// Returns the kinds of nodes.
    fn kinds(&self) -> &'static [NodeKind];

    /// Reads the parameters of a node of this kind; the engine has already taken the inputs and `keep`.
    fn read_op(&self, kind: &str, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Self::Op>;

    /// Checks an op against the ports of the inputs that it reads (in the order of [`NodeKind::all_inputs`]) and returns
    /// the port of its artifact.
    fn port(&self, op: &Self::Op, inputs: &[&Self::Port]) -> Result<Self::Port, Misfit>;

    /// Returns the warnings about an op with these inputs, a sentence each: facts that are no faults.
    fn warnings(&self, op: &Self::Op, inputs: &[&Self::Port]) -> Vec<String> {
        let _ = (op, inputs);
        vec![]
    }

    /// Returns the probes of an op with these inputs, each once; only for kinds with [`NodeKind::probe`]. `None` if the ports do
    /// not tell them. A parameter that no probe has stays out of their identities: another value then runs no probe.
    fn probes(&self, op: &Self::Op, inputs: &[&Self::Port]) -> Option<Vec<Probe<Self::Op>>> {
        let _ = (op, inputs);
        None
    }

    /// Returns the identity of the op: name, version and parameters.
    fn identity(&self, op: &Self::Op) -> Identity;

    /// Returns whether the op's artifact is costly to make again; only for kinds with [`Keeping::WhenCostly`].
    fn is_costly(&self, op: &Self::Op) -> bool {
        let _ = op;
        false
    }

    /// Returns how much an op computes beside others of its kind, as far as its parameters alone say. The time that a task may
    /// take is estimated from that of others in proportion.
    fn work(&self, op: &Self::Op) -> f64 {
        let _ = op;
        1.0
    }

    /// Returns the parts that the op reads, as pairs of the input's index and the part's name. An op reads at least
    /// one part of every input but the optional one. [`KEY_PART`] is the key of the input's task.
    fn reads(&self, op: &Self::Op) -> Vec<(usize, &'static str)>;

    /// Returns the sources that the op reads.
    fn sources(&self, op: &Self::Op) -> Result<Vec<TaskSource>, OpError>;

    /// Runs the op on the artifacts of the inputs that it reads, then of its probes. The engine calls this on a thread of the executor, inside its rayon pool.
    fn run(
        &self,
        op: &Self::Op,
        inputs: &[Arc<Self::Artifact>],
        context: &Context,
    ) -> Result<Output<Self::Artifact>, OpError>;

    /// Returns the bytes of each part, as the store keeps them; their digests are those of [`Output::parts`].
    fn encode(&self, artifact: &Self::Artifact) -> BTreeMap<String, Vec<u8>>;

    /// Decodes the artifact of an op from the bytes of its parts, and from its record.
    fn decode(
        &self,
        op: &Self::Op,
        record: &Record,
        parts: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self::Artifact, OpError>;

    /// Makes an artifact from the metrics of its record; only for kinds with [`Keeping::InRecord`].
    fn decode_metrics(&self, metrics: &BTreeMap<String, f64>) -> Result<Self::Artifact, OpError> {
        let _ = metrics;
        Err(OpError::Failed("no artifact is in a record".to_owned()))
    }

    /// Returns what networks of these ops compute with, as a sentence without its end.
    fn activations(&self, ops: &[&Self::Op]) -> &'static str {
        let _ = ops;
        "activations are binary32"
    }

    /// Returns which tensors of networks these ops quantize, as a sentence without its end; `None` if they quantize none.
    fn quantized(&self, ops: &[&Self::Op]) -> Option<&'static str> {
        let _ = ops;
        None
    }

    /// Returns a remark for the readers of a table, such as that it compares unlike things; `None` if there is none.
    fn remark(&self, works: &[&Self::Op]) -> Option<String> {
        let _ = works;
        None
    }

    /// Returns the sources of the methods of these ops, as a bibliography has them, each once.
    fn literature(&self, ops: &[&Self::Op]) -> Vec<&'static str> {
        let _ = ops;
        vec![]
    }

    /// Returns whether the op gives the same bits whenever and wherever it runs. If not, its artifact must be kept, and
    /// no record of it is compared with a new computation.
    fn is_exact(&self, op: &Self::Op) -> bool {
        let _ = op;
        true
    }

    /// Returns the provenance for records of an op of this name: the libraries and builds that its numbers depend on.
    fn provenance(&self, name: &str, op: &Self::Op) -> BTreeMap<String, String>;
}
