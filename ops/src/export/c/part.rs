//! The parts of the runtime: C functions that the steps of a network call. Knows nothing of networks as a whole.

use crate::network::layer::LayerOp;

/// A part of the runtime: C functions that steps call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Transpose,
    Conv,
    Linear,
    Window,
    MaxPool,
    AvgPool,
    Affine,
    Within,
    Relu,
    Relu6,
    LeakyRelu,
    HardSwish,
    Exponential,
    Sigmoid,
    Tanh,
    Add,
    Concat,
}

impl Part {
    /// Returns the C functions.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Transpose => include_str!("runtime/transpose.c"),
            Self::Conv => include_str!("runtime/conv.c"),
            Self::Linear => include_str!("runtime/linear.c"),
            Self::Window => include_str!("runtime/window.c"),
            Self::MaxPool => include_str!("runtime/max_pool.c"),
            Self::AvgPool => include_str!("runtime/avg_pool.c"),
            Self::Affine => include_str!("runtime/affine.c"),
            Self::Within => include_str!("runtime/within.c"),
            Self::Relu => include_str!("runtime/relu.c"),
            Self::Relu6 => include_str!("runtime/relu6.c"),
            Self::LeakyRelu => include_str!("runtime/leaky_relu.c"),
            Self::HardSwish => include_str!("runtime/hard_swish.c"),
            Self::Exponential => include_str!("runtime/exponential.c"),
            Self::Sigmoid => include_str!("runtime/sigmoid.c"),
            Self::Tanh => include_str!("runtime/tanh.c"),
            Self::Add => include_str!("runtime/add.c"),
            Self::Concat => include_str!("runtime/concat.c"),
        }
    }

    /// Returns the parts that the step of a layer calls.
    pub(super) fn of(op: &LayerOp) -> &'static [Self] {
        match op {
            LayerOp::Conv { .. } => &[Self::Conv],
            LayerOp::Linear { .. } => &[Self::Linear],
            LayerOp::Affine => &[Self::Affine],
            LayerOp::Relu => &[Self::Relu],
            LayerOp::Relu6 => &[Self::Within, Self::Relu6],
            LayerOp::LeakyRelu { .. } => &[Self::LeakyRelu],
            LayerOp::Sigmoid => &[Self::Exponential, Self::Sigmoid],
            LayerOp::Tanh => &[Self::Exponential, Self::Tanh],
            LayerOp::HardSwish => &[Self::Within, Self::HardSwish],
            LayerOp::MaxPool { .. } => &[Self::Window, Self::MaxPool],
            LayerOp::AvgPool { .. } | LayerOp::GlobalAvgPool => &[Self::Window, Self::AvgPool],
            LayerOp::Flatten => &[Self::Transpose],
            LayerOp::Add => &[Self::Add],
            LayerOp::Concat => &[Self::Concat],
            LayerOp::BatchNorm { .. } | LayerOp::Dropout { .. } => &[],
        }
    }

    /// Returns whether the part multiplies and adds with one rounding.
    pub(super) fn is_fused(self) -> bool {
        matches!(self, Self::Conv | Self::Linear | Self::HardSwish | Self::Exponential)
    }

    /// Returns about how many bytes of flash the functions take on a Cortex-M4 with `-Os`.
    pub(super) fn code_bytes(self) -> usize {
        match self {
            Self::Conv => 780,
            Self::Linear => 116,
            Self::Window => 30,
            Self::MaxPool => 204,
            Self::AvgPool => 320,
            Self::Affine => 60,
            Self::Transpose | Self::Within | Self::Concat => 36,
            Self::Relu | Self::Relu6 => 28,
            Self::LeakyRelu => 40,
            Self::HardSwish => 52,
            Self::Exponential => 220,
            Self::Sigmoid => 132,
            Self::Tanh => 148,
            Self::Add => 26,
        }
    }
}
