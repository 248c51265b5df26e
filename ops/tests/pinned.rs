//! Each op's key and output on a tiny input, pinned. A change here means that the op's version must be raised;
//! otherwise every existing store answers with numbers that this program no longer computes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fewbits_engine::context::Context;
use fewbits_engine::dense::{DenseId, NodeId, PointId};
use fewbits_engine::graph::{MOST_TASKS, TaskGraph, TaskId};
use fewbits_engine::ops::{Ops, Output, SourceContent};
use fewbits_engine::preimage::preimage;
use fewbits_ops::format::{Format, RandomBits, Rounding};
use fewbits_ops::quantize::{Quantization, Quantizer, Tensor, Tensors};
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
        "change": Compare(model: "small", baseline: "net", data: "data"),
        "shape": Describe(model: "net", layer: "linear1"),
        "whole": Describe(model: "net"),
    },
)
"#;

/// Runs every node of the text once, in order; returns a line for each key, part and metric.
fn made() -> String {
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    let graph = TaskGraph::parse(TEXT, &ops, MOST_TASKS).unwrap();
    let context = Context::new(Arc::new(AtomicBool::new(false)), Box::new(|_, _, _| ()), None);
    let mut outputs: BTreeMap<TaskId, Output<Artifact>> = BTreeMap::new();
    let mut text = String::new();
    for &node in &graph.order {
        let task = graph.task(node, PointId::from_index(0));
        let (work, inputs) = (graph.resolved_op(task), graph.inputs(task));
        let node = &graph.experiment.nodes[node];
        let mut read = BTreeMap::new();
        for &(place, part) in &work.reads {
            read.insert(format!("{}.{part}", node.kind.inputs[place].0), outputs[&inputs[place]].parts[part]);
        }
        for source in ops.sources(&work.op).unwrap() {
            let SourceContent::Embedded(digest) = source.content else { panic!("{} is a file", source.name) };
            read.insert(source.name, digest);
        }
        let key = Key::derive(&preimage(work.name, work.version, &work.params, &read));
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
    for line in PINNED.lines() {
        assert!(made.lines().any(|made| made == line), "{line}\nthis is what it is now:\n{made}");
    }
}

/// Only ops whose numbers changed have a newer version than the others of their kind.
#[test]
fn versions_are_those_of_the_work() {
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    let check = |node: &str, expected: u32| {
        let text = format!(
            r#"Experiment(name: "v", nodes: {{
                "data": Dataset(source: Mnist10k), "net": Train(data: "data", model: Mlp(hidden: [8])), "x": {node} }})"#
        );
        let graph =
            TaskGraph::parse(&text, &ops, MOST_TASKS).unwrap_or_else(|faults| panic!("{node}: {faults:?}"));
        assert_eq!(
            graph.resolved_op(graph.task(NodeId::from_index(2), PointId::from_index(0))).version,
            expected,
            "{node}"
        );
    };
    let train = |layers: &str| format!(r#"Train(data: "data", model: Layers([{layers}]))"#);
    check(r#"Train(data: "data", model: Mlp(hidden: [8]))"#, 2);
    check(&train("Flatten, Linear(8), Relu, Linear(10)"), 2);
    check(&train("Conv(out: 4, kernel: 3, padding: 1), BatchNorm, Relu, MaxPool(2), Flatten, Linear(10)"), 2);
    check(&train("Flatten, Linear(8), BatchNorm, Relu, Linear(10)"), 3);
    check(&train("Conv(out: 4, kernel: 28), BatchNorm, Flatten, Linear(10)"), 3);
    let quantize = |fields: &str| format!(r#"Quantize(model: "net", {fields})"#);
    check(&quantize("format: Int(4)"), 2);
    check(&quantize("format: Ternary"), 2);
    check(&quantize("format: Values([-1, 1])"), 2);
    check(&quantize("format: Int(4), scale: Real(fit: Percentile(99.5))"), 2);
    check(&quantize("format: Int(4), scale: Real(fit: Percentile(99.9))"), 3);
    check(&quantize("format: KMeans(2)"), 3);
    check(&quantize("format: Binary"), 3);
    check(&quantize("format: Int(4), first: KMeans(2)"), 3);
    check(&quantize(r#"format: Int(4), layers: {"linear1": Binary}"#), 3);
    check(r#"Evaluate(model: "net", data: "data")"#, 3);
    check(r#"Compare(model: "net", baseline: "net", data: "data")"#, 2);
    check(r#"Describe(model: "net")"#, 1);
}

/// Quantized weights from a formula, the same on every machine: one digest over all formats and roundings.
#[test]
fn quantized_weights_are_pinned() {
    let weights: Vec<f32> = (0..1200).map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 4096.0).collect();
    let mut bytes = vec![];
    for text in FORMATS {
        for rounding in [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic]
        {
            let quantization = Quantization::new(Format::parse(text).unwrap(), rounding, None).unwrap();
            let tensor = Tensor { name: "linear1.weight", shape: &[30, 40], data: &weights };
            let quantizer = Quantizer {
                quantization,
                layers: BTreeMap::new(),
                seed: 1,
                random_bits: RandomBits::default(),
                tensors: Tensors::Weights,
            };
            let quantized = quantizer.quantize(&[tensor]).unwrap();
            bytes.extend(quantized.data[0].iter().flat_map(|weight| weight.to_le_bytes()));
        }
    }
    assert_eq!(Digest::hash(&bytes).short(), "2cc65f80fef5");
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

/// The results are the same on every machine: products are chains of fused operations on every instruction set.
const PINNED: &str = "\
data key 311cf6f261c6
data test 8a94480e26e4
data train 0632e4ededd3
data validation 9490927f63f1
data classes 10
data test_images 30
data train_images 60
data validation_images 20
net key 0d3760cb55ec
net model 0b1b8934d3fe
net multiply_accumulates 6352
net parameters 6370
net train_accuracy 0.11666666666666667
net train_loss 2.300094707300405
net validation_accuracy 0.15
net validation_loss 2.270858836152776
small key 57b18c63de5a
small model 3948a60747ac
small bits_per_weight 4
small bytes 3185
small code_bits 4
small flushed 0.9590266875981162
small max_error 0.4968227557837963
small mse 0.009391727455708562
small saturated 0
small scaled 0
small sqnr_db -9.61457162229687
judge key 063f5bd2fe69
judge accuracy 0.15
judge accuracy_high 0.36041886474075696
judge accuracy_low 0.052368745896216595
judge chance 0.1
judge correct 3
judge loss 2.4244047959571895
judge non_finite 0
judge total 20
change key 04189bb34fee
change agreement 0.26666666666666666
change agreement_high 0.44447961695188876
change agreement_low 0.1418266331959632
change loss_difference 0.03588908259208597
change loss_difference_high 0.22305803437207575
change loss_difference_low -0.1512798691879038
change lost 3
change mcnemar_p 0.7265624999999993
change non_finite 0
change total 30
change won 4
shape key a137cdd62aa8
shape abs_max 0.042129646986722946
shape abs_p10 0.0033752600895240906
shape abs_p50 0.017661678604781628
shape abs_p90 0.0321396641433239
shape abs_p99 0.03788369622081518
shape excess_kurtosis -1.1366273217877907
shape mean -0.000014670798723197633
shape std 0.02057365584475254
shape weights 6272
shape zeros 0
whole weights 6352
";
