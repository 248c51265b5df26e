//! The network as written in an experiment file: a multilayer perceptron or a list of layers. Knows nothing
//! of shapes, weights or training.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::network::geometry::{HeightWidth, PaddingSpec};
use crate::network::wiring::{WiredSpec, fold_targets, wire};

/// A network to train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Architecture {
    /// A multilayer perceptron: Flatten, then Linear, Relu and Dropout for each hidden layer, then a Linear
    /// layer for the logits.
    Mlp {
        /// Number of outputs of each hidden layer.
        hidden: Vec<usize>,
        /// Probability of dropping a hidden activation, in [0, 1).
        dropout: f64,
    },
    /// The layers in the order of the forward pass.
    Layers(Vec<LayerSpec>),
}

/// One layer, or layers in branches. The default name of a layer is its kind and its count within that kind, such
/// as `conv1`; layers in branches count in the order body, shortcut, sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum LayerSpec {
    /// Two-dimensional convolution.
    Conv {
        /// Number of output channels.
        out: usize,
        /// Height and width of the kernel.
        kernel: HeightWidth,
        /// Input pixels between neighbouring output pixels, 1 by default.
        stride: HeightWidth,
        /// Zero padding, none by default.
        padding: PaddingSpec,
        /// Input pixels between neighbouring kernel taps, 1 by default.
        dilation: HeightWidth,
        /// Number of channel groups, 1 by default; each group has its own inputs and outputs.
        groups: usize,
        /// Whether the layer adds a bias, true by default.
        bias: bool,
        /// Name of the layer in the model.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Two-dimensional convolution of each input channel by itself.
    DepthwiseConv {
        /// Number of output channels per input channel, 1 by default.
        multiplier: usize,
        /// Height and width of the kernel.
        kernel: HeightWidth,
        /// Input pixels between neighbouring output pixels, 1 by default.
        stride: HeightWidth,
        /// Zero padding, none by default.
        padding: PaddingSpec,
        /// Input pixels between neighbouring kernel taps, 1 by default.
        dilation: HeightWidth,
        /// Whether the layer adds a bias, true by default.
        bias: bool,
        /// Name of the layer in the model.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Affine map of a row of numbers.
    Linear {
        /// Number of outputs.
        out: usize,
        /// Whether the layer adds a bias, true by default.
        bias: bool,
        /// Name of the layer in the model.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Batch normalization per channel (Ioffe & Szegedy 2015).
    BatchNorm {
        /// Constant added to the variance, 1e-5 by default.
        eps: f64,
        /// Weight of the newest batch in the running statistics, in [0, 1], 0.1 by default.
        momentum: f64,
        /// Name of the layer in the model.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Rectified linear unit: max(x, 0).
    Relu,
    /// Rectified linear unit with a ceiling: min(max(x, 0), 6).
    Relu6,
    /// Rectified linear unit with a slope for negative numbers: x, or slope · x below 0.
    LeakyRelu {
        /// Factor of negative numbers, above 0.
        slope: f64,
    },
    /// Logistic function: 1 / (1 + exp(−x)).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Hard swish (Howard et al. 2019): x · min(max(x / 6 + 1/2, 0), 1).
    HardSwish,
    /// Max-pooling: the largest number of each window.
    MaxPool {
        /// Height and width of the window.
        size: HeightWidth,
        /// Input pixels between neighbouring windows; the window size by default.
        stride: Option<HeightWidth>,
        /// Pixels beyond the image in the windows, none by default; they are never the largest.
        #[serde(skip_serializing_if = "PaddingSpec::is_none")]
        padding: PaddingSpec,
    },
    /// Average pooling: the mean of each window.
    AvgPool {
        /// Height and width of the window.
        size: HeightWidth,
        /// Input pixels between neighbouring windows; the window size by default.
        stride: Option<HeightWidth>,
        /// Zero padding, none by default.
        padding: PaddingSpec,
        /// Whether pixels of the padding count in the mean: false by default, as in ONNX; `PyTorch`'s default is
        /// true.
        count_padding: bool,
    },
    /// The mean of each channel over the whole image, as an image of one pixel.
    GlobalAvgPool,
    /// Reshapes an image to a row of numbers.
    Flatten,
    /// Inverted dropout (Srivastava et al. 2014): training drops numbers at random and scales up the others.
    Dropout {
        /// Probability of dropping a number, in [0, 1).
        p: f64,
    },
    /// The sum of two branches with the same input (He et al. 2015).
    Residual {
        /// Layers of the first branch, at least one.
        body: Vec<LayerSpec>,
        /// Layers of the second branch; without layers, the branch is the input itself.
        shortcut: Vec<LayerSpec>,
    },
    /// The outputs of branches with the same input, one behind the other along the channels.
    Concat {
        /// Layers of each branch; a branch without layers is the input itself.
        branches: Vec<Vec<LayerSpec>>,
    },
}

impl LayerSpec {
    /// Makes a convolution with a square kernel and every default.
    #[must_use]
    pub fn conv(out: usize, kernel: usize) -> Self {
        Self::Conv {
            out,
            kernel: HeightWidth::square(kernel),
            stride: HeightWidth::square(1),
            padding: PaddingSpec::default(),
            dilation: HeightWidth::square(1),
            groups: 1,
            bias: true,
            name: None,
        }
    }

    /// Returns the same layer with another padding; layers without padding stay as they are.
    #[must_use]
    pub fn padded(mut self, with: PaddingSpec) -> Self {
        if let Self::Conv { padding, .. }
        | Self::DepthwiseConv { padding, .. }
        | Self::MaxPool { padding, .. }
        | Self::AvgPool { padding, .. } = &mut self
        {
            *padding = with;
        }
        self
    }

    /// Makes a linear layer with every default.
    #[must_use]
    pub fn linear(out: usize) -> Self {
        Self::Linear { out, bias: true, name: None }
    }

    /// Makes a batch normalization with every default.
    #[must_use]
    pub fn batch_norm() -> Self {
        Self::BatchNorm { eps: 1e-5, momentum: 0.1, name: None }
    }

    /// Makes a max-pooling layer whose windows are square and do not overlap.
    #[must_use]
    pub fn max_pool(size: usize) -> Self {
        Self::MaxPool { size: HeightWidth::square(size), stride: None, padding: PaddingSpec::default() }
    }

    /// Returns the kind of the layer, as default names and messages have it. Branches have the kind of the layer that
    /// joins them.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "conv",
            Self::DepthwiseConv { .. } => "depthwiseconv",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batchnorm",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leakyrelu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::HardSwish => "hardswish",
            Self::MaxPool { .. } => "maxpool",
            Self::AvgPool { .. } => "avgpool",
            Self::GlobalAvgPool => "globalavgpool",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
            Self::Residual { .. } => "add",
            Self::Concat { .. } => "concat",
        }
    }

    /// Returns the kind as the experiment file has it, in small letters.
    pub(crate) fn written_kind(&self) -> &'static str {
        if let Self::Residual { .. } = self { "residual" } else { self.kind() }
    }

    /// Returns the name of a layer with parameters; `None` for other layers.
    fn name(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::Conv { name, .. }
            | Self::DepthwiseConv { name, .. }
            | Self::Linear { name, .. }
            | Self::BatchNorm { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the name that a layer is given in the file.
    pub(crate) fn given_name(&self) -> Option<&str> {
        match self {
            Self::Conv { name, .. }
            | Self::DepthwiseConv { name, .. }
            | Self::Linear { name, .. }
            | Self::BatchNorm { name, .. } => name.as_deref(),
            _ => None,
        }
    }

    /// Returns whether the layer has parameters.
    fn has_parameters(&self) -> bool {
        self.clone().name().is_some()
    }

    /// Returns the lists of layers inside this one.
    fn branches_mut(&mut self) -> Vec<&mut Vec<Self>> {
        match self {
            Self::Residual { body, shortcut } => vec![body, shortcut],
            Self::Concat { branches } => branches.iter_mut().collect(),
            _ => vec![],
        }
    }

    /// Checks that branches are there.
    pub(crate) fn check_branches(&self) -> Result<(), String> {
        let is_idle = |layers: &Vec<Self>| layers.iter().all(Self::is_idle);
        match self {
            Self::Residual { body, .. } if is_idle(body) => {
                Err("its body has no layer, so it would add its input to itself".to_owned())
            }
            Self::Concat { branches } if branches.len() < 2 => {
                Err("it has fewer than two branches; write [[…], […]]".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether the layer does nothing.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Dropout { p: 0.0 })
    }
}

impl Architecture {
    /// Returns this architecture as a list of layers with every default and every default name filled in, and
    /// without Dropout layers of p = 0. Networks that differ only in these spellings resolve to the same
    /// list, so the networks serialize to the same text and share a key.
    #[must_use]
    pub fn resolved(&self, classes: usize) -> Self {
        let mut layers = self.layers(classes);
        resolve(&mut layers, &mut NameCounts::default());
        Self::Layers(layers)
    }

    /// Returns the layers as they are written, those of a perceptron without idle layers.
    pub(crate) fn layers(&self, classes: usize) -> Vec<LayerSpec> {
        match self {
            Self::Mlp { hidden, dropout } => mlp(hidden, *dropout, classes),
            Self::Layers(layers) => layers.clone(),
        }
    }

    /// Returns whether a depthwise convolution has taps that lie apart along the height.
    #[must_use]
    pub fn has_dilated_depthwise(&self) -> bool {
        let is = |layer: &WiredSpec| match layer.spec {
            LayerSpec::DepthwiseConv { dilation, .. } => dilation.height > 1,
            LayerSpec::Conv { dilation, groups, .. } => dilation.height > 1 && groups > 1,
            _ => false,
        };
        wire(self, 1).iter().any(is)
    }

    /// Returns the names of the layers with parameters in the trained network, in order. Folding merges some
    /// batch normalizations into other layers, so these have no entry.
    #[must_use]
    pub fn parameter_layers(&self, classes: usize) -> Vec<String> {
        let wired = wire(self, classes);
        let targets = fold_targets(&wired);
        let kept = wired.iter().zip(targets).filter(|(_, target)| target.is_none());
        kept.filter(|(layer, _)| layer.spec.has_parameters()).map(|(layer, _)| layer.name.clone()).collect()
    }
}

/// The number of layers of each kind so far.
#[derive(Default)]
pub(crate) struct NameCounts(BTreeMap<&'static str, usize>);

impl NameCounts {
    /// Returns the default name of the next layer of a kind.
    pub(crate) fn next(&mut self, kind: &'static str) -> String {
        let count = self.0.entry(kind).or_default();
        *count += 1;
        format!("{kind}{count}")
    }
}

fn resolve(layers: &mut Vec<LayerSpec>, counts: &mut NameCounts) {
    layers.retain(|layer| !layer.is_idle());
    for layer in layers {
        for branch in layer.branches_mut() {
            resolve(branch, counts);
        }
        let default = counts.next(layer.kind());
        if let Some(name) = layer.name() {
            name.get_or_insert(default);
        }
        if let LayerSpec::MaxPool { size, stride, .. } | LayerSpec::AvgPool { size, stride, .. } = layer {
            stride.get_or_insert(*size);
        }
    }
}

fn mlp(hidden: &[usize], dropout: f64, classes: usize) -> Vec<LayerSpec> {
    let mut layers = vec![LayerSpec::Flatten];
    for &out in hidden {
        layers.extend([LayerSpec::linear(out), LayerSpec::Relu, LayerSpec::Dropout { p: dropout }]);
    }
    layers.push(LayerSpec::linear(classes));
    layers.retain(|layer| !layer.is_idle());
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(architecture: &Architecture) -> String {
        serde_json::to_string(&architecture.resolved(10)).unwrap()
    }

    #[test]
    fn an_mlp_is_the_layers_it_stands_for() {
        let mlp = Architecture::Mlp { hidden: vec![64], dropout: 0.0 };
        let layers = Architecture::Layers(vec![
            LayerSpec::Flatten,
            LayerSpec::linear(64),
            LayerSpec::Relu,
            LayerSpec::Dropout { p: -0.0 },
            LayerSpec::Linear { out: 10, bias: true, name: Some("linear2".into()) },
        ]);
        assert_eq!(json(&mlp), json(&layers));
        assert_eq!(
            json(&mlp),
            r#"{"Layers":["Flatten",{"Linear":{"out":64,"bias":true,"name":"linear1"}},"Relu",{"Linear":{"out":10,"bias":true,"name":"linear2"}}]}"#
        );
    }

    #[test]
    fn what_computes_otherwise_serializes_otherwise() {
        let mlp = |dropout| json(&Architecture::Mlp { hidden: vec![64], dropout });
        assert_ne!(mlp(0.0), mlp(0.5));
        assert!(mlp(0.5).contains(r#""Relu",{"Dropout":{"p":0.5}}"#));
    }

    #[test]
    fn a_pool_steps_by_its_size_unless_told() {
        let pool = |stride: Option<usize>| {
            let (size, stride) = (HeightWidth::square(2), stride.map(HeightWidth::square));
            json(&Architecture::Layers(vec![LayerSpec::MaxPool {
                size,
                stride,
                padding: PaddingSpec::default(),
            }]))
        };
        assert_eq!(pool(None), pool(Some(2)));
        assert_ne!(pool(None), pool(Some(1)));
        // Keys from before pools had padding.
        assert_eq!(pool(None), r#"{"Layers":[{"MaxPool":{"size":2,"stride":2}}]}"#);
    }
}
