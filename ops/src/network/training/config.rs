//! How a network is trained, as a person writes it: optimizer, schedule, initialization, augmentation.
//! Knows nothing of networks or images; its defaults are the design's.

use std::f64::consts::PI;

use serde::Serialize;

use crate::network::architecture::Architecture;

/// Everything a training depends on besides the images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainConfig {
    /// The network.
    pub model: Architecture,
    /// How a step follows from a gradient.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: LearningRateSchedule,
    /// How weights begin.
    pub init: Init,
    /// Images per step, at least 1; the last batch of an epoch may have fewer, or one more in networks with a batch
    /// normalization that needs more than one image.
    pub batch: usize,
    /// Times every image is seen, at least 1.
    pub epochs: usize,
    /// Random changes to the training images.
    pub augment: Augment,
    /// Seed of weights, order, `DropOut` and augmentation.
    pub seed: u64,
}

/// How a step follows from a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Optimizer {
    /// Stochastic gradient descent: v ← momentum·v + g, w ← w − lr·v.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Share of the last step kept, 0 by default.
        momentum: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019); betas 0.9 and 0.999, eps 1e-8, decay on all
    /// parameters.
    AdamW {
        /// Learning rate, 1e-3 by default.
        lr: f64,
        /// Share of each parameter lost per unit of learning rate, 0.01 by default.
        weight_decay: f64,
    },
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum LearningRateSchedule {
    /// Not at all.
    Constant,
    /// Multiplied by `factor` after each `every` epochs.
    Step {
        /// Epochs between changes, at least 1.
        every: usize,
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// Half a cosine from the full rate at the first step to 0 after the last (Loshchilov & Hutter 2017, no restarts).
    Cosine,
}

/// How weights begin; fan is inputs (`fan_in`) or outputs (`fan_out`) per number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Init {
    /// `PyTorch`'s default: weights and biases uniform in ±1/√`fan_in`.
    #[default]
    KaimingUniform,
    /// Weights normal with deviation √(2/`fan_in`) (He et al. 2015), biases 0.
    HeNormal,
    /// Weights uniform in ±√(6/(`fan_in` + `fan_out`)) (Glorot & Bengio 2010), biases 0.
    XavierUniform,
}

/// Random changes to each training image, drawn anew in every epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Augment {
    /// None.
    #[default]
    None,
    /// Mirrored left to right, every second time.
    Flip,
    /// A window of the image's size out of the image with a black border.
    Crop {
        /// Width of the border in pixels.
        padding: usize,
    },
    /// Both.
    FlipCrop {
        /// Width of the border in pixels.
        padding: usize,
    },
}

impl Optimizer {
    /// Returns the learning rate before any schedule.
    #[must_use]
    pub fn learning_rate(self) -> f64 {
        match self {
            Self::Sgd { lr, .. } | Self::AdamW { lr, .. } => lr,
        }
    }
}

impl LearningRateSchedule {
    /// Returns what the learning rate is multiplied by at `step` of `steps` in all, in `epoch`; both count from 0.
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
    /// Returns the plainest way to say the same: a border of 0 is none.
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
    /// Returns the same training with every default filled in and what cannot matter taken out.
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
