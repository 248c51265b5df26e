//! `Confusion(model, data, split: Test)`: how often a network gives each class to images of each class.

use std::collections::BTreeMap;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Keeping, Misfit, NodeKind, OpError, Output};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use fewbits_store::Series;
use serde_json::json;

use super::evaluate::Split;
use crate::backend::own::inference::InferenceError;
use crate::dataset::Dataset;
use crate::dataset::images::Labels;
use crate::evaluation::predict;
use crate::network::model::Model;
use crate::standard::{Artifact, Port};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Confusion",
    inputs: &[("model", "model"), ("data", "dataset")],
    optional_input: None,
    output: None,
    parts: &[],
    metrics: &["balanced_accuracy", "lowest_recall", "non_finite", "total"],
    roles: &[],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 1;

/// The axis of the counts: the class that the network gives.
pub const GIVEN_CLASS: &str = "given class";

/// The step of the counts behind the classes: images with a logit that is not finite.
const NO_ANSWER: &str = "(no answer)";

/// The counts of a split.
#[derive(Debug)]
pub struct ConfusionOp {
    pub(crate) split: Split,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<ConfusionOp> {
    fields.about(&[
        ("model", "The network."),
        ("data", "The images, with their classes."),
        ("split", "The images: those of the training, for validation, or for the test."),
    ]);
    fields.optional("split", Split::Test, faults).map(|split| ConfusionOp { split })
}

impl ConfusionOp {
    pub(crate) fn identity() -> Identity {
        // As with `Evaluate`, the digest of the dataset's part identifies the split.
        Identity { op: "confusion", version: VERSION, params: json!({}) }
    }

    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        self.split.port_of_labelled(inputs)
    }

    pub(crate) fn run(
        &self,
        model: &Model,
        data: &Dataset,
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let images = self.split.images(data);
        let labels = images.labels.as_ref().ok_or(InferenceError::Unlabelled)?;
        let answers = predict(model, images, &|| context.cancelled())?;
        let counts = ClassCounts::new(labels, &answers);
        Ok(Output {
            artifact: None,
            parts: BTreeMap::new(),
            metrics: counts.metrics(),
            series: counts.series(labels.class_names()),
            correct: None,
        })
    }
}

/// The number of images of each true class that a network gives each class.
struct ClassCounts {
    /// A row per true class.
    rows: Vec<Vec<u64>>,
    /// The images of each class without an answer.
    silent: Vec<u64>,
}

impl ClassCounts {
    fn new(labels: &Labels, answers: &[Option<u32>]) -> Self {
        let classes = labels.classes;
        let mut counts = Self { rows: vec![vec![0; classes]; classes], silent: vec![0; classes] };
        for (label, answer) in labels.numbers.iter().zip(answers) {
            let class = usize::from(*label);
            match answer {
                Some(answer) => counts.rows[class][*answer as usize] += 1,
                None => counts.silent[class] += 1,
            }
        }
        counts
    }

    /// Returns the number of images, those without an answer, and the mean and the least over classes of the share of a
    /// class's images that are given their class. Classes without images do not count.
    fn metrics(&self) -> BTreeMap<String, f64> {
        let totals = self.rows.iter().zip(&self.silent).map(|(row, silent)| row.iter().sum::<u64>() + silent);
        let totals: Vec<u64> = totals.collect();
        let recall = |(class, total): (usize, &u64)| {
            (*total > 0).then(|| self.rows[class][class] as f64 / *total as f64)
        };
        let recalls: Vec<f64> = totals.iter().enumerate().filter_map(recall).collect();
        let mut metrics = BTreeMap::from([
            ("non_finite".to_owned(), self.silent.iter().sum::<u64>() as f64),
            ("total".to_owned(), totals.iter().sum::<u64>() as f64),
        ]);
        if let Some(lowest) = recalls.iter().copied().min_by(f64::total_cmp) {
            metrics
                .insert("balanced_accuracy".to_owned(), recalls.iter().sum::<f64>() / recalls.len() as f64);
            metrics.insert("lowest_recall".to_owned(), lowest);
        }
        metrics
    }

    /// Returns a series per true class, called as the class, along the classes that the network gives, with a last step for
    /// images without an answer if there are any.
    fn series(&self, names: Vec<String>) -> BTreeMap<String, Series> {
        let is_silent = self.silent.iter().any(|count| *count > 0);
        let given: Vec<String> =
            names.iter().cloned().chain(is_silent.then(|| NO_ANSWER.to_owned())).collect();
        let of = |(row, silent): (&Vec<u64>, &u64)| Series {
            along: GIVEN_CLASS.to_owned(),
            names: given.clone(),
            values: row.iter().chain(is_silent.then_some(silent)).map(|count| *count as f64).collect(),
        };
        let rows: Vec<Series> = self.rows.iter().zip(&self.silent).map(of).collect();
        names.into_iter().zip(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of three images of class 0, two are given 0 and one 1; the only image of class 1 has no answer; class 2
    /// has no images.
    #[test]
    fn images_are_counted_by_true_and_given_class() {
        let labels = Labels::numbered(3, vec![0, 0, 1, 0]);
        let counts = ClassCounts::new(&labels, &[Some(0), Some(1), None, Some(0)]);
        assert_eq!(counts.rows, [[2, 1, 0], [0, 0, 0], [0, 0, 0]]);
        let expected =
            [("balanced_accuracy", 1.0 / 3.0), ("lowest_recall", 0.0), ("non_finite", 1.0), ("total", 4.0)];
        assert_eq!(counts.metrics(), expected.map(|(name, value)| (name.to_owned(), value)).into());
        let series = counts.series(labels.class_names());
        assert_eq!(series.len(), 3);
        assert_eq!(series["0"].values, [2.0, 1.0, 0.0, 0.0]);
        assert_eq!(series["1"].values, [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(series["2"].names, ["0", "1", "2", "(no answer)"]);
    }
}
