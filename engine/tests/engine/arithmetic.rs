//! Ops that compute with single numbers: the second implementation of the engine's trait.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fewbits_engine::context::Context;
use fewbits_engine::ops::{
    Identity, KEY_PART, Keeping, MetricRole, Misfit, NodeKind, OpError, Ops, Output, Probe, SourceContent,
    TaskSource,
};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use fewbits_engine::text::value::Value;
use fewbits_store::{Digest, Record};
use serde_json::json;

const NUMBER: Option<&str> = Some("number");
const VALUE: &[&str] = &["value"];

const fn number(name: &'static str, inputs: &'static [(&'static str, &'static str)]) -> NodeKind {
    let (metrics, roles, seed, keeping) = (VALUE, &[], None, Keeping::WhenAsked);
    NodeKind {
        name,
        inputs,
        optional_input: None,
        output: NUMBER,
        parts: VALUE,
        metrics,
        roles,
        seed,
        keeping,
        probe: None,
    }
}

/// The kind of the probes of `Pick`.
static PROBE: NodeKind = NodeKind { keeping: Keeping::InRecord, ..number("Try", &[("of", "number")]) };

static KINDS: [NodeKind; 14] = [
    number("Number", &[]),
    number("File", &[]),
    // This kind accepts any value; its number is the length of the value's text.
    number("Length", &[]),
    number("Add", &[("left", "number"), ("right", "number")]),
    number("Scale", &[("of", "number")]),
    number("Round", &[("of", "number")]),
    number("Fail", &[("of", "number")]),
    // This kind stands for costly work, so its artifact is kept.
    NodeKind { keeping: Keeping::Always, ..number("Learn", &[("of", "number")]) },
    // This kind may have a second input, and is costly with it.
    NodeKind {
        optional_input: Some(("by", "number")),
        keeping: Keeping::WhenCostly("true with `shift: true`"),
        ..number("Shift", &[("of", "number")])
    },
    // The artifact has two parts.
    NodeKind {
        output: Some("pair"),
        parts: &["fraction", "whole"],
        metrics: &["fraction", "whole"],
        ..number("Split", &[("of", "number")])
    },
    // This kind reads one of the two parts.
    number("Whole", &[("of", "pair")]),
    // This kind has a probe for each of its factors: its number times the factor. It picks the largest within a limit.
    NodeKind { probe: Some(&PROBE), ..number("Pick", &[("of", "number")]) },
    // This kind has no artifact.
    NodeKind { output: None, parts: &[], keeping: Keeping::Never, ..number("Show", &[("of", "number")]) },
    // This kind has the answers for images as text, in which `1` is a correct answer.
    NodeKind {
        output: None,
        parts: &[],
        metrics: &["accuracy", "chance", "total"],
        roles: &[
            (MetricRole::Accuracy, "accuracy"),
            (MetricRole::Chance, "chance"),
            (MetricRole::Total, "total"),
        ],
        keeping: Keeping::Never,
        ..number("Judge", &[])
    },
];

/// The work of one node.
pub enum Op {
    Number {
        value: f64,
    },
    File {
        path: PathBuf,
    },
    Length {
        text: String,
    },
    Add,
    Scale {
        by: f64,
    },
    Round {
        to: f64,
    },
    Fail {
        when: f64,
        panic: bool,
    },
    Learn {
        steps: i64,
        seed: i64,
        stop_at: Option<i64>,
    },
    /// Adds the second input, if it is used.
    Shift {
        is_used: bool,
    },
    Split,
    Whole,
    Pick {
        among: Vec<f64>,
        most: f64,
    },
    Try {
        by: f64,
    },
    /// Reads how its input was made, if `by_key`.
    Show {
        offset: f64,
        by_key: bool,
    },
    Judge {
        answers: String,
    },
}

/// An artifact with one or two numbers, counted while it is in memory.
pub struct Artifact {
    parts: BTreeMap<&'static str, f64>,
    live: Arc<Live>,
}

