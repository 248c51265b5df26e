//! What is known of a network before its task runs is what the task makes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fewbits_engine::context::Context;
use fewbits_engine::graph::{MOST_TASKS, TaskGraph, TaskId};
use fewbits_engine::ops::{Ops, Output};
use fewbits_ops::{Artifact, StandardOps, weights};
use fewbits_store::Record;

const TEXT: &str = r#"
Experiment(
    name: "ports",
    nodes: {
        "data":    Dataset(source: Mnist10k, train: 60, test: 30),
        "net":     Train(
            data: "data", batch: 16, epochs: 1,
            model: Layers([
                BatchNorm, Conv(out: 4, kernel: 3, bias: false), BatchNorm, Relu, MaxPool(4), Flatten, Dropout(0.25), Linear(10),
            ]),
        ),
        "nearest": Quantize(model: "net", format: Int(3), scale: Real(per: Channel), first: F32),
        "all":     Quantize(model: "net", format: Mx(E2M1), tensors: All, layers: {"conv1": Float(e: 4, m: 3)}),
        "mixed":   Allocate(
            model: "net", data: "data", formats: [Int(2), Int(6), Ternary], max_bytes: 1000, bias_correction: true,
            calibration: 20, sensitivity_images: 30,
        ),
        "biases":  Quantize(
            model: "net", data: "data", format: KMeans(2), bias_correction: true, calibration: 20, last: Int(4),
        ),
    },
)
"#;

#[test]
fn names_and_sizes_of_tensors_are_known_beforehand() {
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    let graph = TaskGraph::parse(TEXT, &ops, MOST_TASKS).unwrap();
    let context = Context::new(Arc::new(AtomicBool::new(false)), Box::new(|_, _, _| ()), None);
    let mut outputs: BTreeMap<TaskId, Output<Artifact>> = BTreeMap::new();
    let mut compared = 0;
    for (node, task) in
        graph.order.iter().flat_map(|&node| graph.tasks_of(node).map(move |task| (node, task)))
    {
        let op = &graph.resolved_op(task).op;
        let inputs: Vec<_> =
            graph.inputs(task).iter().map(|input| outputs[input].artifact.clone().unwrap()).collect();
        let output = ops.run(op, &inputs, &context).unwrap();
        let record = Record { series: output.series.clone(), ..Record::default() };
        let sizes = weights::sizes(op, &graph.port(task, &ops).unwrap(), Some(&record));
        if let (Some(bytes), Some(made)) = (output.metrics.get("bytes"), &output.artifact) {
            let name = &graph.experiment.nodes[node].name;
            let made: Vec<(String, usize)> = weights::plain(made)
                .unwrap()
                .into_iter()
                .map(|tensor| (tensor.name, tensor.weights.len()))
                .collect();
            let known: Vec<(String, usize)> =
                sizes.iter().map(|size| (size.name.clone(), size.numbers)).collect();
            assert_eq!(known, made, "{name}");
            let sum: u64 = sizes.iter().map(|size| size.bytes).sum();
            assert!((sum as f64 - bytes).abs() < 0.5, "{name}: {sum} {bytes}");
            compared += 1;
        }
        outputs.insert(task, output);
    }
    assert_eq!(compared, 4);
}
