//! Seconds to train a network on MNIST or CIFAR-10 and to evaluate it on the test images, as one line of JSON: the work
//! of a `PyTorch` script, for comparison. See docs/performance.md.
//!
//! `cargo run --release -p fewbits-ops --example train_speed -- DATASETS_DIR [mlp|lenet|cnn|resnet8|dscnn] [EPOCHS] [THREADS] [IMAGES] [cpu|candle|cuda]`

#[path = "../tests/published/networks.rs"]
#[allow(dead_code)]
mod networks;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use fewbits_ops::backend::{CandleDevice, Device};
use fewbits_ops::dataset::source::DatasetSource;
use fewbits_ops::dataset::split::Count;
use fewbits_ops::dataset::{DatasetConfig, load};
use fewbits_ops::evaluation::evaluate;
use fewbits_ops::network::architecture::{Architecture, LayerSpec};
use fewbits_ops::network::definition::Network;
use fewbits_ops::network::geometry::{Padding, PaddingSpec};
use fewbits_ops::training::config::{Augment, Init, LearningRateSchedule, Optimizer, TrainConfig};
use fewbits_ops::training::{EpochFigures, Observer, train};
use serde_json::json;

/// How many times the test images are evaluated; the median counts.
const EVALUATIONS: usize = 5;

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
    LayerSpec::conv(out, kernel).padded(PaddingSpec::Pixels(Padding::all(padding)))
}

fn cnn() -> Architecture {
    let mut layers = Vec::new();
    for out in [32, 64] {
        layers.extend([conv(out, 3, 1), LayerSpec::Relu, conv(out, 3, 1), LayerSpec::Relu]);
        layers.push(LayerSpec::max_pool(2));
    }
    layers.extend([LayerSpec::Flatten, LayerSpec::linear(512), LayerSpec::Relu]);
    layers.extend([LayerSpec::Dropout { p: 0.5 }, LayerSpec::linear(10)]);
    Architecture::Layers(layers)
}

fn lenet() -> Architecture {
    let mut layers = vec![conv(6, 5, 2), LayerSpec::Relu, LayerSpec::max_pool(2)];
    layers.extend([conv(16, 5, 0), LayerSpec::Relu, LayerSpec::max_pool(2), LayerSpec::Flatten]);
    layers.extend([LayerSpec::linear(120), LayerSpec::Relu, LayerSpec::linear(84), LayerSpec::Relu]);
    layers.push(LayerSpec::linear(10));
    Architecture::Layers(layers)
}

fn mlp() -> Architecture {
    Architecture::Mlp { hidden: vec![1000, 500], dropout: 0.5 }
}

fn config(model: Architecture, epochs: usize, device: Device) -> TrainConfig {
    TrainConfig {
        model,
        optimizer: Optimizer::AdamW { lr: 1e-3, weight_decay: 0.01 },
        schedule: LearningRateSchedule::Constant,
        init: Init::KaimingUniform,
        batch: 128,
        epochs,
        augment: Augment::None,
        seed: 0,
        device,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, otherwise: usize| arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>());
    let folder = arguments.first().ok_or("name the folder of the datasets")?;
    let work = arguments.get(1).map_or("mlp", String::as_str);
    let (model, source) = match work {
        "mlp" => (mlp(), DatasetSource::Mnist),
        "lenet" => (lenet(), DatasetSource::Mnist),
        "cnn" => (cnn(), DatasetSource::Cifar10),
        "resnet8" => (networks::resnet8(), DatasetSource::Cifar10),
        // There are no spectra among the datasets: the images stand for them, in ten classes.
        "dscnn" => (networks::ds_cnn(10), DatasetSource::Mnist),
        other => return Err(format!("{other}: name mlp, lenet, cnn, resnet8 or dscnn").into()),
    };
    let device = match arguments.get(5).map_or("cpu", String::as_str) {
        "cpu" => Device::Cpu,
        "candle" => Device::Candle(CandleDevice::Cpu),
        "cuda" => Device::Candle(CandleDevice::Cuda(0)),
        other => return Err(format!("{other}: name cpu, candle or cuda").into()),
    };
    let (epochs, threads, images) = (number(2, 1)?, number(3, 2)?, number(4, 0)?);
    let data = load(
        &DatasetConfig {
            train: if images > 0 { Count::Exactly(images) } else { Count::All },
            ..DatasetConfig::new(source)
        },
        Path::new(folder),
        Path::new("."),
    )?;
    let classes = data.train.labels.as_ref().ok_or("no labels")?.classes;
    let graph = Network::resolve(&model, data.train.shape, classes)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let start = Instant::now();
    let config = config(model, epochs, device);
    let trained =
        pool.install(|| train(&config, &graph, &data.train, &data.validation, None, &mut Silent))?;
    let train_s = start.elapsed().as_secs_f64();
    let (mut seconds, mut accuracy) = (vec![], None);
    for _ in 0..EVALUATIONS {
        let start = Instant::now();
        accuracy = pool.install(|| evaluate(device, &trained.model, &data.test, &|| false))?.accuracy();
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let line = json!({
        "work": work,
        "images": data.train.len(),
        "epochs": epochs,
        "threads": threads,
        "device": device.candle_kind().unwrap_or("own"),
        "train_s": train_s,
        "evaluate_s": seconds[EVALUATIONS / 2],
        "accuracy": accuracy,
    });
    println!("{line}");
    Ok(())
}
