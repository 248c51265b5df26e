//! Seconds to train and to evaluate networks on made-up images of the usual sizes, for 1 and 2 threads.
//!
//! `cargo run --release -p fewbits-ops --example train_speed [mlp-512|mlp-1000|lenet|cnn]`

use std::error::Error;
use std::time::Instant;

use fewbits_ops::dataset::images::Images;
use fewbits_ops::network::architecture::{Architecture, LayerSpec};
use fewbits_ops::network::evaluation::evaluate;
use fewbits_ops::network::graph::Graph;
use fewbits_ops::network::recipe::{Augment, Init, Optimizer, Schedule, TrainConfig};
use fewbits_ops::network::train::{EpochFigures, Observer, train};
use fewbits_ops::random::Stream;

struct Silent;

impl Observer for Silent {
    fn cancelled(&self) -> bool {
        false
    }
    fn epoch_ended(&mut self, _: &EpochFigures) {}
    fn checkpoint_due(&self) -> bool {
        false
    }
    fn checkpoint(&mut self, _: Vec<u8>) {}
}

fn conv(out: usize, kernel: usize, padding: usize) -> LayerSpec {
    LayerSpec::Conv { out, kernel, stride: 1, padding, dilation: 1, groups: 1, bias: true, name: None }
}

fn cnn() -> Architecture {
    let mut layers = Vec::new();
    for out in [32, 64] {
        layers.extend([
            conv(out, 3, 1),
            LayerSpec::Relu,
            conv(out, 3, 1),
            LayerSpec::Relu,
            LayerSpec::max_pool(2),
        ]);
    }
    layers.extend([
        LayerSpec::Flatten,
        LayerSpec::linear(512),
        LayerSpec::Relu,
        LayerSpec::Dropout { p: 0.5 },
    ]);
    layers.push(LayerSpec::linear(10));
    Architecture::Layers(layers)
}

fn lenet() -> Architecture {
    let mut layers = vec![conv(6, 5, 2), LayerSpec::Relu, LayerSpec::max_pool(2)];
    layers.extend([conv(16, 5, 0), LayerSpec::Relu, LayerSpec::max_pool(2), LayerSpec::Flatten]);
    layers.extend([LayerSpec::linear(120), LayerSpec::Relu, LayerSpec::linear(84), LayerSpec::Relu]);
    layers.push(LayerSpec::linear(10));
    Architecture::Layers(layers)
}

/// Noise, with a brighter band whose place is the label.
fn images(shape: [usize; 3], n: usize) -> Images {
    let size: usize = shape.iter().product();
    let noise = Stream::new(0, "speed", "noise");
    let pixel = |at: usize| {
        let band = at % size * 10 / size == at / size % 10;
        (noise.bits(at as u64) >> 25) as u8 + if band { 60 } else { 0 }
    };
    let values = vec![std::array::from_fn(|byte| byte as f32 / 255.0); shape[0]];
    let labels = (0..n).map(|i| (i % 10) as u8).collect();
    Images { shape, classes: 10, pixels: (0..n * size).map(pixel).collect(), labels, values }
}

fn config(model: Architecture) -> TrainConfig {
    TrainConfig {
        model,
        optimizer: Optimizer::AdamW { lr: 1e-3, weight_decay: 0.01 },
        schedule: Schedule::Constant,
        init: Init::KaimingUniform,
        batch: 128,
        epochs: 1,
        augment: Augment::None,
        seed: 0,
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Trains one epoch and evaluates, five times.
fn measure(name: &str, config: &TrainConfig, images: &Images, threads: usize) -> Result<(), Box<dyn Error>> {
    let graph = Graph::resolve(&config.model, images.shape, images.classes)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut training, mut evaluating, mut accuracy) = (Vec::new(), Vec::new(), 0.0);
    let none = images.select(&[]);
    for _ in 0..5 {
        let start = Instant::now();
        let model = pool.install(|| train(config, &graph, images, &none, None, &mut Silent))?.model;
        training.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        accuracy = pool.install(|| evaluate(&model, images, &|| false))?.accuracy().unwrap_or(0.0);
        evaluating.push(start.elapsed().as_secs_f64());
    }
    let (training, evaluating) = (median(training), median(evaluating));
    println!("{name}, {threads} threads: train {training:.3} s, evaluate {evaluating:.3} s ({accuracy:.3})");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().nth(1);
    let mlp = |hidden: &[usize]| Architecture::Mlp { hidden: hidden.to_vec(), dropout: 0.5 };
    for (name, model, shape, n) in [
        ("mlp-512", mlp(&[512, 256]), [1, 28, 28], 10_000),
        ("mlp-1000", mlp(&[1000, 500]), [1, 28, 28], 10_000),
        ("lenet", lenet(), [1, 28, 28], 10_000),
        ("cnn", cnn(), [3, 32, 32], 1_280),
    ] {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            let images = images(shape, n);
            for threads in [1, 2] {
                measure(name, &config(model.clone()), &images, threads)?;
            }
        }
    }
    Ok(())
}
