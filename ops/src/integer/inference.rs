//! Inference of integer networks: the outputs of images. Knows nothing of files and labels.

use super::error::IntegerError;
use super::network::{IntegerNetwork, StepOp};
use super::stage::{IntegerStage, Sums};
use super::value_scale::ValueScale;
use crate::backend::check;
use crate::backend::own::inference::{InferenceError, blocks_together, in_groups, take};
use crate::backend::own::kernels::lanes::{LANES, Lanes, fill_block_with, zeros};
use crate::dataset::images::{Images, Pixels};
use crate::network::definition::Network;
use crate::network::model::Model;

/// The outputs of an integer network.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// One row for each image.
    pub numbers: Vec<i32>,
    /// The number that a difference of 1 stands for.
    pub scale: f64,
}

impl Outputs {
    /// Returns the logits: outputs times their scale, rounded once.
    #[must_use]
    pub fn logits(&self) -> Vec<f32> {
        self.numbers.iter().map(|number| (f64::from(*number) * self.scale) as f32).collect()
    }
}

/// Computes the outputs of images. Errors if the model has no integer parameters, if they do not fit it, if the images do not
/// fit the network, or if `cancelled` returns true.
pub fn outputs(
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Outputs, InferenceError> {
    let network = model.network();
    check(network, images)?;
    let integers = integer_network(model)?;
    let plan = IntegerPlan::new(network, &integers, images)?;
    let numbers = in_groups(
        network,
        (images.len(), plan.blocks),
        cancelled,
        || IntegerScratch::new(&plan),
        |scratch, places, outputs| scratch.run(&plan, images, places, outputs),
    )?;
    Ok(Outputs { numbers, scale: integers.output_scale })
}

/// Returns the integer network of a model. Errors like [`outputs`].
pub fn integer_network(model: &Model) -> Result<IntegerNetwork, IntegerError> {
    let missing = || IntegerError::Parameters { name: "the model".to_owned(), what: "are missing" };
    IntegerNetwork::new(model.network(), model.tensors(), model.integers().ok_or_else(missing)?)
}

/// The steps of a network, and the buffers that they need.
struct IntegerPlan<'a> {
    stages: Vec<IntegerStage<'a>>,
    /// Lines per block of each buffer.
    slots: Vec<usize>,
    blocks: usize,
    input: [usize; 3],
    classes: usize,
    images: ValueScale,
    /// The centered code of each byte, per channel; none for images of numbers.
    bytes: Vec<[f32; 256]>,
}

impl<'a> IntegerPlan<'a> {
    fn new(
        network: &'a Network,
        integers: &'a IntegerNetwork,
        images: &Images,
    ) -> Result<Self, InferenceError> {
        let mut readers = vec![0; integers.values.len()];
        integers.steps.iter().flat_map(|step| &step.inputs).for_each(|value| readers[*value] += 1);
        let mut slots = vec![network.input.iter().product()];
        let (mut places, mut free) = (vec![0], vec![]);
        let mut stages = vec![];
        for step in &integers.steps {
            let layer = &network.layers[step.layer];
            let to = layer.output.len();
            let first = step.inputs[0];
            // A sum can take the place of its first input.
            let is_in_place = matches!(step.op, StepOp::Add(_)) && readers[first] == 1;
            let slot = if is_in_place { places[first] } else { take(&mut free, &mut slots, to) };
            slots[slot] = slots[slot].max(to);
            for value in &step.inputs {
                readers[*value] -= 1;
                if readers[*value] == 0 && places[*value] != slot {
                    free.push(places[*value]);
                }
            }
            let from = step.inputs.iter().map(|value| places[*value]).collect();
            let stage = IntegerStage::new(layer, step, integers, (from, slot));
            stages.push(stage.ok_or_else(|| InferenceError::Layer(layer.name.clone()))?);
            places.push(slot);
        }
        let images_scale = integers.values[0].scale;
        let centered = |number: f32| centered(images_scale, number);
        let bytes = match &images.pixels {
            Pixels::Bytes { values, .. } => values.iter().map(|values| values.map(centered)).collect(),
            Pixels::Numbers { .. } => vec![],
        };
        let blocks = blocks_together(slots.iter().max().copied().unwrap_or(1));
        let (input, classes) = (network.input, network.classes);
        Ok(Self { stages, slots, blocks, input, classes, images: images_scale, bytes })
    }
}

/// Returns the centered code of a number.
fn centered(scale: ValueScale, number: f32) -> f32 {
    (scale.code(f64::from(number)) - scale.zero_point) as f32
}

/// Buffers of one thread, for a group of images.
struct IntegerScratch {
    values: Vec<Vec<Lanes>>,
    sums: Vec<Sums>,
}

impl IntegerScratch {
    fn new(plan: &IntegerPlan<'_>) -> Self {
        let most = plan.stages.iter().map(|stage| stage.to).max().unwrap_or(0);
        Self {
            values: plan.slots.iter().map(|lines| zeros(plan.blocks * lines)).collect(),
            sums: vec![[0; LANES]; plan.blocks * most],
        }
    }

    /// Computes the outputs of the images at these places.
    fn run(&mut self, plan: &IntegerPlan<'_>, images: &Images, places: &[u32], outputs: &mut [i32]) {
        let blocks = places.len().div_ceil(LANES);
        let size = plan.input.iter().product();
        for (places, block) in places.chunks(LANES).zip(self.values[0].chunks_exact_mut(size)) {
            let number = |number| centered(plan.images, number);
            fill_block_with(images, places, plan.input, (&plan.bytes, number), block);
        }
        let Some(last) = plan.stages.last() else { return };
        for stage in &plan.stages {
            let mut y = std::mem::take(&mut self.values[stage.slot]);
            stage.run(blocks, &self.values, &mut self.sums, &mut y[..blocks * stage.to]);
            self.values[stage.slot] = y;
        }
        let is_sum = last.step.output.is_none();
        for (image, row) in outputs.chunks_exact_mut(plan.classes).enumerate() {
            let first = image / LANES * plan.classes;
            for (at, output) in row.iter_mut().enumerate() {
                *output = if is_sum {
                    self.sums[first + at][image % LANES]
                } else {
                    self.values[last.slot][first + at].0[image % LANES] as i32
                };
            }
        }
    }
}
