//! The layers of an architecture in the order of the forward pass, each with the values that it reads. Knows
//! nothing of shapes or weights.

use std::fmt;

use crate::network::architecture::{Architecture, LayerSpec, NameCounts};
use crate::network::layer::LayerOp;

/// A value in the network that a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The images.
    Images,
    /// The output of an earlier layer, by index.
    Layer(usize),
}

/// A layer with the values that it reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WiredSpec {
    /// The layer; for the layer that joins branches, the branches themselves.
    pub spec: LayerSpec,
    /// Name of the layer.
    pub name: String,
    /// What it reads: one value, or one for each branch.
    pub sources: Vec<Source>,
    /// The layer's place in the experiment file.
    pub place: LayerPlace,
}

/// The place of a layer in a list of layers; written with numbers from 1, such as `3` or `3, body 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPlace(Vec<PlaceStep>);

/// A step to the place of a layer. Numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceStep {
    /// A layer of a list.
    Layer(usize),
    /// The body of a `Residual`.
    Body,
    /// The shortcut of a `Residual`.
    Shortcut,
    /// A branch of a `Concat`.
    Branch(usize),
}

impl LayerPlace {
    /// Returns the place of a layer in a list without branches, such as that of a model file.
    pub(crate) fn number(at: usize) -> Self {
        Self(vec![PlaceStep::Layer(at)])
    }

    /// Returns the steps from the list of all layers to the layer.
    #[must_use]
    pub fn steps(&self) -> &[PlaceStep] {
        &self.0
    }

    fn then(&self, step: PlaceStep) -> Self {
        Self(self.0.iter().copied().chain([step]).collect())
    }
}

impl fmt::Display for LayerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for step in &self.0 {
            match (before, step) {
                (None, PlaceStep::Layer(at)) => write!(f, "{}", at + 1)?,
                (Some(PlaceStep::Branch(_)), PlaceStep::Layer(at)) => write!(f, ", layer {}", at + 1)?,
                (_, PlaceStep::Layer(at)) => write!(f, " {}", at + 1)?,
                (_, PlaceStep::Body) => f.write_str(", body")?,
                (_, PlaceStep::Shortcut) => f.write_str(", shortcut")?,
                (_, PlaceStep::Branch(at)) => write!(f, ", branch {}", at + 1)?,
            }
            before = Some(*step);
        }
        Ok(())
    }
}

/// Returns the layers of an architecture in the order of the forward pass: those of branches one branch after the
/// other, then the layer that joins them.
pub(crate) fn wire(architecture: &Architecture, classes: usize) -> Vec<WiredSpec> {
    let mut wiring = Wiring { layers: vec![], counts: NameCounts::default() };
    wiring.extend(&architecture.layers(classes), Source::Images, &LayerPlace(vec![]));
    wiring.layers
}

struct Wiring {
    layers: Vec<WiredSpec>,
    counts: NameCounts,
}

impl Wiring {
    /// Appends a list of layers that starts at a value. Returns the value at its end.
    fn extend(&mut self, specs: &[LayerSpec], from: Source, list: &LayerPlace) -> Source {
        let mut at = from;
        for (index, spec) in specs.iter().enumerate().filter(|(_, spec)| !spec.is_idle()) {
            let place = list.then(PlaceStep::Layer(index));
            let sources = match spec {
                LayerSpec::Residual { body, shortcut } => vec![
                    self.extend(body, at, &place.then(PlaceStep::Body)),
                    self.extend(shortcut, at, &place.then(PlaceStep::Shortcut)),
                ],
                LayerSpec::Concat { branches } => {
                    let branches = branches.iter().enumerate();
                    let list = |branch: usize| place.then(PlaceStep::Branch(branch));
                    branches.map(|(branch, layers)| self.extend(layers, at, &list(branch))).collect()
                }
                _ => vec![at],
            };
            let default = self.counts.next(spec.kind());
            let name = spec.given_name().map_or(default, str::to_owned);
            at = Source::Layer(self.layers.len());
            self.layers.push(WiredSpec { spec: spec.clone(), name, sources, place });
        }
        at
    }
}

/// A layer as folding sees it.
pub(crate) trait Foldable {
    /// Returns the role of the layer in folding.
    fn role(&self) -> FoldRole;
    /// Returns what the layer reads.
    fn sources(&self) -> &[Source];
}

/// The role of a layer when batch normalizations are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoldRole {
    /// A convolution or linear layer, which can take a batch normalization in.
    Product,
    /// A batch normalization.
    Norm,
    /// A Dropout layer, which no trained network has.
    Dropout,
    /// Any other layer.
    Other,
}