/// The number of artifacts in memory, and its maximum so far.
#[derive(Default)]
pub struct Live {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Live {
    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Artifact {
    /// Returns the number of an artifact with one part.
    pub fn value(&self) -> f64 {
        self.parts["value"]
    }
}

impl Drop for Artifact {
    fn drop(&mut self) {
        self.live.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A function that is called with the kind of every op before the op computes.
type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

/// The arithmetic ops, with settings for tests.
#[derive(Default)]
pub struct Arithmetic {
    /// The folder at which relative paths start.
    pub base: PathBuf,
    pub live: Arc<Live>,
    /// The number of calls of each kind.
    pub calls: Mutex<BTreeMap<&'static str, usize>>,
    /// A number added to the results of `Scale`, which simulates an op whose numbers change although its key does not.
    pub drift: Mutex<f64>,
    pub hook: Mutex<Option<Hook>>,
    /// Whether the provenance of a record says when its computation ended, in seconds of Unix time.
    pub is_timed: bool,
}

impl Op {
    fn kind(&self) -> &'static str {
        match self {
            Self::Number { .. } => "Number",
            Self::File { .. } => "File",
            Self::Length { .. } => "Length",
            Self::Add => "Add",
            Self::Scale { .. } => "Scale",
            Self::Round { .. } => "Round",
            Self::Fail { .. } => "Fail",
            Self::Learn { .. } => "Learn",
            Self::Shift { .. } => "Shift",
            Self::Split => "Split",
            Self::Whole => "Whole",
            Self::Pick { .. } => "Pick",
            Self::Try { .. } => "Try",
            Self::Show { .. } => "Show",
            Self::Judge { .. } => "Judge",
        }
    }
}

impl Arithmetic {
    fn artifact(&self, parts: BTreeMap<&'static str, f64>) -> Artifact {
        let now = self.live.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.live.most.fetch_max(now, Ordering::SeqCst);
        Artifact { parts, live: Arc::clone(&self.live) }
    }

    fn compute(&self, op: &Op, inputs: &[f64], context: &Context) -> Result<f64, OpError> {
        Ok(match op {
            Op::Number { value } => *value,
            Op::File { path } => read(&self.base.join(path))?,
            Op::Length { text } => text.len() as f64,
            Op::Add => inputs[0] + inputs[1],
            Op::Scale { by } => inputs[0] * by + *self.drift.lock().unwrap(),
            Op::Round { to } => (inputs[0] / to).round() * to,
            Op::Fail { when, panic } if inputs[0] >= *when => {
                assert!(!panic, "a bug in the op");
                return Err(OpError::Failed(format!("{} is too large", inputs[0])));
            }
            Op::Learn { steps, seed, stop_at } => learn(*steps, *stop_at, inputs[0] + *seed as f64, context)?,
            Op::Shift { is_used } => inputs[0] + if *is_used { inputs[1] } else { 0.0 },
            Op::Show { offset, .. } => inputs[0] + offset,
            Op::Try { by } if *by < 0.0 => return Err(OpError::Failed(format!("{by} is below 0"))),
            Op::Try { by } => (inputs[0] * by).floor(),
            Op::Pick { most, .. } => {
                let within = inputs[1..].iter().copied().filter(|value| value <= most);
                within.reduce(f64::max).unwrap_or(0.0)
            }
            Op::Fail { .. } | Op::Whole | Op::Split => inputs[0],
            Op::Judge { answers } => {
                right(answers).filter(|right| *right).count() as f64 / answers.len() as f64
            }
        })
    }
}

/// Packs answers into bits, least significant bit first.
fn bits(answers: &str) -> Vec<u8> {
    let mut bytes = vec![0; answers.len().div_ceil(8)];
    for (at, right) in right(answers).enumerate() {
        bytes[at / 8] |= u8::from(right) << (at % 8);
    }
    bytes
}

fn right(answers: &str) -> impl Iterator<Item = bool> {
    answers.bytes().map(|answer| answer == b'1')
}

fn read(path: &PathBuf) -> Result<f64, OpError> {
    let text = fs::read_to_string(path).map_err(|error| OpError::Missing(format!("no number: {error}")))?;
    text.trim().parse().map_err(|error| OpError::Failed(format!("{}: {error}", path.display())))
}

/// Adds 1 `steps` times. With `stop_at`, every step is saved in a checkpoint, and a run without a checkpoint waits at
/// that step until it is cancelled.
fn learn(steps: i64, stop_at: Option<i64>, start: f64, context: &Context) -> Result<f64, OpError> {
    let saved = context.checkpoint().and_then(|bytes| Some(i64::from_le_bytes(bytes.try_into().ok()?)));
    for step in saved.unwrap_or(0) + 1..=steps {
        while stop_at == Some(step) && saved.is_none() && !context.cancelled() {
            std::thread::yield_now();
        }
        if context.cancelled() {
            return Err(OpError::Cancelled);
        }
        let metrics = BTreeMap::from([("value".to_owned(), start + step as f64)]);
        context.report(step as u64, steps as u64, metrics);
        if stop_at.is_some() {
            context.save_checkpoint(&step.to_le_bytes());
        }
    }
    Ok(start + steps as f64)
}

impl Ops for Arithmetic {
    type Op = Op;
    type Port = ();
    type Artifact = Artifact;

