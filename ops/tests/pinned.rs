//! Each op's key and output on a tiny input, pinned: a change here means that the op's version must be raised, or
//! every store out there would answer with numbers this program no longer computes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fewbits_engine::graph::{Graph, MOST_TASKS, TaskId};
use fewbits_engine::ops::{Content, Ops, Output};
use fewbits_engine::preimage::preimage;
use fewbits_engine::run::context::Context;
use fewbits_ops::format::{Format, RandomBits, Rounding};
use fewbits_ops::quantize::{Quantizer, Recipe, Tensor, Tensors};
use fewbits_ops::{Artifact, StandardOps};
use fewbits_store::{Digest, Key};

const TEXT: &str = r#"
Experiment(
    name: "pinned",
    nodes: {
        "data":  Dataset(source: Mnist10k, train: 60, test: 30, validation: 20, seed: 3),
        "net":   Train(data: "data", model: Mlp(hidden: [8], dropout: 0.25), batch: 16, epochs: 2, seed: 5),
        "small": Quantize(model: "net", format: Float(e: 2, m: 1), rounding: Stochastic, seed: 7, tensors: All),
        "judge": Evaluate(model: "small", data: "data", split: Validation),
    },
)
"#;

/// Runs every node of the text once, in order; returns a line for each key, part and metric.
fn made() -> String {
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    let graph = Graph::read(TEXT, &ops, MOST_TASKS).unwrap();
    let context = Context::new(Arc::new(AtomicBool::new(false)), Box::new(|_, _, _| ()), None);
    let mut outputs: BTreeMap<TaskId, Output<Artifact>> = BTreeMap::new();
    let mut text = String::new();
    for &node in &graph.order {
        let task = graph.task(node, 0);
        let (work, inputs) = (graph.work(task), graph.inputs(task));
        let node = &graph.experiment.nodes[node];
        let mut read = BTreeMap::new();
        for &(place, part) in &work.reads {
            read.insert(format!("{}.{part}", node.kind.inputs[place].0), outputs[&inputs[place]].parts[part]);
        }
        for source in ops.sources(&work.op).unwrap() {
            let Content::Embedded(digest) = source.content else { panic!("{} is a file", source.name) };
            read.insert(source.name, digest);
        }
        let key = Key::derive(&preimage(&work.identity, &work.params, &read));
        let artifacts: Vec<_> = inputs.iter().map(|input| outputs[input].artifact.clone().unwrap()).collect();
        let output = ops.run(&work.op, &artifacts, &context).unwrap();
        text += &format!("{} key {}\n", node.name, key.short());
        for (part, digest) in &output.parts {
            text += &format!("{} {part} {}\n", node.name, digest.short());
        }
        for (metric, value) in &output.metrics {
            text += &format!("{} {metric} {value}\n", node.name);
        }
        outputs.insert(task, output);
    }
    text
}

#[test]
fn keys_and_outputs_are_pinned() {
    let made = made();
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    let numerics = ops.provenance()["numerics"].clone();
    let trained = match numerics.split(' ').next() {
        Some("x86-64-fma") => FMA,
        Some("x86-64-avx512") => AVX512,
        // Other kernels add in another order when they train.
        _ => "",
    };
    for line in EVERYWHERE.lines().chain(trained.lines()) {
        assert!(
            made.lines().any(|made| made == line),
            "{line}\non {numerics}; this is what it is now:\n{made}"
        );
    }
}

/// What weights by a formula become, the same on every machine: one digest over all formats and roundings.
#[test]
fn quantized_weights_are_pinned() {
    let weights: Vec<f32> = (0..1200).map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 4096.0).collect();
    let mut bytes = vec![];
    for text in FORMATS {
        for rounding in [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic]
        {
            let recipe = Recipe::new(Format::parse(text).unwrap(), rounding, None).unwrap();
            let tensor = Tensor { name: "linear1.weight", shape: &[30, 40], data: &weights };
            let quantizer = Quantizer {
                recipe,
                layers: BTreeMap::new(),
                seed: 1,
                random_bits: RandomBits::default(),
                tensors: Tensors::Weights,
            };
            let quantized = quantizer.quantize(&[tensor]).unwrap();
            bytes.extend(quantized.data[0].iter().flat_map(|weight| weight.to_le_bytes()));
        }
    }
    assert_eq!(Digest::of(&bytes).short(), "2cc65f80fef5");
}

const FORMATS: [&str; 14] = [
    "E2M1",
    "Float(e: 3, m: 0)",
    "Float(e: 3, m: 2, bias: Exactly(9), subnormals: Flush)",
    "Int(4)",
    "Int(bits: 3, range: Asymmetric)",
    "Fixed(int: -1, frac: 4)",
    "PowerOfTwo(4)",
    "Posit(n: 6, es: 1)",
    "Ternary",
    "Binary",
    "Nf4",
    "KMeans(3)",
    "Values([-0.2, 0, 0.03, 0.2])",
    "Mx(E2M3)",
];

const EVERYWHERE: &str = "\
data key 311cf6f261c6
data test 8a94480e26e4
data train 0632e4ededd3
data validation 9490927f63f1
data classes 10
data test_images 30
data train_images 60
data validation_images 20
net key 774117021ef4
net multiply_accumulates 6352
net parameters 6370
";

/// x86-64-fma, all lines.
const FMA: &str = "\
net model dd9de7c557d1
net train_accuracy 0.1
net train_loss 2.303842527299217
net validation_accuracy 0.2
net validation_loss 2.2870133225306044
small key 34d71f63204a
small model fb7bab82a056
small bits_per_weight 4
small bytes 3185
small code_bits 4
small flushed 0.9580847723704866
small max_error 0.4968227557837963
small mse 0.009606071566681246
small saturated 0
small scaled 0
small sqnr_db -9.718061815378382
judge key c9971ece2943
judge accuracy 0.05
judge accuracy_high 0.23613119344674205
judge accuracy_low 0.008881448800795402
judge correct 1
judge loss 2.441465146038819
judge non_finite 0
judge total 20
";

/// x86-64-avx512, but for the keys and digests that changed with version 2 of Quantize.
const AVX512: &str = "\
net model 542b174fb319
net train_accuracy 0.1
net train_loss 2.30384252954876
net validation_accuracy 0.2
net validation_loss 2.287013323596295
small bits_per_weight 4
small bytes 3185
small code_bits 4
small flushed 0.9580847723704866
small max_error 0.4968227557837963
small mse 0.009606071565792391
small saturated 0
small scaled 0
small sqnr_db -9.718061815335506
judge accuracy 0.05
judge accuracy_high 0.23613119344674205
judge accuracy_low 0.008881448800795402
judge correct 1
judge loss 2.441465146038819
judge non_finite 0
judge total 20
";
