//! The steps of an inference, one image at a time, and the place of every value in one scratch buffer. Knows nothing of C.
//!
//! A value lives from the step that writes it to the last step that reads it; values whose lives do not overlap share memory.
//! Values are laid out from the largest to the smallest, each at the lowest free place: the greedy rule of Pisarchyk and Lee
//! (*Efficient Memory Management for Deep Neural Net Inference*, 2020).

use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;

/// The rows of weights that a convolution decodes together.
const ROWS: usize = 4;

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The images, channel by channel.
    Input,
    /// The buffer of the logits.
    Output,
    /// The scratch buffer, from this number on.
    Scratch(usize),
}

/// One step: a layer, or the transposition of the images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The index of the layer; `None` for the transposition of the images to channels side by side.
    pub layer: Option<usize>,
    pub inputs: Vec<Place>,
    pub output: Place,
    /// The place of decoded rows of weights; only for layers that decode rows.
    pub rows: Option<Place>,
    /// The places of a decoded weight and bias, if the layer reads them as a whole and they are stored as codes.
    pub parameters: [Option<Place>; 2],
    /// Whether the step also computes the Relu layer behind its layer.
    pub rectify: bool,
}

/// The steps of an inference, and the numbers in its scratch buffer.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub steps: Vec<Step>,
    pub scratch: usize,
    /// The place in the scratch buffer where images of bytes become numbers; no value shares it while the images are read.
    pub images: Option<usize>,
}

/// A value on its way to a place.
#[derive(Debug)]
struct Life {
    numbers: usize,
    /// The first and the last step in which the value is alive.
    first: usize,
    last: usize,
    place: Option<Place>,
}

/// The values of a network and the steps that compute them, before the layout.
#[derive(Default)]
struct Draft {
    lives: Vec<Life>,
    steps: Vec<DraftStep>,
}

struct DraftStep {
    layer: Option<usize>,
    inputs: Vec<usize>,
    output: usize,
    rows: Option<usize>,
    parameters: [Option<usize>; 2],
    rectify: bool,
}

impl Schedule {
    /// Schedules a trained network; `is_coded` tells for each parameter's name whether it is stored as codes, `takes_bytes`
    /// whether the scratch buffer also has a place for the numbers of an image of bytes.
    pub(super) fn of(network: &Network, is_coded: &dyn Fn(&str) -> bool, takes_bytes: bool) -> Self {
        let mut draft = Draft::default();
        let pixels: usize = network.input.iter().product();
        let images = draft.value(pixels, Some(Place::Input));
        let turned = draft.turned_images(network, images);
        // The value of each layer, and the reads of each value that are still to come.
        let mut values: Vec<usize> = vec![];
        let mut reads: Vec<usize> = vec![0; draft.lives.len()];
        let readers = network.readers();
        reads[images] = usize::MAX / 2;
        reads[turned] =
            network.layers.iter().flat_map(|layer| &layer.sources).filter(|s| **s == Source::Images).count();
        for (at, layer) in network.layers.iter().enumerate() {
            let flattens = matches!(layer.op, LayerOp::Flatten);
            let value_of = |source: &Source| match source {
                Source::Images if flattens => images,
                Source::Images => turned,
                Source::Layer(at) => values[*at],
            };
            let inputs: Vec<usize> = layer.sources.iter().map(value_of).collect();
            let first = inputs[0];
            let is_free = reads[first] == 1 && draft.lives[first].place.is_none();
            for input in &inputs {
                reads[*input] = reads[*input].saturating_sub(1);
            }
            let output = if is_idle(network, at) {
                first
            } else {
                let output = if is_free && works_in_place(layer) {
                    first
                } else {
                    draft.value(layer.output.len(), None)
                };
                draft.step(network, at, inputs, output, is_coded);
                output
            };
            reads.resize(draft.lives.len(), 0);
            reads[output] += readers[at];
            values.push(output);
        }
        if let Some(last) = values.last() {
            draft.lives[*last].place = Some(Place::Output);
        }
        let converted = takes_bytes.then(|| {
            let Life { first, last, numbers, .. } = draft.lives[images];
            draft.lives.push(Life { numbers, first, last, place: None });
            draft.lives.len() - 1
        });
        draft.laid_out(converted)
    }
}

impl Draft {
    fn value(&mut self, numbers: usize, place: Option<Place>) -> usize {
        let at = self.steps.len();
        self.lives.push(Life { numbers, first: at, last: at, place });
        self.lives.len() - 1
    }

    /// Returns the value of the images with the channels of a pixel side by side, which all layers but Flatten read.
    fn turned_images(&mut self, network: &Network, images: usize) -> usize {
        let [channels, height, width] = network.input;
        let is_read = |layer: &Layer| layer.op != LayerOp::Flatten && layer.sources.contains(&Source::Images);
        if channels == 1 || height * width == 1 || !network.layers.iter().any(is_read) {
            return images;
        }
        let output = self.value(channels * height * width, None);
        let (inputs, rows, parameters) = (vec![images], None, [None; 2]);
        self.lives[images].last = 0;
        self.steps.push(DraftStep { layer: None, inputs, output, rows, parameters, rectify: false });
        output
    }

