//! The configuration of a training as written in an experiment file: optimizer, schedule, initialization,
//! augmentation. Knows nothing of shapes or images.

use std::f64::consts::PI;

use serde::Serialize;

use crate::backend::Device;

use crate::network::architecture::Architecture;

/// The full configuration of a training, apart from the images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainConfig {
    /// The network.
    pub model: Architecture,
    /// Rule by which gradients change the parameters.
    pub optimizer: Optimizer,
    /// Change of the learning rate over the training.
    pub schedule: LearningRateSchedule,
    /// Distribution of the initial weights.
    pub init: Init,
    /// Images per step, at least 1. The last batch of an epoch may have fewer images. The last batch has one
    /// more image if a batch normalization needs more than one image and the last image would be alone.
    pub batch: usize,
    /// Number of passes over the training images, at least 1.
    pub epochs: usize,
    /// Random changes to the training images.
    pub augment: Augment,
    /// Seed of the initial weights, the order of the images, dropout and augmentation.
    pub seed: u64,
    /// The device of the training.
    #[serde(skip)]
    pub device: Device,
}

/// Rule by which gradients change the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Optimizer {
    /// Stochastic gradient descent: v ← momentum·v + g, w ← w − lr·v.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Factor that keeps the velocity v from step to step, 0 by default.
        momentum: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019): betas 0.9 and 0.999, eps 1e-8, decay on
    /// all parameters.
    AdamW {
        /// Learning rate, 1e-3 by default.
        lr: f64,
        /// Weight decay, 0.01 by default: each step multiplies every parameter by 1 − lr·`weight_decay`, with
        /// the scheduled lr.
        weight_decay: f64,
    },
}

/// Change of the learning rate over the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum LearningRateSchedule {
    /// Keeps the learning rate constant.
    Constant,
    /// Multiplies the learning rate by `factor` after every `every` epochs.
    Step {
        /// Epochs between changes, at least 1.
        every: usize,
        /// Factor of the learning rate at each change.
        factor: f64,
    },
    /// Follows half a cosine from the full learning rate at the first step to 0 after the last step
    /// (Loshchilov & Hutter 2017, without restarts).
    Cosine,
}

/// Distribution of the initial weights. `fan_in` is the number of input channels per group times the number
/// of kernel taps, and `fan_out` the number of output channels times the number of kernel taps. A linear
/// layer has one tap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Init {
    /// `PyTorch`'s default: weights and biases uniform in ±1/√`fan_in`.
    #[default]
    KaimingUniform,
    /// Weights normal with standard deviation √(2/`fan_in`) (He et al. 2015), biases 0.
    HeNormal,
    /// Weights uniform in ±√(6/(`fan_in` + `fan_out`)) (Glorot & Bengio 2010), biases 0.
    XavierUniform,
}

/// Random changes to each training image, drawn anew in every epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Augment {
    /// Leaves the images unchanged.
    #[default]
    None,
    /// Flips the image left to right with probability 1/2.
    Flip,
    /// Crops a window of the image's size at a random position in the image with a black border.
    Crop {
        /// Width of the border in pixels.
        padding: usize,
    },
    /// Flips the image with probability 1/2, then crops a window as `Crop` does.
    FlipCrop {
        /// Width of the border in pixels.
        padding: usize,
    },
}

impl Optimizer {
    /// Returns the learning rate before the schedule.
    #[must_use]
    pub fn learning_rate(self) -> f64 {
        match self {
            Self::Sgd { lr, .. } | Self::AdamW { lr, .. } => lr,
        }
    }
}

impl LearningRateSchedule {
    /// Returns the factor of the learning rate at step `step`, in epoch `epoch`. Both count from 0; `step`
    /// and `steps` count over the whole training.
    #[must_use]
    pub fn factor(self, epoch: usize, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => libm::pow(factor, (epoch / every.max(1)) as f64),
            Self::Cosine => 0.5 * (1.0 + libm::cos(PI * step as f64 / steps.max(1) as f64)),
        }
    }
}

impl Augment {
    /// Returns the simplest equivalent augmentation. A crop with a border of 0 leaves the image unchanged.
    #[must_use]
    pub fn resolved(self) -> Self {
        match self {
            Self::Crop { padding: 0 } => Self::None,
            Self::FlipCrop { padding: 0 } => Self::Flip,
            other => other,
        }
    }

    pub(crate) fn flips(self) -> bool {
        matches!(self, Self::Flip | Self::FlipCrop { .. })
    }

    pub(crate) fn padding(self) -> usize {
        match self {
            Self::None | Self::Flip => 0,
            Self::Crop { padding } | Self::FlipCrop { padding } => padding,
        }
    }
}

impl TrainConfig {
    /// Returns the same training with every default filled in and without settings that have no effect.
    /// `classes` is the number of logits.
    #[must_use]
    pub fn resolved(&self, classes: usize) -> Self {
        Self { model: self.model.resolved(classes), augment: self.augment.resolved(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_begin_at_the_full_rate_and_fall() {
        let check = |schedule: LearningRateSchedule, expected: [f64; 4]| {
            let found = [0, 1, 2, 3].map(|epoch| schedule.factor(epoch, epoch * 10, 40));
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{schedule:?} {found:?}");
        };
        check(LearningRateSchedule::Constant, [1.0; 4]);
        check(LearningRateSchedule::Step { every: 2, factor: 0.1 }, [1.0, 1.0, 0.1, 0.1]);
        let half = 0.5_f64.sqrt() / 2.0;
        check(LearningRateSchedule::Cosine, [1.0, 0.5 + half, 0.5, 0.5 - half]);
    }

    #[test]
    fn an_augmentation_that_changes_nothing_is_none() {
        assert_eq!(Augment::Crop { padding: 0 }.resolved(), Augment::None);
        assert_eq!(Augment::FlipCrop { padding: 0 }.resolved(), Augment::Flip);
        assert_eq!(Augment::FlipCrop { padding: 4 }.resolved(), Augment::FlipCrop { padding: 4 });
    }

    #[test]
    fn a_variant_is_written_with_its_name() {
        let json = serde_json::to_string(&(
            Optimizer::AdamW { lr: 1e-3, weight_decay: 0.01 },
            LearningRateSchedule::Constant,
        ));
        assert_eq!(json.unwrap(), r#"[{"AdamW":{"lr":0.001,"weight_decay":0.01}},"Constant"]"#);
    }
}
