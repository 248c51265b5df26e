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
use fewbits_ops::{Artifact, StandardOps};
use fewbits_store::Key;

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

/// What the numbers below were made with; other kernels add in another order.
const NUMERICS: &str = "x86-64-avx512 gemm-0.19 libm-0.2";

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
    let (made, pinned) = (made(), PINNED);
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    if ops.provenance()["numerics"] == NUMERICS {
        assert_eq!(made, pinned, "this is what it is now:\n{made}");
    } else {
        // Images and the key of the training are the same everywhere.
        println!("skipped in part: the numbers were pinned on {NUMERICS}");
        let everywhere = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("data ") || line.starts_with("net key "));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(everywhere(&made), everywhere(pinned));
    }
}

const PINNED: &str = "\
data key 311cf6f261c6
data test 8a94480e26e4
data train 0632e4ededd3
data validation 9490927f63f1
data classes 10
data test_images 30
data train_images 60
data validation_images 20
net key 774117021ef4
net model 542b174fb319
net multiply_accumulates 6352
net parameters 6370
net train_accuracy 0.1
net train_loss 2.30384252954876
net validation_accuracy 0.2
net validation_loss 2.287013323596295
small key ee149fcf6745
small model fe972c76b4f0
small bits_per_weight 4
small bytes 3185
small code_bits 4
small flushed 0.9580847723704866
small max_error 0.4968227557837963
small mse 0.009606071565792391
small saturated 0
small scaled 0
small sqnr_db -9.718061815335506
judge key 22fba7f94a54
judge accuracy 0.05
judge accuracy_high 0.23613119344674205
judge accuracy_low 0.008881448800795402
judge correct 1
judge loss 2.441465146038819
judge non_finite 0
judge total 20
";
