//! The way through the layers of a network: each is quantized on the inputs that the layers before it give, quantized.

use std::collections::BTreeMap;

use rayon::prelude::*;
use thiserror::Error;

use super::descent::descend;
use super::gptq::GptqPlan;
use super::moments::{InputMoments, ROWS};
use super::rows::LayerRows;
use super::sums::{dot, form};
use super::{Calibration, DAMPING, Method};
use crate::backend::own::activations::Activations;
use crate::backend::own::inference::InferenceError;
use crate::dataset::images::Images;
use crate::network::array::Array;
use crate::network::layer::LayerOp;
use crate::network::model::{Model, ModelFileError};
use crate::quantize::{PlaceRounder, QuantizeError, Quantizer, Tensor};
use crate::random::Stream;

/// The most inputs of an output: their products are a matrix of as many rows and columns.
const MOST_INPUTS: usize = 4096;

/// The most bytes of activations.
const MOST_BYTES: u64 = 8 << 30;

/// An error in the calibration of a network.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// There are fewer training images than the calibration takes.
    #[error("calibration: {wanted} images wanted, there are {available} training images; ask for fewer")]
    Images {
        /// Images wanted.
        wanted: usize,
        /// Training images there are.
        available: usize,
    },
    /// A layer has so many inputs that their products do not fit in memory.
    #[error(
        "{name}: {inputs} inputs of an output; GPTQ and coordinate descent take at most {MOST_INPUTS}; use `method: Direct`, with or without `bias_correction`"
    )]
    Inputs {
        /// The weight.
        name: String,
        /// The inputs of an output.
        inputs: usize,
    },
    /// The activations of the images do not fit in memory.
    #[error(
        "calibration: the activations of {images} images take {gib} GiB, and at most {most} GiB are allowed; ask for fewer"
    )]
    Memory {
        /// Images wanted.
        images: usize,
        /// The memory that they take.
        gib: u64,
        /// The most memory.
        most: u64,
    },
    /// The inputs of a layer are not finite.
    #[error(
        "{name}: the inputs of its layer are not finite on the calibration images; weights or images are too large for binary32"
    )]
    Activations {
        /// The weight.
        name: String,
    },
    /// The damping is too large for the inputs of a layer.
    #[error("{name}: `damping` is too large for the inputs of its layer; choose a smaller one, such as 0.01")]
    Damping {
        /// The weight.
        name: String,
    },
    /// The images do not fit the network, or the caller cancelled.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A tensor cannot be quantized.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The network with its new biases does not form a model.
    #[error(transparent)]
    Model(#[from] ModelFileError),
}

/// A calibrated network.
#[derive(Debug)]
pub struct Calibrated {
    /// The network before rounding, with the corrected biases.
    pub model: Model,
    /// The rounded numbers of every quantized tensor.
    pub rounded: BTreeMap<String, Vec<f32>>,
    /// For each layer whose weight changed, the squared error of its outputs over their square, on the calibration images;
    /// `None` for outputs that were always 0, and where the products of the inputs were not needed and too many.
    pub output_errors: Vec<(String, Option<f64>)>,
}

