//! The activations of a network for some images, computed layer by layer with weights that may change from layer to layer.
//! Knows nothing of quantization. Every number is the one of inference, because no sum runs over images.

use rayon::prelude::*;

use crate::backend::check;
use crate::backend::own::inference::{InferenceError, InferenceStage};
use crate::backend::own::kernels::lanes::{LANES, Lanes, fill_block, zeros};
use crate::dataset::images::Images;
use crate::network::definition::Network;
use crate::network::wiring::Source;

/// The activations that later layers read.
pub(crate) struct Activations<'n> {
    network: &'n Network,
    /// For each block of sixteen images, the images and the output of each layer; empty before it is computed, and behind
    /// its last reader.
    blocks: Vec<Vec<Vec<Lanes>>>,
    /// The readers of each value that are still to come.
    readers: Vec<usize>,
    images: usize,
}

impl<'n> Activations<'n> {
    /// Returns the most bytes that the activations of so many images take at a time.
    pub(crate) fn bytes(network: &Network, images: usize) -> u64 {
        let mut readers = count_readers(network);
        let lines = |value: usize| match value {
            0 => network.input.iter().product(),
            layer => network.layers[layer - 1].output.len(),
        };
        let (mut held, mut most) = (lines(0), lines(0));
        for (at, layer) in network.layers.iter().enumerate() {
            held += lines(at + 1);
            most = most.max(held);
            for source in &layer.sources {
                let value = index(*source);
                readers[value] -= 1;
                held -= if readers[value] == 0 { lines(value) } else { 0 };
            }
        }
        most as u64 * size_of::<Lanes>() as u64 * images.div_ceil(LANES) as u64
    }

    /// Starts with the images at these places. Errors if the images do not fit the network.
    pub(crate) fn new(network: &'n Network, images: &Images, places: &[u32]) -> Result<Self, InferenceError> {
        check(network, &Images { labels: None, ..images.select(&[]) })?;
        let values = network.layers.len() + 1;
        let readers = count_readers(network);
        let block = |places: &[u32]| {
            let mut values = vec![vec![]; values];
            values[0] = zeros(network.input.iter().product());
            fill_block(images, places, network.input, &mut values[0]);
            values
        };
        Ok(Self {
            network,
            blocks: places.par_chunks(LANES).map(block).collect(),
            readers,
            images: places.len(),
        })
    }

    /// Returns the numbers of the images, or of a layer's output while later layers read it, block by block.
    pub(crate) fn numbers(&self, layer: Option<usize>) -> Vec<f32> {
        let value = layer.map_or(0, |layer| layer + 1);
        let mut all = vec![];
        for (block, values) in self.blocks.iter().enumerate() {
            let used = LANES.min(self.images - block * LANES);
            all.extend(values[value].iter().flat_map(|line| &line.0[..used]));
        }
        all
    }

    /// Returns the number of images.
    pub(crate) fn images(&self) -> usize {
        self.images
    }

    /// Returns the first input of a layer for a block of sixteen images.
    pub(crate) fn input(&self, layer: usize, block: usize) -> &[Lanes] {
        &self.blocks[block][index(self.network.layers[layer].sources[0])]
    }

    /// Computes a layer's output with these parameters. The layers before it must be computed. Errors if the layer occurs in
    /// training only.
    pub(crate) fn compute(
        &mut self,
        at: usize,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<(), InferenceError> {
        let layer = &self.network.layers[at];
        let from: Vec<usize> = layer.sources.iter().map(|source| index(*source)).collect();
        let stage = InferenceStage::alone(layer, weight, bias, from.clone(), at + 1)?;
        for value in &from {
            self.readers[*value] -= 1;
        }
        let unread: Vec<usize> = from.into_iter().filter(|value| self.readers[*value] == 0).collect();
        self.blocks.par_iter_mut().for_each(|values| {
            let mut y = zeros(layer.output.len());
            stage.run(1, values, &mut y);
            values[at + 1] = y;
            for value in &unread {
                values[*value] = vec![];
            }
        });
        Ok(())
    }
}

/// Returns the number of readers of each value, the images first.
fn count_readers(network: &Network) -> Vec<usize> {
    let mut readers = vec![0; network.layers.len() + 1];
    for source in network.layers.iter().flat_map(|layer| &layer.sources) {
        readers[index(*source)] += 1;
    }
    readers
}

fn index(source: Source) -> usize {
    match source {
        Source::Images => 0,
        Source::Layer(at) => at + 1,
    }
}
