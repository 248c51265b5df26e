//! Calibrated quantization: weights are rounded with regard to the inputs that their layer gets from some unlabelled images.
//! Post-training: no labels, and no backpropagation through the network.
//!
//! Layers are treated in the order of the forward pass. The inputs of a layer are those that the layers before it give with
//! their quantized weights; the target are the layer's own outputs with its original weights on these inputs (Frantar et al.,
//! *GPTQ*, 2022). Scales, zero points and codebooks are fitted to the original weights and stay; only
//! `OutputError` chooses scales during the rounding.
//!
//! `rows.rs` reads the inputs of a layer, `moments.rs` sums them and their products, `factor.rs` factors the inverse of that sum;
//! `gptq.rs` and `descent.rs` choose the codes of a row of weights, `row_rounder.rs` its scale, where the fit tries scales;
//! `layers.rs` goes through the layers of a network.

pub mod descent;
pub mod error;
pub mod factor;
pub mod gptq;
pub mod layers;
pub mod moments;
mod row_rounder;
mod rows;
mod sums;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::format::Rounding;
use crate::quantize::Quantization;

/// The algorithm that chooses the code of each weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub enum Method {
    /// Each weight is rounded by itself.
    #[default]
    Direct,
    /// Weights are rounded one after the other; the others of the row make up for the error of each (Frantar et al. 2022).
    Gptq {
        /// The share of the mean of the diagonal that is added to the diagonal, above 0.
        damping: f64,
    },
    /// Weights are rounded again, one at a time, from GPTQ's result on, each to the best number while the others stay
    /// (Behdin et al., *`QuantEase`*, 2023).
    CoordinateDescent {
        /// The most passes over all weights, at least 1.
        passes: usize,
    },
}

/// The source of GPTQ, as a bibliography has it.
pub const GPTQ: &str = "Frantar, E., Ashkboos, S., Hoefler, T., Alistarh, D. (2022). GPTQ: accurate post-training quantization for \
                        generative pre-trained transformers. arXiv:2210.17323";
/// The source of coordinate descent.
pub const QUANT_EASE: &str = "Behdin, K., Acharya, A., Gupta, A., Song, Q., Zhu, S., Keerthi, S., Mazumder, R. (2023). QuantEase: \
                              optimization-based quantization for language models. arXiv:2309.01885";
/// The source of bias correction.
pub const BIAS_CORRECTION: &str = "Nagel, M., van Baalen, M., Blankevoort, T., Welling, M. (2019). Data-free quantization through \
                                   weight equalization and bias correction. ICCV 2019, 1325–1334";

/// The damping of GPTQ's authors, also in front of coordinate descent.
pub const DAMPING: f64 = 0.01;

/// How a network is calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The algorithm.
    pub method: Method,
    /// The number of images.
    pub images: usize,
    /// The seed of their choice.
    pub seed: u64,
    /// Whether biases make up for the mean error of the outputs (Nagel et al. 2019).
    pub bias_correction: bool,
}

impl Calibration {
    /// Checks that the method accepts these quantizations; the error is a message and a hint.
    pub(crate) fn check<'q>(
        self,
        mut quantizations: impl Iterator<Item = &'q Quantization>,
    ) -> Result<(), (&'static str, &'static str)> {
        let is_descent = matches!(self.method, Method::CoordinateDescent { .. });
        if is_descent && quantizations.any(|each| each.rounding != Rounding::Nearest) {
            let message = "`CoordinateDescent` goes to the best number of the format, so it takes `rounding: Nearest` only";
            return Err((message, "remove `rounding`, or choose `Gptq`"));
        }
        Ok(())
    }

    /// Returns whether quantizing in these ways reads training images.
    pub(crate) fn reads_images<'q>(self, mut quantizations: impl Iterator<Item = &'q Quantization>) -> bool {
        self.method != Method::Direct
            || self.bias_correction
            || quantizations.any(|each| each.scale.reads_inputs())
    }

    /// Adds the parameters to those of an op.
    pub(crate) fn describe(self, params: &mut serde_json::Value) {
        params["method"] = json!(self.method);
        params["calibration"] = json!(self.images);
        params["calibration_seed"] = json!(self.seed);
        params["bias_correction"] = json!(self.bias_correction);
    }

    /// Returns the shapes of a network's tensors, by name, with the biases that a correction adds: one for each output of a
    /// layer whose weight has two or more dimensions.
    pub(crate) fn with_biases(self, tensors: &BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Vec<usize>> {
        let mut all = tensors.clone();
        if self.bias_correction {
            let outputs = |(name, shape): (&String, &Vec<usize>)| {
                let layer = name.strip_suffix(".weight").filter(|_| shape.len() >= 2)?;
                Some((format!("{layer}.bias"), vec![shape[0]]))
            };
            all.extend(tensors.iter().filter_map(outputs));
        }
        all
    }

    /// Returns the sources of the algorithms.
    pub(crate) fn literature(self) -> Vec<&'static str> {
        let mut all = match self.method {
            Method::Direct => vec![],
            Method::Gptq { .. } => vec![GPTQ],
            Method::CoordinateDescent { .. } => vec![GPTQ, QUANT_EASE],
        };
        all.extend(self.bias_correction.then_some(BIAS_CORRECTION));
        all
    }
}
