//! Tests of complete trainings, on images small enough for an unoptimized build.

use crate::backend::{CandleDevice, Device};
use crate::dataset::images::{Images, Labels};
use crate::evaluation::evaluate;
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::definition::Network;
use crate::network::geometry::{HeightWidth, PaddingSpec};
use crate::network::model::Model;
use crate::random::Stream;
use crate::training::config::{Augment, Init, LearningRateSchedule, Optimizer, TrainConfig};
use crate::training::{EpochFigures, Observer, TrainError, Trained, train};

/// An observer that records the figures of epochs, keeps every checkpoint, and cancels at call `stop` of
/// `cancelled`, counted from 0.
#[derive(Default)]
struct Notes {
    epochs: Vec<EpochFigures>,
    checkpoints: Vec<Vec<u8>>,
    stop: Option<usize>,
    asked: std::cell::Cell<usize>,
}

impl Observer for Notes {
    fn cancelled(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.stop.is_some_and(|stop| self.asked.get() > stop)
    }
    fn epoch_ended(&mut self, figures: &EpochFigures) {
        self.epochs.push(*figures);
    }
    fn checkpoint_due(&self) -> bool {
        true
    }
    fn checkpoint(&mut self, bytes: Vec<u8>) {
        self.checkpoints.push(bytes);
    }
}

/// Makes `n` images of noise with one brighter row; the index of that row is twice the label.
fn images(n: usize, name: &str) -> Images {
    let noise = Stream::new(5, "test", name);
    let pixel = |at: usize| {
        let bright = at % 64 / 8 == 2 * (at / 64 % 4);
        (noise.bits(at as u64) >> 25) as u8 + if bright { 110 } else { 0 }
    };
    let labels = (0..n).map(|at| (at % 4) as u8).collect();
    let values = vec![std::array::from_fn(|byte| byte as f32 / 255.0)];
    Images::of_bytes([1, 8, 8], (0..n * 64).map(pixel).collect(), values, Labels::numbered(4, labels))
}

fn mlp() -> Architecture {
    Architecture::Mlp { hidden: vec![24], dropout: 0.25 }
}

fn cnn() -> Architecture {
    let mut layers =
        vec![LayerSpec::conv(6, 3), LayerSpec::batch_norm(), LayerSpec::Relu, LayerSpec::max_pool(2)];
    layers.extend([LayerSpec::Flatten, LayerSpec::Dropout { p: 0.1 }, LayerSpec::linear(4)]);
    Architecture::Layers(layers)
}

/// Makes a network with branches and with layers of most kinds.
fn branched() -> Architecture {
    let depthwise = LayerSpec::DepthwiseConv {
        multiplier: 1,
        kernel: HeightWidth::square(3),
        stride: HeightWidth::square(2),
        padding: PaddingSpec::Same,
        dilation: HeightWidth::square(1),
        bias: true,
        name: None,
    };
    let body = vec![depthwise, LayerSpec::batch_norm(), LayerSpec::HardSwish, LayerSpec::conv(6, 1)];
    let pool = LayerSpec::AvgPool {
        size: HeightWidth::square(2),
        stride: None,
        padding: PaddingSpec::default(),
        count_padding: false,
    };
    let mut layers = vec![LayerSpec::conv(6, 3).padded(PaddingSpec::Same), LayerSpec::batch_norm()];
    layers.extend([LayerSpec::LeakyRelu { slope: 0.1 }, LayerSpec::Residual { body, shortcut: vec![pool] }]);
    layers.push(LayerSpec::Concat { branches: vec![vec![], vec![LayerSpec::conv(2, 1), LayerSpec::Relu6]] });
    layers.extend([LayerSpec::Dropout { p: 0.1 }, LayerSpec::Flatten, LayerSpec::linear(4)]);
    Architecture::Layers(layers)
}

fn config(model: Architecture) -> TrainConfig {
    let augment = if model == cnn() { Augment::Crop { padding: 1 } } else { Augment::None };
    TrainConfig {
        model,
        optimizer: Optimizer::AdamW { lr: 0.01, weight_decay: 0.01 },
        schedule: LearningRateSchedule::Cosine,
        init: Init::KaimingUniform,
        batch: 16,
        epochs: 3,
        augment,
        seed: 1,
        device: Device::Cpu,
    }
}

fn run(config: &TrainConfig, resume: Option<&[u8]>, notes: &mut Notes) -> Result<Trained, TrainError> {
    let train_images = images(72, "train");
    let network = Network::resolve(&config.model, train_images.shape, 4).unwrap();
    train(config, &network, &train_images, &images(20, "validation"), resume, notes)
}