    fn kinds(&self) -> &'static [NodeKind] {
        &KINDS
    }

    fn read_op(&self, kind: &str, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Op> {
        Some(match kind {
            "Number" => Op::Number { value: fields.required("value", faults)? },
            "File" => Op::File { path: PathBuf::from(fields.required::<String>("path", faults)?) },
            "Length" => Op::Length { text: fields.required::<Value>("of", faults)?.to_string() },
            "Add" => Op::Add,
            "Scale" => Op::Scale { by: fields.required("by", faults)? },
            "Round" => Op::Round { to: fields.optional("to", 1.0, faults)? },
            "Fail" => {
                let (when, panic) =
                    (fields.required("when", faults), fields.optional("panic", false, faults));
                Op::Fail { when: when?, panic: panic? }
            }
            "Learn" => {
                let steps = fields.whole("steps", 0..=i64::MAX, Some(3), faults);
                let seed = fields.optional("seed", 0, faults);
                Op::Learn { steps: steps?, seed: seed?, stop_at: fields.optional("stop_at", None, faults)? }
            }
            "Shift" => Op::Shift { is_used: fields.optional("use", true, faults)? },
            "Split" => Op::Split,
            "Pick" => {
                let (among, most) = (fields.required("among", faults), fields.required("most", faults));
                Op::Pick { among: among?, most: most? }
            }
            "Whole" => Op::Whole,
            "Judge" => Op::Judge { answers: fields.required("answers", faults)? },
            _ => Op::Show {
                offset: fields.optional("offset", 0.0, faults)?,
                by_key: fields.optional("by_key", false, faults)?,
            },
        })
    }

    fn port(&self, _: &Op, _: &[&()]) -> Result<(), Misfit> {
        Ok(())
    }

    fn identity(&self, op: &Op) -> Identity {
        let (name, params) = match op {
            Op::Number { value } => ("number", json!({ "value": value })),
            Op::File { .. } => ("file", json!({})),
            Op::Length { text } => ("length", json!({ "of": text })),
            Op::Add => ("add", json!({})),
            Op::Scale { by } => ("scale", json!({ "by": by })),
            Op::Round { to } => ("round", json!({ "to": to })),
            Op::Fail { when, panic } => ("fail", json!({ "when": when, "panic": panic })),
            // The step at which it stops does not affect its result.
            Op::Learn { steps, seed, .. } => ("learn", json!({ "steps": steps, "seed": seed })),
            Op::Shift { is_used } => ("shift", json!({ "use": is_used })),
            Op::Split => ("split", json!({})),
            Op::Pick { among, most } => ("pick", json!({ "among": among, "most": most })),
            Op::Try { by } => ("try", json!({ "by": by })),
            Op::Whole => ("whole", json!({})),
            Op::Show { offset, .. } => ("show", json!({ "offset": offset })),
            Op::Judge { answers } => ("judge", json!({ "answers": answers })),
        };
        Identity { op: name, version: 1, params }
    }

    fn reads(&self, op: &Op) -> Vec<(usize, &'static str)> {
        match op {
            Op::Number { .. } | Op::File { .. } | Op::Length { .. } | Op::Judge { .. } => vec![],
            Op::Add | Op::Shift { is_used: true } => vec![(0, "value"), (1, "value")],
            Op::Whole => vec![(0, "whole")],
            Op::Show { by_key: true, .. } => vec![(0, KEY_PART)],
            _ => vec![(0, "value")],
        }
    }

    fn probes(&self, op: &Op, _: &[&()]) -> Option<Vec<Probe<Op>>> {
        let Op::Pick { among, .. } = op else { return None };
        Some(among.iter().map(|&by| Probe { label: format!("{by}"), op: Op::Try { by } }).collect())
    }

    fn is_costly(&self, op: &Op) -> bool {
        matches!(op, Op::Shift { is_used: true })
    }

    fn sources(&self, op: &Op) -> Result<Vec<TaskSource>, OpError> {
        let Op::File { path } = op else { return Ok(vec![]) };
        let missing = format!("there is no {}: write a number into it", path.display());
        let content = SourceContent::File { path: self.base.join(path), missing };
        Ok(vec![TaskSource { name: "file".to_owned(), content }])
    }

    fn run(&self, op: &Op, inputs: &[Arc<Artifact>], context: &Context) -> Result<Output<Artifact>, OpError> {
        *self.calls.lock().unwrap().entry(op.kind()).or_default() += 1;
        if let Some(hook) = &*self.hook.lock().unwrap() {
            hook(op.kind());
        }
        let first = |input: &Arc<Artifact>| input.parts.get("value").or(input.parts.get("whole")).copied();
        let inputs: Vec<f64> = inputs.iter().map(|input| first(input).unwrap()).collect();
        let result = self.compute(op, &inputs, context)?;
        let numbers = match op {
            Op::Split => BTreeMap::from([("fraction", result.fract()), ("whole", result.trunc())]),
            Op::Judge { answers } => {
                BTreeMap::from([("accuracy", result), ("chance", 0.1), ("total", answers.len() as f64)])
            }
            _ => BTreeMap::from([("value", result)]),
        };
        let artifact = (!matches!(op, Op::Show { .. } | Op::Judge { .. }))
            .then(|| Arc::new(self.artifact(numbers.clone())));
        let digest = |(name, bytes): (String, Vec<u8>)| (name, Digest::hash(&bytes));
        let parts = artifact.as_ref().map(|artifact| self.encode(artifact)).unwrap_or_default();
        Ok(Output {
            artifact,
            parts: parts.into_iter().map(digest).collect(),
            metrics: numbers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            series: BTreeMap::new(),
            correct: match op {
                Op::Judge { answers } => Some(bits(answers)),
                _ => None,
            },
        })
    }

    fn encode(&self, artifact: &Artifact) -> BTreeMap<String, Vec<u8>> {
        let bytes = |(name, value): (&&str, &f64)| ((*name).to_owned(), value.to_le_bytes().to_vec());
        artifact.parts.iter().map(bytes).collect()
    }

    fn decode(&self, _: &Op, _: &Record, parts: BTreeMap<String, Vec<u8>>) -> Result<Artifact, OpError> {
        let wrong = |_| OpError::Failed("not a number".to_owned());
        let mut numbers = BTreeMap::new();
        for name in ["fraction", "value", "whole"] {
            if let Some(bytes) = parts.get(name) {
                numbers.insert(name, f64::from_le_bytes(bytes.clone().try_into().map_err(wrong)?));
            }
        }
        Ok(self.artifact(numbers))
    }

    fn decode_metrics(&self, metrics: &BTreeMap<String, f64>) -> Result<Artifact, OpError> {
        Ok(self.artifact(BTreeMap::from([("value", metrics["value"])])))
    }

    fn provenance(&self, _: &str, _: &Self::Op) -> BTreeMap<String, String> {
        let mut provenance = BTreeMap::from([("made_by".to_owned(), "arithmetic".to_owned())]);
        if self.is_timed {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            provenance.insert("ended".to_owned(), now.as_secs_f64().to_string());
        }
        provenance
    }
}