impl Foldable for WiredSpec {
    fn role(&self) -> FoldRole {
        match self.spec {
            LayerSpec::Conv { .. } | LayerSpec::DepthwiseConv { .. } | LayerSpec::Linear { .. } => {
                FoldRole::Product
            }
            LayerSpec::BatchNorm { .. } => FoldRole::Norm,
            LayerSpec::Dropout { .. } => FoldRole::Dropout,
            _ => FoldRole::Other,
        }
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }
}

impl LayerOp {
    /// Returns the role of the layer in folding.
    pub(crate) fn fold_role(&self) -> FoldRole {
        match self {
            Self::Conv { .. } | Self::Linear { .. } => FoldRole::Product,
            Self::BatchNorm { .. } => FoldRole::Norm,
            Self::Dropout { .. } => FoldRole::Dropout,
            _ => FoldRole::Other,
        }
    }
}

/// Returns for each layer the convolution or linear layer that folding merges it into; `None` for layers that stay,
/// and for Dropout layers. Folding merges a batch normalization that is the only reader of a convolution or linear
/// layer, not counting Dropout layers between them, and further batch normalizations behind that one.
pub(crate) fn fold_targets<L: Foldable>(layers: &[L]) -> Vec<Option<usize>> {
    let mut readers = vec![0; layers.len()];
    for source in layers.iter().flat_map(Foldable::sources) {
        if let Source::Layer(at) = source {
            readers[*at] += 1;
        }
    }
    let mut targets: Vec<Option<usize>> = vec![None; layers.len()];
    for at in 0..layers.len() {
        if layers[at].role() != FoldRole::Norm {
            continue;
        }
        let mut from = layers[at].sources().first().copied();
        while let Some(Source::Layer(before)) = from
            && readers[before] == 1
            && layers[before].role() == FoldRole::Dropout
        {
            from = layers[before].sources().first().copied();
        }
        let Some(Source::Layer(before)) = from else { continue };
        if readers[before] != 1 {
            continue;
        }
        targets[at] = match layers[before].role() {
            FoldRole::Product => Some(before),
            FoldRole::Norm => targets[before],
            FoldRole::Dropout | FoldRole::Other => None,
        };
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(layers: Vec<LayerSpec>) -> Vec<Option<usize>> {
        fold_targets(&wire(&Architecture::Layers(layers), 10))
    }

    #[test]
    fn branches_stand_one_after_the_other_before_their_sum() {
        let residual = LayerSpec::Residual {
            body: vec![LayerSpec::conv(4, 3), LayerSpec::Relu],
            shortcut: vec![LayerSpec::conv(4, 1)],
        };
        let wired = wire(&Architecture::Layers(vec![LayerSpec::Relu, residual, LayerSpec::Flatten]), 10);
        let places: Vec<String> = wired.iter().map(|layer| layer.place.to_string()).collect();
        let found: Vec<(&str, &[Source], &str)> = wired
            .iter()
            .zip(&places)
            .map(|(layer, place)| (layer.name.as_str(), &layer.sources[..], place.as_str()))
            .collect();
        let layer = Source::Layer;
        let expected: [(&str, &[Source], &str); 6] = [
            ("relu1", &[Source::Images], "1"),
            ("conv1", &[layer(0)], "2, body 1"),
            ("relu2", &[layer(1)], "2, body 2"),
            ("conv2", &[layer(0)], "2, shortcut 1"),
            ("add1", &[layer(2), layer(3)], "2"),
            ("flatten1", &[layer(4)], "3"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_norm_folds_only_into_a_layer_that_nothing_else_reads() {
        let (conv, norm) = (|| LayerSpec::conv(4, 1), LayerSpec::batch_norm);
        let dropout = LayerSpec::Dropout { p: 0.5 };
        assert_eq!(targets(vec![conv(), norm(), norm()]), [None, Some(0), Some(0)]);
        assert_eq!(targets(vec![conv(), dropout, norm()]), [None, None, Some(0)]);
        assert_eq!(targets(vec![conv(), LayerSpec::Relu, norm()]), [None; 3]);
        assert_eq!(targets(vec![norm(), conv()]), [None; 2]);
        // The sum reads the convolution, too.
        let body = |body: Vec<LayerSpec>| LayerSpec::Residual { body, shortcut: vec![] };
        assert_eq!(targets(vec![conv(), body(vec![norm()])]), [None; 3]);
        assert_eq!(targets(vec![conv(), body(vec![conv(), norm()])]), [None, None, Some(1), None]);
    }
}