fn bytes(model: &Model) -> Vec<u8> {
    model.encode().unwrap()
}

#[test]
fn training_learns_and_tells() {
    for model in [mlp(), cnn(), branched()] {
        for optimizer in [config(mlp()).optimizer, Optimizer::Sgd { lr: 0.1, momentum: 0.9 }] {
            let mut notes = Notes::default();
            let config =
                TrainConfig { optimizer, augment: Augment::None, epochs: 8, ..config(model.clone()) };
            let trained = run(&config, None, &mut notes).unwrap();
            let losses = &trained.series.loss;
            assert!(losses[7] < 0.5 * losses[0], "{optimizer:?} {losses:?}");
            let evaluation = evaluate(Device::Cpu, &trained.model, &images(200, "test"), &|| false).unwrap();
            assert!(evaluation.accuracy() > Some(0.95), "{optimizer:?} {:?}", evaluation.accuracy());
            assert_eq!(notes.epochs.iter().map(|e| (e.epoch, e.loss)).collect::<Vec<_>>(), {
                losses.iter().enumerate().map(|(at, loss)| (at + 1, *loss)).collect::<Vec<_>>()
            });
            let last = evaluate(Device::Cpu, &trained.model, &images(20, "validation"), &|| false).unwrap();
            assert_eq!(trained.series.validation_accuracy[7], last.accuracy().unwrap());
            assert_eq!(trained.series.validation_loss[7], last.loss);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // A batch has more than one block of images, and several threads share the work of a layer.
    let wide = Architecture::Mlp { hidden: vec![300], dropout: 0.25 };
    for model in [wide, mlp(), cnn(), branched()] {
        let config = TrainConfig { batch: 36, ..config(model) };
        let trained = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let trained = pool.install(|| run(&config, None, &mut Notes::default()).unwrap());
            (bytes(&trained.model), trained.series)
        };
        let one = trained(1);
        assert_eq!(one, trained(2));
        assert_eq!(one, trained(3));
    }
}

#[test]
fn a_resumed_training_ends_in_the_same_bits() {
    for model in [mlp(), cnn(), branched()] {
        for optimizer in [config(mlp()).optimizer, Optimizer::Sgd { lr: 0.1, momentum: 0.9 }] {
            let config = TrainConfig { optimizer, ..config(model.clone()) };
            let mut notes = Notes::default();
            let whole = run(&config, None, &mut notes).unwrap();
            assert_eq!(notes.checkpoints.len(), 2);
            for checkpoint in &notes.checkpoints {
                let resumed = run(&config, Some(checkpoint), &mut Notes::default()).unwrap();
                assert_eq!(
                    (bytes(&resumed.model), resumed.series),
                    (bytes(&whole.model), whole.series.clone())
                );
            }
        }
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let mut notes = Notes::default();
    run(&config(mlp()), None, &mut notes).unwrap();
    let good = &notes.checkpoints[1];
    let check = |config: &TrainConfig, bytes: &[u8]| {
        let error = run(config, Some(bytes), &mut Notes::default()).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
    };
    check(&config(cnn()), good);
    check(&TrainConfig { epochs: 1, ..config(mlp()) }, good);
    check(&TrainConfig { batch: 5, ..config(mlp()) }, good);
    check(&TrainConfig { optimizer: Optimizer::Sgd { lr: 0.1, momentum: 0.0 }, ..config(mlp()) }, good);
    check(&config(mlp()), &good[..good.len() - 1]);
    check(&config(mlp()), b"");
}

#[test]
fn cancelling_stops_at_the_next_batch() {
    // Each epoch calls `cancelled` once for each of its 5 batches and then once for the validation.
    for stop in [0, 3, 5, 6] {
        let mut notes = Notes { stop: Some(stop), ..Notes::default() };
        assert!(matches!(run(&config(mlp()), None, &mut notes), Err(TrainError::Cancelled)));
        assert_eq!((notes.asked.get(), notes.epochs.len()), (stop + 1, usize::from(stop > 5)));
    }
}

#[test]
fn a_loss_that_is_not_finite_says_where() {
    let config = TrainConfig { optimizer: Optimizer::Sgd { lr: 1e30, momentum: 0.0 }, ..config(mlp()) };
    let error = run(&config, None, &mut Notes::default()).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { epoch: 1, step: 2 | 3 }), "{error}");
}