    fn step(
        &mut self,
        network: &Network,
        at: usize,
        inputs: Vec<usize>,
        output: usize,
        is_coded: &dyn Fn(&str) -> bool,
    ) {
        let layer = &network.layers[at];
        let coded = |word: &str| is_coded(&format!("{}.{word}", layer.name));
        let (weight, bias) = layer.op.parameters(layer.input());
        let size = |shape: Option<&Vec<usize>>| shape.map_or(0, |shape| shape.iter().product::<usize>());
        let decodes_rows = is_product(layer);
        let rows = decodes_rows.then(|| {
            let row = size(weight.as_ref()) / layer.output.channels().0.max(1);
            let together = if let LayerOp::Conv { out, groups, .. } = layer.op {
                ROWS.min(out / groups.max(1))
            } else {
                1
            };
            let together = if together < ROWS { 1 } else { ROWS };
            self.value(row * together, None)
        });
        let whole = |draft: &mut Self, shape: Option<&Vec<usize>>, is_coded: bool| {
            is_coded.then(|| draft.value(size(shape), None))
        };
        let weight = whole(self, weight.as_ref(), !decodes_rows && coded("weight"));
        let bias = whole(self, bias.as_ref(), coded("bias"));
        let now = self.steps.len();
        for value in inputs.iter().chain([&output]) {
            self.lives[*value].last = now;
        }
        let rectify = rectifies(network, at);
        self.steps.push(DraftStep {
            layer: Some(at),
            inputs,
            output,
            rows,
            parameters: [weight, bias],
            rectify,
        });
    }

    /// Gives every value its place.
    fn laid_out(mut self, images: Option<usize>) -> Schedule {
        let placed: Vec<usize> =
            (0..self.lives.len()).filter(|value| self.lives[*value].place.is_none()).collect();
        let spans: Vec<Span> = placed
            .iter()
            .map(|value| {
                let Life { numbers, first, last, .. } = self.lives[*value];
                Span { size: numbers, first, last }
            })
            .collect();
        let (places, scratch) = lay_out(&spans);
        for (value, from) in placed.into_iter().zip(places) {
            self.lives[value].place = Some(Place::Scratch(from));
        }
        let place = |value: usize| self.lives[value].place.unwrap_or(Place::Input);
        let steps = self.steps.iter().map(|step| Step {
            layer: step.layer,
            inputs: step.inputs.iter().map(|value| place(*value)).collect(),
            output: place(step.output),
            rows: step.rows.map(place),
            parameters: step.parameters.map(|value| value.map(place)),
            rectify: step.rectify,
        });
        let images = images.and_then(|value| match place(value) {
            Place::Scratch(at) => Some(at),
            Place::Input | Place::Output => None,
        });
        Schedule { steps: steps.collect(), scratch, images }
    }
}

/// The size of a part of the buffer, and the first and the last step that use it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub size: usize,
    pub first: usize,
    pub last: usize,
}

/// Returns a place for each value, and the size of the buffer.
pub(super) fn lay_out(spans: &[Span]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|value| std::cmp::Reverse(spans[*value].size));
    let (mut places, mut end) = (vec![0; spans.len()], 0);
    let mut placed: Vec<usize> = vec![];
    for value in order {
        let Span { size, first, last } = spans[value];
        let overlaps = |other: &&usize| spans[**other].first <= last && first <= spans[**other].last;
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(overlaps)
            .map(|other| (places[*other], places[*other] + spans[*other].size))
            .collect();
        taken.sort_unstable();
        let from = taken
            .iter()
            .fold(0, |from, (start, end)| if from + size <= *start { from } else { from.max(*end) });
        placed.push(value);
        places[value] = from;
        end = end.max(from + size);
    }
    (places, end)
}

fn is_product(layer: &Layer) -> bool {
    matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. })
}

/// Returns whether the step of a layer can write where it reads its first input.
fn works_in_place(layer: &Layer) -> bool {
    matches!(
        layer.op,
        LayerOp::Affine
            | LayerOp::Relu
            | LayerOp::Relu6
            | LayerOp::LeakyRelu { .. }
            | LayerOp::Sigmoid
            | LayerOp::Tanh
            | LayerOp::HardSwish
            | LayerOp::Add
    )
}

/// Returns whether a layer needs no step: a Relu behind a product that computes it, or a Flatten of numbers that lie channel by
/// channel already.
fn is_idle(network: &Network, at: usize) -> bool {
    let layer = &network.layers[at];
    match (layer.op, layer.sources[0]) {
        (LayerOp::Relu, Source::Layer(before)) => rectifies(network, before),
        (LayerOp::Flatten, Source::Images) => true,
        (LayerOp::Flatten, Source::Layer(_)) => !is_turned_by_flatten(layer.input()),
        _ => false,
    }
}

/// Returns whether Flatten changes the order of the numbers of such an image.
fn is_turned_by_flatten(input: ActivationShape) -> bool {
    let (channels, pixels) = input.channels();
    channels > 1 && pixels > 1
}

/// Returns whether the step of a layer also computes a Relu layer, the only reader of its output.
fn rectifies(network: &Network, at: usize) -> bool {
    let mut readers = network.layers.iter().filter(|layer| layer.sources.contains(&Source::Layer(at)));
    let is_relu = readers.next().is_some_and(|layer| layer.op == LayerOp::Relu);
    is_product(&network.layers[at]) && is_relu && readers.next().is_none()
}
