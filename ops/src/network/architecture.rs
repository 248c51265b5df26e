//! The network as written in an experiment file: a multilayer perceptron or a list of layers. Knows nothing
//! of shapes, weights or training.

use serde::Serialize;

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

/// One layer. The default name of a layer is its kind and its count within that kind, such as `conv1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum LayerSpec {
    /// Two-dimensional convolution with a square kernel.
    Conv {
        /// Number of output channels.
        out: usize,
        /// Height and width of the kernel.
        kernel: usize,
        /// Input pixels between neighbouring output pixels, 1 by default.
        stride: usize,
        /// Pixels of zero padding on each side, 0 by default.
        padding: usize,
        /// Input pixels between neighbouring kernel taps, 1 by default.
        dilation: usize,
        /// Number of channel groups, 1 by default; each group has its own inputs and outputs.
        groups: usize,
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
    /// Max-pooling: the largest number of each square window.
    MaxPool {
        /// Height and width of the window.
        size: usize,
        /// Input pixels between neighbouring windows; the window size by default.
        stride: Option<usize>,
    },
    /// Reshapes an image to a row of numbers.
    Flatten,
    /// Inverted dropout (Srivastava et al. 2014): training drops numbers at random and scales up the others.
    Dropout {
        /// Probability of dropping a number, in [0, 1).
        p: f64,
    },
}

impl LayerSpec {
    /// Makes a convolution with every default.
    #[must_use]
    pub fn conv(out: usize, kernel: usize) -> Self {
        Self::Conv { out, kernel, stride: 1, padding: 0, dilation: 1, groups: 1, bias: true, name: None }
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

    /// Makes a max-pooling layer whose windows do not overlap.
    #[must_use]
    pub fn max_pool(size: usize) -> Self {
        Self::MaxPool { size, stride: None }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "conv",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batchnorm",
            Self::Relu => "relu",
            Self::MaxPool { .. } => "maxpool",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
        }
    }

    fn name(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::Conv { name, .. } | Self::Linear { name, .. } | Self::BatchNorm { name, .. } => Some(name),
            Self::Relu | Self::MaxPool { .. } | Self::Flatten | Self::Dropout { .. } => None,
        }
    }
}

impl Architecture {
    /// Returns this architecture as a list of layers with every default and every default name filled in, and
    /// without Dropout layers of p = 0. Networks that differ only in these spellings resolve to the same
    /// list, so the networks serialize to the same text and share a key.
    #[must_use]
    pub fn resolved(&self, classes: usize) -> Self {
        let mut layers: Vec<LayerSpec> = match self {
            Self::Mlp { hidden, dropout } => mlp(hidden, *dropout, classes),
            Self::Layers(layers) => layers.clone(),
        };
        layers.retain(|layer| !matches!(layer, LayerSpec::Dropout { p: 0.0 }));
        let mut seen: Vec<&'static str> = Vec::new();
        for layer in &mut layers {
            let kind = layer.kind();
            seen.push(kind);
            let count = seen.iter().filter(|other| **other == kind).count();
            if let Some(name) = layer.name() {
                name.get_or_insert_with(|| format!("{kind}{count}"));
            }
            if let LayerSpec::MaxPool { size, stride } = layer {
                stride.get_or_insert(*size);
            }
        }
        Self::Layers(layers)
    }

    /// Returns the names of the layers with parameters in the trained network, in order. Folding merges a
    /// batch normalization directly after a convolution or linear layer, not counting Dropout layers, into
    /// that layer, so the batch normalization has no entry.
    #[must_use]
    pub fn parameter_layers(&self, classes: usize) -> Vec<String> {
        let Self::Layers(mut layers) = self.resolved(classes) else { return vec![] };
        layers.retain(|layer| !matches!(layer, LayerSpec::Dropout { .. }));
        let mut names = vec![];
        let mut folds = false;
        for layer in &mut layers {
            let is_norm = matches!(layer, LayerSpec::BatchNorm { .. });
            if let Some(Some(name)) = layer.name()
                && !(is_norm && folds)
            {
                names.push(name.clone());
            }
            // Folding merges a second batch normalization in a row into the same layer as the first.
            folds = matches!(layer, LayerSpec::Conv { .. } | LayerSpec::Linear { .. }) || is_norm && folds;
        }
        names
    }
}

fn mlp(hidden: &[usize], dropout: f64, classes: usize) -> Vec<LayerSpec> {
    let mut layers = vec![LayerSpec::Flatten];
    for &out in hidden {
        layers.extend([LayerSpec::linear(out), LayerSpec::Relu, LayerSpec::Dropout { p: dropout }]);
    }
    layers.push(LayerSpec::linear(classes));
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
        let pool = |stride| json(&Architecture::Layers(vec![LayerSpec::MaxPool { size: 2, stride }]));
        assert_eq!(pool(None), pool(Some(2)));
        assert_ne!(pool(None), pool(Some(1)));
    }
}
