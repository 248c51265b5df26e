//! Quantizes the layers of a network in the order of the forward pass: the inputs of a layer come from the quantized layers
//! before it.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::error::{CalibrationError, MOST_INPUTS};
use super::moments::{InputMoments, Products, ROWS};
use super::row_rounder::{RoundedRow, RowRounder};
use super::rows::LayerRows;
use super::{Calibration, Method};
use crate::backend::own::activations::Activations;
use crate::backend::own::inference::InferenceError;
use crate::dataset::images::Images;
use crate::network::array::Array;
use crate::network::definition::Layer;
use crate::network::layer::LayerOp;
use crate::network::model::{Model, ModelFileError};
use crate::quantize::{Fitted, PlaceRounder, Quantizer, RoundedTensor, Tensor, refuse_results};
use crate::random::Stream;

/// The most bytes of activations.
const MOST_BYTES: u64 = 8 << 30;

/// A calibrated network.
#[derive(Debug)]
pub struct Calibrated {
    /// The network before rounding, with the corrected biases.
    pub model: Model,
    /// Every quantized tensor, rounded.
    pub rounded: BTreeMap<String, RoundedTensor>,
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
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Calibrated, CalibrationError> {
    let model = if calibration.bias_correction { with_biases(model, quantizer)? } else { model.clone() };
    let mut activations = calibration_images(calibration, &model, training)?;
    let mut found = NetworkQuantization::new(calibration, quantizer, cancelled);
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
        let weight = Tensor { name: &name, shape: weight.shape(), data: weight.numbers() };
        let used =
            found.quantize_weight((layer, at), &weight, &activations, bias.as_mut().map(|(_, bias)| bias))?;
        // A calibration leaves biases in binary32.
        activations.compute(at, &used, bias.as_ref().map(|(_, bias)| bias.as_slice()))?;
        corrected.extend(bias);
    }
    let NetworkQuantization { rounded, output_errors, .. } = found;
    drop(activations);
    Ok(Calibrated { model: model.with(corrected)?, rounded, output_errors })
}

/// Returns the fits of the tensors whose scales were fitted to inputs, by name. `model` is the network before rounding, and
/// `made` is what [`calibrate`] made of it. Errors like [`calibrate`].
pub fn fits(
    calibration: Calibration,
    quantizer: &Quantizer,
    [model, made]: [&Model; 2],
    training: &Images,
) -> Result<BTreeMap<String, Fitted>, CalibrationError> {
    let mut activations = calibration_images(calibration, made, training)?;
    let mut fits = BTreeMap::new();
    for (at, layer) in made.network().layers.iter().enumerate() {
        let [name, bias] = ["weight", "bias"].map(|word| format!("{}.{word}", layer.name));
        let made = |name: &str| made.tensors().get(name).map(Array::numbers);
        if let Some(weight) = model.tensors().get(&name) {
            let weight = Tensor { name: &name, shape: weight.shape(), data: weight.numbers() };
            if quantizer.quantization_of(&name).scale.tries_scales() {
                let mut network = NetworkQuantization::new(calibration, quantizer, &|| false);
                network.quantize_weight((layer, at), &weight, &activations, None)?;
                fits.extend(network.rounded.into_iter().map(|(name, tensor)| (name, tensor.fitted)));
            } else {
                let rows = LayerRows::new(layer, at, activations.images(), calibration.seed);
                let importance = importance(quantizer, &weight, rows.as_ref(), &activations);
                if !importance.is_empty()
                    && let Some(rounder) = quantizer.rounder(&weight, &importance)?
                {
                    fits.insert(name.clone(), rounder.into_fitted());
                }
            }
        }
        activations.compute(at, made(&name).unwrap_or_default(), made(&bias))?;
    }
    Ok(fits)
}

/// Starts with the images of a calibration; an error if they do not fit the network or the memory.
pub(crate) fn calibration_images<'m>(
    calibration: Calibration,
    model: &'m Model,
    training: &Images,
) -> Result<Activations<'m>, CalibrationError> {
    let (wanted, available) = (calibration.images, training.len());
    if wanted > available {
        return Err(CalibrationError::Images { wanted, available });
    }
    let mut places = Stream::new(calibration.seed, "calibration", "").permutation(available);
    places.truncate(wanted);
    let bytes = Activations::bytes(model.network(), wanted);
    if bytes > MOST_BYTES {
        let (gib, most) = (bytes.div_ceil(1 << 30), MOST_BYTES >> 30);
        return Err(CalibrationError::Memory { images: wanted, gib, most });
    }
    Ok(Activations::new(model.network(), training, &places)?)
}

/// Returns the mean square of the input of each weight, which is the diagonal of H; nothing if the fit of the tensor's scales
/// does not weigh inputs.
fn importance(
    quantizer: &Quantizer,
    weight: &Tensor<'_>,
    rows: Option<&LayerRows>,
    activations: &Activations<'_>,
) -> Vec<f64> {
    let Some(rows) = rows.filter(|_| quantizer.quantization_of(weight.name).scale.weighs_inputs()) else {
        return vec![];
    };
    let outputs_of_group = weight.data.len() / rows.inputs().max(1) / rows.groups();
    let squares = |group| input_moments(rows, group, activations, Products::Squares).squares();
    (0..rows.groups()).flat_map(|group| squares(group).repeat(outputs_of_group)).collect()
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
struct NetworkQuantization<'q> {
    calibration: Calibration,
    quantizer: &'q Quantizer,
    cancelled: &'q (dyn Fn() -> bool + Sync),
    rounded: BTreeMap<String, RoundedTensor>,
    output_errors: Vec<(String, Option<f64>)>,
}

