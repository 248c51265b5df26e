//! Dropout masks on candle: the factors that the own kernels draw, as tensors. Knows nothing of gradients.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor};

use crate::backend::own::kernels::dropout::factor_of;
use crate::backend::own::kernels::lanes::LANES;
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::training::dropout::{dropout_address, dropout_stream};

/// Returns the factors of every Dropout layer at a step, by layer index, in the shape of its output for `rows` images.
pub(crate) fn factors(
    network: &Network,
    rows: usize,
    seed: u64,
    moment: [usize; 2],
    device: &Device,
) -> Result<BTreeMap<usize, Tensor>> {
    let mut all = BTreeMap::new();
    for (at, layer) in network.layers.iter().enumerate() {
        let LayerOp::Dropout { p } = layer.op else { continue };
        let stream = dropout_stream(seed, moment, &dropout_address(network, at));
        let (lines, (channels, plane)) = (layer.output.len(), layer.output.channels());
        // The random numbers are numbered block by block, pixel by pixel, channel by channel, image by image.
        let mut bits = vec![0; rows.div_ceil(LANES) * lines * LANES];
        stream.fill(0, &mut bits);
        let mut numbers = Vec::with_capacity(rows * lines);
        for row in 0..rows {
            let block = &bits[row / LANES * lines * LANES..];
            for number in 0..lines {
                let line = number % plane * channels + number / plane;
                numbers.push(factor_of(p, block[line * LANES + row % LANES]));
            }
        }
        let factors = match layer.output {
            ActivationShape::Image([channels, height, width]) => {
                Tensor::from_vec(numbers, (rows, channels, height, width), device)?
            }
            ActivationShape::Row(n) => Tensor::from_vec(numbers, (rows, n), device)?,
        };
        all.insert(at, factors);
    }
    Ok(all)
}
