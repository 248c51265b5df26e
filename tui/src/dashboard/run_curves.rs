//! The training curves of a past run, which are drawn over those of the shown run.
//! Reads the store. Knows nothing of how curves are drawn.

use std::collections::{BTreeMap, HashMap};

use fewbits_engine::ops::MetricRole;
use fewbits_ops::StandardOps;
use fewbits_store::{Store, StoreError};

use super::past_runs::replan;
use super::run_model::OpenedRun;

/// The most trainings of a run whose curves are read.
const MOST: usize = 600;

/// The curves of a past run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunCurves {
    /// The run's id.
    pub id: String,
    /// The series along epochs of each training that has a record, by the sorted name of its task and by metric.
    pub trainings: HashMap<String, BTreeMap<String, Vec<f64>>>,
}

impl RunCurves {
    /// Reads the curves of a run from its records.
    pub fn read(store: &Store, ops: &StandardOps, opened: &OpenedRun) -> Result<Self, StoreError> {
        let (graph, plan) = (&opened.graph, replan(store, ops, opened)?);
        let nodes = graph.experiment.nodes.pairs();
        let nodes = nodes.filter(|(_, node)| node.kind.metric(MetricRole::TrainLoss).is_some());
        let mut trainings = HashMap::new();
        for task in nodes.flat_map(|(node, _)| graph.tasks_of(node)).take(MOST) {
            let Some(key) = plan.planned(task).key else { continue };
            let Some(record) = store.record(&key)? else { continue };
            let along_epochs = record.series.into_iter().filter(|(_, series)| series.along == "epoch");
            let series = along_epochs.map(|(metric, series)| (metric, series.values)).collect();
            trainings.insert(graph.sorted_name(task), series);
        }
        Ok(Self { id: opened.id.clone(), trainings })
    }

    /// Returns whether the run has a training.
    #[must_use]
    pub fn has(&self, training: &str) -> bool {
        self.trainings.contains_key(training)
    }

    /// Returns the values of a metric by epoch; none if the run has no such training.
    #[must_use]
    pub fn curve(&self, training: &str, metric: &str) -> Vec<(f64, f64)> {
        let values = self.trainings.get(training).and_then(|series| series.get(metric));
        let values = values.into_iter().flatten().enumerate();
        values.map(|(epoch, value)| ((epoch + 1) as f64, *value)).collect()
    }
}