impl<'q> NetworkQuantization<'q> {
    fn new(
        calibration: Calibration,
        quantizer: &'q Quantizer,
        cancelled: &'q (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self { calibration, quantizer, cancelled, rounded: BTreeMap::new(), output_errors: vec![] }
    }

    /// Quantizes the weight of a layer, and corrects its bias. Returns the weight to compute with.
    fn quantize_weight(
        &mut self,
        (layer, at): (&Layer, usize),
        weight: &Tensor<'_>,
        activations: &Activations<'_>,
        bias: Option<&mut Vec<f32>>,
    ) -> Result<Vec<f32>, CalibrationError> {
        let rows = LayerRows::new(layer, at, activations.images(), self.calibration.seed);
        let importance = importance(self.quantizer, weight, rows.as_ref(), activations);
        let Some(rounder) = self.quantizer.rounder(weight, &importance)? else {
            return Ok(weight.data.to_vec());
        };
        let by_itself: Vec<f32> = weight
            .data
            .iter()
            .enumerate()
            .map(|(place, number)| rounder.round(place, f64::from(*number)))
            .collect();
        // Where the format holds every weight, there is no error to make up for.
        let changes = by_itself != weight.data;
        let Some(rows) = rows.filter(|_| changes) else {
            let rounded = RoundedTensor { numbers: by_itself.clone(), fitted: rounder.into_fitted() };
            self.rounded.insert(weight.name.to_owned(), rounded);
            return Ok(by_itself);
        };
        let (name, inputs) = (weight.name.to_owned(), rows.inputs());
        let needs_products = self.calibration.method != Method::Direct
            || self.quantizer.quantization_of(weight.name).scale.tries_scales();
        if inputs > MOST_INPUTS && needs_products {
            return Err(CalibrationError::Inputs { name, inputs });
        }
        let group = |group| self.quantize_group(group, &rows, activations, weight, &rounder);
        let groups: Vec<Result<_, _>> = (0..rows.groups()).into_par_iter().map(group).collect();
        let rows = groups.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        let error = correct_biases(&rows, bias, self.calibration.bias_correction);
        let scales: Option<Vec<f32>> = rows.iter().map(|row| row.scale).collect();
        let rounded: Vec<f32> = rows.into_iter().flat_map(|row| row.rounded).collect();
        if self.calibration.method == Method::Direct {
            refuse_results(weight, &rounded)?;
        } else if let Some(element) = rounded.iter().position(|number| !number.is_finite()) {
            return Err(CalibrationError::Overflow { name, element });
        }
        self.output_errors.push((layer.name.clone(), error.filter(|_| inputs <= MOST_INPUTS)));
        let fitted = match scales {
            Some(scales) => rounder.into_fitted_with(scales),
            None => rounder.into_fitted(),
        };
        let tensor = RoundedTensor { numbers: rounded.clone(), fitted };
        self.rounded.insert(name, tensor);
        Ok(rounded)
    }

    /// Quantizes the weights of a group of outputs.
    fn quantize_group(
        &self,
        group: usize,
        rows: &LayerRows,
        activations: &Activations<'_>,
        weight: &Tensor<'_>,
        rounder: &PlaceRounder,
    ) -> Result<Vec<RoundedRow>, CalibrationError> {
        if (self.cancelled)() {
            return Err(InferenceError::Cancelled.into());
        }
        let inputs = rows.inputs();
        let products = if inputs <= MOST_INPUTS { Products::All } else { Products::None };
        let moments = input_moments(rows, group, activations, products);
        let (h, means) = (moments.products(), moments.means());
        if !h.iter().chain(&means).all(|mean| mean.is_finite()) {
            return Err(CalibrationError::Activations { name: weight.name.to_owned() });
        }
        let of_group = weight.data.len() / rows.groups();
        let places = group * of_group..(group + 1) * of_group;
        let row_rounder = RowRounder::new(self.calibration, [&h, &means], rounder)
            .ok_or_else(|| CalibrationError::Damping { name: weight.name.to_owned() })?;
        let weights = weight.data[places.clone()].par_chunks_exact(inputs).enumerate();
        Ok(weights.map(|(row, weights)| row_rounder.round(weights, places.start + row * inputs)).collect())
    }
}

/// Takes the mean change of each output from its bias if `is_wanted`. Returns the squared error of the outputs that stays,
/// over their square; `None` for outputs that were always 0.
fn correct_biases(rows: &[RoundedRow], mut bias: Option<&mut Vec<f32>>, is_wanted: bool) -> Option<f64> {
    let (mut error, mut square) = (0.0, 0.0);
    for (output, row) in rows.iter().enumerate() {
        let constant = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
        square += row.square + constant * (2.0 * row.mean + constant);
        error += row.error;
        if let (true, Some(bias)) = (is_wanted, bias.as_mut()) {
            bias[output] = (constant - row.shift) as f32;
            error -= row.shift * row.shift;
        }
    }
    (square > 0.0).then(|| (error / square).max(0.0))
}

/// Sums the inputs of a group over all positions.
pub(super) fn input_moments(
    rows: &LayerRows,
    group: usize,
    activations: &Activations<'_>,
    products: Products,
) -> InputMoments {
    let mut moments = InputMoments::new(rows.inputs(), products);
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
