//! The comparison of two runs: their common tasks, the differing preimages, and the values of their tables.
//! Reads the store. Knows nothing of how the comparison is shown.

use std::collections::{BTreeMap, HashMap};

use fewbits_engine::dense::NodeId;
use fewbits_engine::graph::TaskId;
use fewbits_engine::plan::{Plan, Planner, PreimageState};
use fewbits_engine::preimage::changes;
use fewbits_engine::table::kind::table_points;
use fewbits_engine::table::results::Results;
use fewbits_ops::StandardOps;
use fewbits_store::{Store, StoreError};

use super::messages::Baseline;
use super::past_runs::replan;
use super::run_model::OpenedRun;
use super::shown_table::PointName;
use super::shown_table::{labels, mean};
use crate::ui::plain::change;

/// The most kinds of change in a comparison.
const CHANGES: usize = 20;

/// Compares a run with an earlier one.
pub fn compare(
    store: &Store,
    ops: &StandardOps,
    here: &OpenedRun,
    there: &OpenedRun,
) -> Result<Baseline, StoreError> {
    let (plan_here, plan_there) = (replan(store, ops, here)?, replan(store, ops, there)?);
    let mut baseline = Baseline { id: there.id.clone(), ..Baseline::default() };
    let namesakes: HashMap<String, TaskId> =
        there.graph.tasks().map(|task| (there.graph.sorted_name(task), task)).collect();
    let preimage = |opened: &OpenedRun, plan: &Plan, task| {
        let planner = Planner::remembering(&opened.graph, ops, store, opened.header.sources.clone());
        let known = planner.preimage(task, |input| Some(plan.planned(input)))?;
        Ok::<_, StoreError>(if let PreimageState::Known(text) = known { Some(text) } else { None })
    };
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for task in here.graph.tasks() {
        let Some(&other) = namesakes.get(&here.graph.sorted_name(task)) else {
            baseline.only_here += 1;
            continue;
        };
        baseline.shared += 1;
        if plan_here.planned(task).key == plan_there.planned(other).key {
            continue;
        }
        baseline.other += 1;
        let before = preimage(there, &plan_there, other)?;
        if let (Some(before), Some(after)) = (before, preimage(here, &plan_here, task)?) {
            let node = &here.graph.experiment.nodes[here.graph.node(task)].name;
            for changed in changes(&before, &after) {
                *counted.entry(format!("{node}: {}", change(&changed))).or_default() += 1;
            }
        }
    }
    baseline.only_there = there.graph.len() - baseline.shared.min(there.graph.len());
    let mut changes: Vec<(String, usize)> = counted.into_iter().collect();
    changes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    changes.truncate(CHANGES);
    baseline.changes = changes;
    baseline.values = values(store, there, &plan_there)?;
    Ok(baseline)
}

/// Returns the means of a run's tables by the names of their points.
fn values(
    store: &Store,
    opened: &OpenedRun,
    plan: &Plan,
) -> Result<HashMap<PointName, Vec<Option<f64>>>, StoreError> {
    let graph = &opened.graph;
    let every: Vec<NodeId> = graph.node_tasks.ids().collect();
    let results = Results::load(graph, plan, store, &every, &[])?;
    let mut values = HashMap::new();
    for table in &graph.experiment.tables {
        let Ok(groups) = table_points(graph, &results, table) else { continue };
        for point in &groups.points {
            let labels = labels(&graph.experiment, &groups, point);
            let means = (0..point.values.len()).map(|column| mean(point, column)).collect();
            values.insert(PointName::new(&table.name, labels), means);
        }
    }
    Ok(values)
}
