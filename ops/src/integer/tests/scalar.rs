//! The arithmetic of docs/integer.md one number at a time, in checked 32-bit arithmetic.

use crate::integer::network::{IntegerNetwork, StepOp};
use crate::integer::product::Product;
use crate::network::definition::Layer;
use crate::network::geometry::Padding;
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::network::shape::ActivationShape;

/// Returns the outputs of an image by the arithmetic as it is specified. Values
/// lie channel by channel.
fn values(model: &Model, integers: &IntegerNetwork, image: &[f32]) -> Vec<Vec<i32>> {
    let network = model.network();
    let of_images = integers.values[0].scale;
    let mut values: Vec<Vec<i32>> =
        vec![image.iter().map(|x| of_images.code(f64::from(*x)) - of_images.zero_point).collect()];
    for step in &integers.steps {
        let layer = &network.layers[step.layer];
        let inputs: Vec<&[i32]> = step.inputs.iter().map(|value| &values[*value][..]).collect();
        let [low, high] = step.limits.map(i64::from);
        let made: Vec<i64> = match &step.op {
            StepOp::Product(product) => products(layer, product, inputs[0]),
            StepOp::Add(factors) => (0..inputs[0].len())
                .map(|at| {
                    let terms = inputs.iter().zip(&factors.factors);
                    let sum = terms.fold(0_i32, |sum, (input, m)| {
                        sum.checked_add(input[at].checked_mul(*m).unwrap()).unwrap()
                    });
                    i64::from(sum.checked_add(1 << (factors.shift - 1)).unwrap() >> factors.shift)
                })
                .collect(),
            StepOp::Concat(factors) => inputs
                .iter()
                .zip(factors)
                .flat_map(|(input, of)| input.iter().map(|u| i64::from(of.apply([*u].into_iter()))))
                .collect(),
            StepOp::MaxPool => windows(layer)
                .map(|(pixels, _)| pixels.map(|at| i64::from(inputs[0][at])).max().unwrap())
                .collect(),
            StepOp::Mean(multipliers) => windows(layer)
                .map(|(pixels, count)| {
                    let sum = pixels.fold(0_i32, |sum, at| sum.checked_add(inputs[0][at]).unwrap());
                    multipliers[&count].apply(sum)
                })
                .collect(),
            // Values lie channel by channel already.
            StepOp::Flatten => inputs[0].iter().map(|u| i64::from(*u)).collect(),
            StepOp::Table(codes) => {
                let (from, to) =
                    (integers.values[step.inputs[0]].scale, integers.values[step.output.unwrap()].scale);
                let code = |u: &i32| codes[(u + from.zero_point - from.limits()[0]) as usize];
                inputs[0].iter().map(|u| i64::from(code(u)) - i64::from(to.zero_point)).collect()
            }
        };
        values.push(made.into_iter().map(|y| y.clamp(low, high) as i32).collect());
    }
    values
}

/// Returns the outputs of an image.
pub(super) fn reference(model: &Model, integers: &IntegerNetwork, image: &[f32]) -> Vec<i32> {
    values(model, integers, image).pop().unwrap()
}

fn products(layer: &Layer, product: &Product, x: &[i32]) -> Vec<i64> {
    let row = product.row();
    let sum = |output: usize, terms: &mut dyn Iterator<Item = (usize, usize)>| {
        let sum = terms.fold(product.biases[output], |sum, (weight, at)| {
            let term = i32::from(product.codes[output * row + weight]).checked_mul(x[at]).unwrap();
            sum.checked_add(term).unwrap()
        });
        product.multipliers.get(output).map_or(i64::from(sum), |multiplier| multiplier.apply(sum))
    };
    match (layer.op, layer.input(), layer.output) {
        (
            LayerOp::Conv { kernel, stride, padding, dilation, groups, .. },
            ActivationShape::Image([channels, height, width]),
            ActivationShape::Image([outputs, rows, columns]),
        ) => {
            let of_group = channels / groups;
            let mut all = vec![];
            for output in 0..outputs {
                let group = output / (outputs / groups);
                for pixel in 0..rows * columns {
                    let place = |at: usize, side: usize, tap: usize| {
                        (at * stride.both()[side] + tap * dilation.both()[side])
                            .checked_sub(padding.along(side)[0])
                    };
                    let mut terms = (0..row).filter_map(|weight| {
                        let (channel, tap) = (weight / kernel.area(), weight % kernel.area());
                        let y = place(pixel / columns, 0, tap / kernel.width).filter(|y| *y < height)?;
                        let x = place(pixel % columns, 1, tap % kernel.width).filter(|x| *x < width)?;
                        Some((weight, ((group * of_group + channel) * height + y) * width + x))
                    });
                    all.push(sum(output, &mut terms));
                }
            }
            all
        }
        (LayerOp::Affine, input, _) => {
            let (channels, pixels) = input.channels();
            (0..channels * pixels).map(|at| sum(at / pixels, &mut [(0, at)].into_iter())).collect()
        }
        _ => (0..product.biases.len()).map(|output| sum(output, &mut (0..row).map(|at| (at, at)))).collect(),
    }
}

/// Returns the windows of a pool, channel by channel: the places of the pixels, and how many count.
fn windows(layer: &Layer) -> impl Iterator<Item = (impl Iterator<Item = usize>, usize)> {
    let ActivationShape::Image([_, height, width]) = layer.input() else { panic!("a row") };
    let ActivationShape::Image([channels, rows, columns]) = layer.output else { panic!("a row") };
    let (size, stride, padding, counts) = match layer.op {
        LayerOp::MaxPool { size, stride, padding } => (size.both(), stride.both(), padding, false),
        LayerOp::AvgPool { size, stride, padding, count_padding } => {
            (size.both(), stride.both(), padding, count_padding)
        }
        _ => ([height, width], [height, width], Padding::default(), false),
    };
    (0..channels * rows * columns).map(move |at| {
        let (channel, pixel) = (at / (rows * columns), at % (rows * columns));
        let range = |side: usize, at: usize, pixels: usize| {
            let [before, behind] = padding.along(side);
            let (first, end) = (at * stride[side], at * stride[side] + size[side]);
            let inside = first.saturating_sub(before)..end.saturating_sub(before).min(pixels);
            (inside, end.min(pixels + before + behind) - first)
        };
        let (y, tall) = range(0, pixel / columns, height);
        let (x, wide) = range(1, pixel % columns, width);
        let count = if counts { tall * wide } else { y.len() * x.len() };
        let places = y.flat_map(move |y| x.clone().map(move |x| (channel * height + y) * width + x));
        (places, count)
    })
}