/// If a batch normalization has one number per channel, then 33 images in batches of 32 and in one batch of
/// 33 give the same bits.
#[test]
fn an_image_alone_joins_the_batch_before_it_where_it_would_have_no_variance() {
    let norm = LayerSpec::BatchNorm { eps: 1e-5, momentum: 1.0, name: None };
    let row = [LayerSpec::Flatten, LayerSpec::linear(8), norm.clone(), LayerSpec::Relu, LayerSpec::linear(4)];
    let image = [LayerSpec::conv(6, 3), norm, LayerSpec::Relu, LayerSpec::Flatten, LayerSpec::linear(4)];
    let trained = |layers: &[LayerSpec], count, batch| {
        let config = TrainConfig { batch, ..config(Architecture::Layers(layers.to_vec())) };
        let images = images(count, "train");
        let network = Network::resolve(&config.model, images.shape, 4).unwrap();
        train(&config, &network, &images, &images.select(&[]), None, &mut Notes::default())
    };
    let [joined, one] = [32, 33].map(|batch| trained(&row, 33, batch).unwrap());
    assert_eq!((bytes(&joined.model), &joined.series), (bytes(&one.model), &one.series));
    assert_eq!((joined.joined, one.joined), (Some(1), Some(0)));
    assert_eq!(trained(&row, 34, 32).unwrap().joined, Some(0));
    // In this network one image has many numbers per channel and thus a variance, so the last batch keeps its
    // single image.
    let [alone, one] = [32, 33].map(|batch| trained(&image, 33, batch).unwrap());
    assert_ne!(bytes(&alone.model), bytes(&one.model));
    assert_eq!((alone.joined, one.joined), (None, None));
    let error = "batchnorm1 has one number per channel in a batch of one image, and one number has no variance; \
                 train on 2 images or more, in batches of 2 or more";
    assert_eq!(trained(&row, 33, 1).unwrap_err().to_string(), error);
    assert_eq!(trained(&row, 1, 32).unwrap_err().to_string(), error);
    assert!(trained(&image, 33, 1).is_ok());
}

#[test]
fn dropout_moves_neither_weights_nor_order() {
    // At a learning rate of 0 the trained network has its initial weights.
    let still = |dropout, seed| {
        let model = Architecture::Mlp { hidden: vec![24], dropout };
        let optimizer = Optimizer::Sgd { lr: 0.0, momentum: 0.0 };
        bytes(
            &run(&TrainConfig { optimizer, seed, ..config(model) }, None, &mut Notes::default())
                .unwrap()
                .model,
        )
    };
    assert_eq!(still(0.0, 1), still(0.5, 1));
    assert_ne!(still(0.0, 1), still(0.0, 2));
}

/// The same network on candle starts from the same weights, sees the same batches and masks, and learns as well.
#[test]
fn candle_trains_the_same_network() {
    for model in [mlp(), cnn(), branched()] {
        for optimizer in [config(mlp()).optimizer, Optimizer::Sgd { lr: 0.1, momentum: 0.9 }] {
            let own = TrainConfig { optimizer, epochs: 2, ..config(model.clone()) };
            let theirs = TrainConfig { device: Device::Candle(CandleDevice::Cpu), ..own.clone() };
            let [own, theirs] =
                [own, theirs].map(|config| run(&config, None, &mut Notes::default()).unwrap());
            assert_eq!(own.model.network(), theirs.model.network());
            // Rounding grows from step to step, most of all with AdamW, whose first steps are signs.
            let apart = (own.series.loss[0] - theirs.series.loss[0]).abs();
            assert!(apart < 0.02 * own.series.loss[0], "{optimizer:?} {:?} {:?}", own.series, theirs.series);
        }
    }
}

#[test]
fn a_training_on_candle_resumes() {
    let config = TrainConfig { device: Device::Candle(CandleDevice::Cpu), ..config(branched()) };
    let mut notes = Notes::default();
    let whole = run(&config, None, &mut notes).unwrap();
    for checkpoint in &notes.checkpoints {
        let resumed = run(&config, Some(checkpoint), &mut Notes::default()).unwrap();
        for (resumed, whole) in resumed.series.loss.iter().zip(&whole.series.loss) {
            assert!((resumed - whole).abs() < 1e-3 * whole, "{resumed} {whole}");
        }
    }
    let own = TrainConfig { device: Device::Cpu, ..config };
    assert!(run(&own, Some(&notes.checkpoints[1]), &mut Notes::default()).is_ok(), "a state is a state");
}
