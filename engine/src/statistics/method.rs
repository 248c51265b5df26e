//! The statistical methods, so that a text about a table can name each with its source.
//! The module docs of the other files here have the sources.

use serde::Serialize;

/// A statistical method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Student's t interval over units of replication.
    TInterval,
    /// Wilson's confidence interval of a share of images, for one network.
    Wilson,
    /// The confidence interval of a mean over images, for the given networks.
    Images,
    /// The confidence interval over networks and images at once.
    NetworksAndImages,
    /// The one-sided t test that a drop is below a margin.
    NonInferiority,
    /// The one-sided lower confidence bound that a value must keep.
    LowerBound,
    /// The two-sided t test that an effect is zero.
    ZeroEffect,
    /// Holm's adjustment for all tests of a table.
    Holm,
    /// The set of points that are not significantly worse than the best.
    MayBeBest,
    /// The shares of variance of axes and pairs (Sobol' 1993).
    VarianceShares,
    /// The paired test of two networks on the same images (`McNemar`), in its mid-p form.
    McNemar,
}