/// Quantizes a network with regard to some training images. Errors if there are too few images, if they do not fit the
/// network, if a tensor cannot be quantized, or if `cancelled` returns true.
pub fn calibrate(
    calibration: Calibration,
    quantizer: &Quantizer,
    model: &Model,
    training: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Calibrated, CalibrationError> {
    let (wanted, available) = (calibration.images, training.len());
    if wanted > available {
        return Err(CalibrationError::Images { wanted, available });
    }
    let mut places = Stream::new(calibration.seed, "calibration", "").permutation(available);
    places.truncate(wanted);
    let model = if calibration.bias_correction { with_biases(model, quantizer)? } else { model.clone() };
    let bytes = Activations::bytes(model.network(), wanted);
    if bytes > MOST_BYTES {
        let (gib, most) = (bytes.div_ceil(1 << 30), MOST_BYTES >> 30);
        return Err(CalibrationError::Memory { images: wanted, gib, most });
    }
    let mut activations = Activations::new(model.network(), training, &places)?;
    let mut walk = Walk { calibration, quantizer, rounded: BTreeMap::new(), output_errors: vec![] };
    let mut corrected = BTreeMap::new();
    for (at, layer) in model.network().layers.iter().enumerate() {
        if cancelled() {
            return Err(InferenceError::Cancelled.into());
        }
        let tensor = |word: &str| {
            Some(format!("{}.{word}", layer.name)).zip(model.tensors().get(&format!("{}.{word}", layer.name)))
        };
        let Some((name, weight)) = tensor("weight") else {
            activations.compute(at, &[], None)?;
            continue;
        };
        let mut bias = tensor("bias").map(|(name, bias)| (name, bias.numbers().to_vec()));
        let rows = LayerRows::new(layer, at, activations.images(), calibration.seed);
        let used =
            walk.weight(&name, weight, rows.as_ref(), &activations, bias.as_mut().map(|(_, bias)| bias))?;
        let used_bias = match &bias {
            Some((name, bias)) => {
                corrected.insert(name.clone(), bias.clone());
                Some(walk.alone(&Tensor { name, shape: &[bias.len()], data: bias })?)
            }
            None => None,
        };
        activations.compute(at, &used, used_bias.as_deref())?;
    }
    let Walk { rounded, output_errors, .. } = walk;
    drop(activations);
    Ok(Calibrated { model: model.with(corrected)?, rounded, output_errors })
}

/// Returns the network with a bias of zeros in each layer that has a quantized weight and no bias.
fn with_biases(model: &Model, quantizer: &Quantizer) -> Result<Model, ModelFileError> {
    let (mut network, mut tensors) = (model.network().clone(), model.tensors().clone());
    for layer in &mut network.layers {
        let weight = model.tensors().get(&format!("{}.weight", layer.name));
        let is_quantized = weight.is_some_and(|weight| quantizer.tensors.include(weight.shape()));
        if let (LayerOp::Conv { out, bias, .. } | LayerOp::Linear { out, bias }, true) =
            (&mut layer.op, is_quantized)
            && !*bias
        {
            *bias = true;
            let zeros = Array::new(vec![*out], vec![0.0; *out]);
            tensors.extend(zeros.map(|zeros| (format!("{}.bias", layer.name), zeros)));
        }
    }
    Model::new(network, tensors)
}

/// The quantization of a network, as far as its layers are treated.
struct Walk<'q> {
    calibration: Calibration,
    quantizer: &'q Quantizer,
    rounded: BTreeMap<String, Vec<f32>>,
    output_errors: Vec<(String, Option<f64>)>,
}

