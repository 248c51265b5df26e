//! The division of a pass into segments. Knows nothing of numbers.
//!
//! A block of images runs through the stages of a segment by itself, up to a point where a layer needs the whole batch.
//! So the values of a block stay in the cache from stage to stage.

use std::mem::take;

use crate::backend::own::stage::{TrainingKernel, TrainingStage};

/// A part of a pass.
pub(crate) struct Segment {
    /// The stages that each block runs through, in the order of the pass.
    pub own: Vec<usize>,
    pub end: SegmentEnd,
}

/// Where a layer needs the whole batch, with its stage.
pub(crate) enum SegmentEnd {
    /// The sums for the means of a batch normalization.
    Sums(usize),
    /// The sums for its variances.
    Squares(usize),
    /// The sums for the gradients of its parameters.
    NormGradients(usize),
    /// A linear layer, whose products share the weights among blocks.
    Linear(usize),
    /// The end of the pass.
    Pass,
}

/// Returns the segments of a forward pass.
pub(crate) fn forward(stages: &[TrainingStage]) -> Vec<Segment> {
    let ends = |at: usize| match stages[at].kernel {
        TrainingKernel::BatchNorm(..) => vec![SegmentEnd::Sums(at), SegmentEnd::Squares(at)],
        TrainingKernel::Linear(..) => vec![SegmentEnd::Linear(at)],
        _ => vec![],
    };
    divide(stages, 0..stages.len(), ends)
}

/// Returns the segments of a backward pass.
pub(crate) fn backward(stages: &[TrainingStage]) -> Vec<Segment> {
    let ends = |at: usize| match stages[at].kernel {
        TrainingKernel::BatchNorm(..) => vec![SegmentEnd::NormGradients(at)],
        TrainingKernel::Linear(..) => vec![SegmentEnd::Linear(at)],
        _ => vec![],
    };
    divide(stages, (0..stages.len()).rev(), ends)
}

/// Divides stages into segments. A batch normalization runs block by block once its sums are known, a linear layer never.
fn divide(
    stages: &[TrainingStage],
    order: impl Iterator<Item = usize>,
    ends: impl Fn(usize) -> Vec<SegmentEnd>,
) -> Vec<Segment> {
    let (mut segments, mut own) = (vec![], vec![]);
    for at in order {
        segments.extend(ends(at).into_iter().map(|end| Segment { own: take(&mut own), end }));
        if !matches!(stages[at].kernel, TrainingKernel::Linear(..)) {
            own.push(at);
        }
    }
    segments.push(Segment { own, end: SegmentEnd::Pass });
    segments
}
