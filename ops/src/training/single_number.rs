//! Batch normalizations with a single number per channel of an image: after Flatten or Linear, or on images
//! of 1 x 1. Knows nothing of batches. In a batch of one image such a channel has no variance, so `PyTorch`
//! and training refuse the batch.

use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::network::wiring::{Source, WiredSpec, wire};

/// The image sides to try, in pixels. A network that takes larger images only counts as a network without
/// such a batch normalization.
const SIDES: std::ops::RangeInclusive<usize> = 1..=4096;

/// Returns the first batch normalization with a single number per channel; `None` without one.
pub(crate) fn single_number_norm(network: &Network) -> Option<&Layer> {
    let is_single = |layer: &&Layer| layer.input().channels().1 == 1;
    network.layers.iter().filter(|layer| matches!(layer.op, LayerOp::BatchNorm { .. })).find(is_single)
}

/// Returns whether a batch normalization has a single number per channel for some image size, for callers
/// that do not know the images. A larger image never gives smaller activations, so testing the smallest image
/// that the network takes suffices.
pub(crate) fn may_have_single_number_norm(architecture: &Architecture) -> bool {
    let layers = wire(architecture, 1);
    let has_norm = layers.iter().any(|layer| matches!(layer.spec, LayerSpec::BatchNorm { .. }));
    has_norm && SIDES.into_iter().find_map(|side| has_single(&layers, side)).unwrap_or(false)
}

/// Returns whether square images of this side give a batch normalization a single number per channel; `None`
/// if the network does not take these images.
fn has_single(layers: &[WiredSpec], side: usize) -> Option<bool> {
    let (mut shapes, mut found) = (Vec::with_capacity(layers.len()), false);
    for WiredSpec { spec, sources, .. } in layers {
        let shape = |source: &Source| match source {
            Source::Images => ActivationShape::Image([1, side, side]),
            Source::Layer(at) => shapes[*at],
        };
        let mut input = shape(sources.first()?);
        // The number of channels of the images is unknown, and any number gives the same answer. A convolution needs
        // a multiple of its groups.
        if let (LayerSpec::Conv { groups, .. }, ActivationShape::Image([channels, ..])) = (spec, &mut input) {
            *channels = *groups;
        }
        let op = LayerOp::from_spec(spec, input).ok()?;
        found |= matches!(op, LayerOp::BatchNorm { .. }) && input.channels().1 == 1;
        // The branches of a sum may have images as one input, whose channels are unknown.
        shapes.push(if op.is_join() { input } else { op.output(&[input]).ok()? });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::geometry::{Padding, PaddingSpec};

    fn check(layers: &[LayerSpec], image: [usize; 3], may: bool, has: bool) {
        let mut layers = layers.to_vec();
        layers.extend([LayerSpec::Flatten, LayerSpec::linear(10)]);
        let architecture = Architecture::Layers(layers);
        let network = Network::resolve(&architecture, image, 10).unwrap();
        assert_eq!(may_have_single_number_norm(&architecture), may, "{architecture:?}");
        assert_eq!(single_number_norm(&network).is_some(), has, "{architecture:?}");
    }

    #[test]
    fn norms_of_rows_and_of_single_pixels_are_found() {
        let padded = LayerSpec::conv(4, 3).padded(PaddingSpec::Pixels(Padding::all(1)));
        let (norm, pool) = (LayerSpec::batch_norm, || LayerSpec::max_pool(2));
        let mnist = [1, 28, 28];
        check(&[LayerSpec::Flatten, LayerSpec::linear(8), norm(), LayerSpec::Relu], mnist, true, true);
        check(&[LayerSpec::Flatten, norm()], mnist, true, true);
        check(&[LayerSpec::conv(4, 3), LayerSpec::Relu, pool()], mnist, false, false);
        // A pool after the normalization needs at least four numbers per channel.
        check(&[padded.clone(), norm(), LayerSpec::Relu, pool()], mnist, false, false);
        // The third convolution of LeNet-5 has an output of 1 x 1 for images of 28 x 28, and of 2 x 2 for
        // images of 32 x 32, with a kernel of 4.
        let deep = |kernel| {
            [
                LayerSpec::conv(6, 5),
                pool(),
                LayerSpec::conv(16, 5),
                pool(),
                LayerSpec::conv(120, kernel),
                norm(),
            ]
        };
        check(&deep(4), mnist, true, true);
        check(&deep(4), [3, 32, 32], true, false);
        // The padded convolution takes images of 1 x 1.
        check(&[padded, norm()], mnist, true, false);
    }

    #[test]
    fn perceptrons_and_networks_that_take_no_image_have_none() {
        assert!(!may_have_single_number_norm(&Architecture::Mlp { hidden: vec![8], dropout: 0.0 }));
        let mut grouped = LayerSpec::conv(4, 3);
        if let LayerSpec::Conv { groups, .. } = &mut grouped {
            *groups = 3;
        }
        let none = Architecture::Layers(vec![grouped, LayerSpec::batch_norm()]);
        assert!(!may_have_single_number_norm(&none));
    }
}