impl Walk<'_> {
    /// Rounds a tensor by itself, if it is quantized. Returns the numbers to compute with.
    fn alone(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, CalibrationError> {
        let Some(rounder) = self.quantizer.rounder(tensor)? else { return Ok(tensor.data.to_vec()) };
        let round = |(place, number): (usize, &f32)| rounder.round(place, f64::from(*number));
        let rounded: Vec<f32> = tensor.data.iter().enumerate().map(round).collect();
        self.rounded.insert(tensor.name.to_owned(), rounded.clone());
        Ok(rounded)
    }

    /// Quantizes the weight of a layer, and corrects its bias. Returns the weight to compute with.
    fn weight(
        &mut self,
        name: &str,
        weight: &Array,
        rows: Option<&LayerRows>,
        activations: &Activations<'_>,
        bias: Option<&mut Vec<f32>>,
    ) -> Result<Vec<f32>, CalibrationError> {
        let tensor = Tensor { name, shape: weight.shape(), data: weight.numbers() };
        let (Some(rows), Some(rounder)) = (rows, self.quantizer.rounder(&tensor)?) else {
            return self.alone(&tensor);
        };
        let (inputs, outputs) = (rows.inputs(), weight.shape()[0]);
        let stays = |(place, number): (usize, &f32)| rounder.round(place, f64::from(*number)) == *number;
        if tensor.data.iter().enumerate().all(stays) {
            // The format holds every weight, so there is no error to make up for.
            return self.alone(&tensor);
        }
        let has_products = inputs <= MOST_INPUTS;
        if !has_products && self.calibration.method != Method::Direct {
            return Err(CalibrationError::Inputs { name: name.to_owned(), inputs });
        }
        let of_group = outputs / rows.groups();
        let (mut rounded, mut error, mut square) = (Vec::with_capacity(tensor.data.len()), 0.0, 0.0);
        let mut bias = bias;
        for group in 0..rows.groups() {
            let moments = moments(rows, group, activations, has_products);
            let (h, means) = (moments.products(), moments.means());
            let first = group * of_group;
            let weights = &tensor.data[first * inputs..][..of_group * inputs];
            if !h.iter().chain(&means).all(|mean| mean.is_finite()) {
                return Err(CalibrationError::Activations { name: name.to_owned() });
            }
            let rows = self.rows([&h, &means], weights, first, &rounder);
            let rows = rows.ok_or_else(|| CalibrationError::Damping { name: name.to_owned() })?;
            for (row, found) in rows.into_iter().enumerate() {
                let constant = bias.as_ref().map_or(0.0, |bias| f64::from(bias[first + row]));
                square += found.square + constant * (2.0 * found.mean + constant);
                error += found.error;
                if let (true, Some(bias)) = (self.calibration.bias_correction, bias.as_mut()) {
                    bias[first + row] = (constant - found.shift) as f32;
                    error -= found.shift * found.shift;
                }
                rounded.extend(found.rounded);
            }
        }
        let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer).to_owned();
        if let Some(place) = rounded.iter().position(|number| !number.is_finite()) {
            let (tensor, value) = (name.to_owned(), tensor.data[place]);
            let result = rounded[place];
            return Err(QuantizeError::Result { tensor, element: place, value, result }.into());
        }
        let relative = (has_products && square > 0.0).then(|| (error / square).max(0.0));
        self.output_errors.push((layer, relative));
        self.rounded.insert(name.to_owned(), rounded.clone());
        Ok(rounded)
    }

    /// Rounds the rows of weights of a group, from the output `first` on.
    fn rows(
        &self,
        [h, means]: [&[f64]; 2],
        weights: &[f32],
        first: usize,
        rounder: &PlaceRounder,
    ) -> Option<Vec<RoundedRow>> {
        let inputs = means.len();
        let (damping, passes) = match self.calibration.method {
            Method::Direct => (None, 0),
            Method::Gptq { damping } => (Some(damping), 0),
            Method::CoordinateDescent { passes } => (Some(DAMPING), passes),
        };
        let plan = match damping {
            Some(damping) => Some(GptqPlan::new(h, inputs, damping)?),
            None => None,
        };
        let curved = plan.as_ref().filter(|_| passes > 0).map(|plan| plan.damped(h));
        let rows = weights.par_chunks_exact(inputs).enumerate().map(|(row, weights)| {
            let round = |column: usize, number: f64| rounder.round((first + row) * inputs + column, number);
            let mut rounded = plan.as_ref().map_or_else(
                || weights.iter().enumerate().map(|(at, number)| round(at, f64::from(*number))).collect(),
                |plan| plan.round(weights, round),
            );
            if let Some(h) = &curved {
                descend(h, weights, &mut rounded, passes, round);
            }
            RoundedRow::new(rounded, weights, [h, means])
        });
        Some(rows.collect())
    }
}

/// A row of weights after rounding, and the change of its output.
struct RoundedRow {
    rounded: Vec<f32>,
    /// Means over the positions, without the bias: of the squared change of the output, of the output's square before
    /// rounding, of the change, and of the output before rounding.
    error: f64,
    square: f64,
    shift: f64,
    mean: f64,
}

impl RoundedRow {
    fn new(rounded: Vec<f32>, weights: &[f32], [h, means]: [&[f64]; 2]) -> Self {
        let before: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let change: Vec<f64> = rounded.iter().zip(&before).map(|(new, old)| f64::from(*new) - old).collect();
        // Without products there is no H.
        let (error, square) = if h.is_empty() { (0.0, 0.0) } else { (form(h, &change), form(h, &before)) };
        Self { error, square, shift: dot(&change, means), mean: dot(&before, means), rounded }
    }
}

/// Sums the inputs of a group over all positions.
pub(super) fn moments(
    rows: &LayerRows,
    group: usize,
    activations: &Activations<'_>,
    has_products: bool,
) -> InputMoments {
    let mut moments = InputMoments::new(rows.inputs(), has_products);
    let width = moments.width();
    let mut held = vec![0.0; ROWS * width];
    for first in (0..rows.len()).step_by(ROWS) {
        let range = first..rows.len().min(first + ROWS);
        let held = &mut held[..range.len() * width];
        rows.read(activations, group, range, held, width);
        moments.add(held);
    }
    moments
}
