//! The activation functions other than Relu: each output depends on one input. Knows nothing of neighbouring layers.
//! Gradients come from the inputs, so a layer behind may overwrite the outputs.

use crate::backend::own::kernels::exponential::{sigmoid, tanh};
use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::network::layer::LayerOp;

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    Relu6,
    LeakyRelu(f32),
    Sigmoid,
    Tanh,
    HardSwish,
}

impl Activation {
    /// Returns the function of a layer; `None` for any other layer.
    pub(crate) fn new(op: LayerOp) -> Option<Self> {
        Some(match op {
            LayerOp::Relu6 => Self::Relu6,
            LayerOp::LeakyRelu { slope } => Self::LeakyRelu(slope as f32),
            LayerOp::Sigmoid => Self::Sigmoid,
            LayerOp::Tanh => Self::Tanh,
            LayerOp::HardSwish => Self::HardSwish,
            _ => return None,
        })
    }

    /// Replaces numbers by their outputs.
    pub(crate) fn apply(self, x: &mut [Lanes]) {
        // Each function has a loop of its own, because a choice inside the loop would not become vector instructions.
        match self {
            Self::Relu6 => each(
                x,
                #[inline(always)]
                |x| within(x, 0.0, 6.0),
            ),
            Self::LeakyRelu(slope) => {
                each(
                    x,
                    #[inline(always)]
                    move |x| if x < 0.0 { slope * x } else { x },
                );
            }
            Self::Sigmoid => each(x, sigmoid),
            Self::Tanh => each(x, tanh),
            Self::HardSwish => each(
                x,
                #[inline(always)]
                |x| x * hard_sigmoid(x),
            ),
        }
    }

    /// Writes the gradient at the inputs from the gradient at the outputs.
    pub(crate) fn backward(self, x: &[Lanes], dy: &[Lanes], dx: &mut [Lanes]) {
        dx.copy_from_slice(dy);
        match self {
            Self::Relu6 => pairs(
                dx,
                x,
                #[inline(always)]
                |dy, x| if x > 0.0 && x < 6.0 { dy } else { 0.0 },
            ),
            Self::LeakyRelu(slope) => {
                pairs(
                    dx,
                    x,
                    #[inline(always)]
                    move |dy, x| if x < 0.0 { slope * dy } else { dy },
                );
            }
            Self::Sigmoid => pairs(
                dx,
                x,
                #[inline(always)]
                |dy, x| {
                    let y = sigmoid(x);
                    dy * (y * (1.0 - y))
                },
            ),
            Self::Tanh => pairs(
                dx,
                x,
                #[inline(always)]
                |dy, x| {
                    let y = tanh(x);
                    dy * (1.0 - y * y)
                },
            ),
            Self::HardSwish => pairs(
                dx,
                x,
                #[inline(always)]
                |dy, x| dy * hard_swish_slope(x),
            ),
        }
    }
}

/// Returns the number, or the nearer end if it lies outside; NaN stays NaN.
#[inline(always)]
fn within(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// Returns min(max(x / 6 + 1/2, 0), 1), with one rounding before the limits.
#[inline(always)]
fn hard_sigmoid(x: f32) -> f32 {
    within(x.mul_add(1.0 / 6.0, 0.5), 0.0, 1.0)
}

#[inline(always)]
fn hard_swish_slope(x: f32) -> f32 {
    let inside = x.mul_add(1.0 / 3.0, 0.5);
    let upper = if x >= 3.0 { 1.0 } else { inside };
    if x <= -3.0 { 0.0 } else { upper }
}

/// Replaces every number.
fn each(x: &mut [Lanes], change: impl Fn(f32) -> f32) {
    vectorized(
        x,
        #[inline(always)]
        |x: &mut [Lanes]| {
            for line in x {
                for lane in 0..LANES {
                    line.0[lane] = change(line.0[lane]);
                }
            }
        },
    );
}

/// Replaces every number of `out` by a function of it and of the number at the same place in `with`.
fn pairs(out: &mut [Lanes], with: &[Lanes], change: impl Fn(f32, f32) -> f32) {
    vectorized(
        (out, with),
        #[inline(always)]
        |(out, with): (&mut [Lanes], &[Lanes])| {
            for (out, with) in out.iter_mut().zip(with) {
                for lane in 0..LANES {
                    out.0[lane] = change(out.0[lane], with.0[lane]);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 5] = [
        Activation::Relu6,
        Activation::LeakyRelu(0.25),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::HardSwish,
    ];

    fn value(activation: Activation, x: f32) -> f32 {
        let mut y = [Lanes([x; LANES])];
        activation.apply(&mut y);
        y[0].0[7]
    }

    /// The expected numbers are those of the formulas in binary64.
    #[test]
    fn outputs_are_those_of_the_definitions() {
        let check = |x: f32, expected: [f32; 5]| {
            for (activation, expected) in ALL.into_iter().zip(expected) {
                let found = value(activation, x);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{activation:?} of {x}: {found}, expected {expected}"
                );
            }
        };
        check(-4.0, [0.0, -1.0, 0.017_986_21, -0.999_329_3, 0.0]);
        check(-1.0, [0.0, -0.25, 0.268_941_43, -0.761_594_2, -0.333_333_34]);
        check(0.5, [0.5, 0.5, 0.622_459_35, 0.462_117_16, 0.291_666_67]);
        check(7.0, [6.0, 7.0, 0.999_088_95, 0.999_998_3, 7.0]);
        assert!(ALL.iter().all(|activation| value(*activation, f32::NAN).is_nan()));
    }

    #[test]
    fn gradients_are_slopes() {
        for activation in ALL {
            for x in [-5.0, -2.0, -0.3, 0.7, 2.5, 5.5, 8.0_f32] {
                let mut dx = [Lanes::ZERO];
                activation.backward(&[Lanes([x; LANES])], &[Lanes([2.0; LANES])], &mut dx);
                let (above, below) = (value(activation, x + 0.01), value(activation, x - 0.01));
                let slope = 2.0 * (above - below) / 0.02;
                assert!((dx[0].0[3] - slope).abs() < 2e-3, "{activation:?} at {x}: {} {slope}", dx[0].0[3]);
            }
        }
    }
}
