//! The material of a report: an experiment, its results, its tables, and the recommended point.
//! Knows nothing of HTML.

use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::dense::{NodeId, PointId};
use fewbits_engine::failures::Failures;
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::Plan;
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_engine::table::answer::Answer;
use fewbits_engine::table::error::TableError;
use fewbits_engine::table::kind;
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::results::Results;
use fewbits_engine::table::table_sheets::{TableSheets, make};
use fewbits_ops::{Op, StandardOps};
use fewbits_store::{Record, Store, StoreError};

use crate::question::usual;
use crate::session::Session;

/// Holds everything that the sections of a report read.
pub struct Material<'m> {
    pub session: &'m Session,
    pub plan: &'m Plan,
    pub store: &'m Arc<Store>,
    pub results: Results,
    /// The failed tasks of the newest run.
    pub failures: Failures,
    /// The tables of the file that could be made, as grids.
    pub tables: Vec<(&'m Table, TableSheets)>,
    /// The tables that could not be made, with the error.
    pub failed: Vec<(&'m Table, TableError)>,
    /// The question and its answers: that of the first `Choose` table, else the usual question. `None` if the experiment
    /// has neither.
    pub choice: Option<(Table, Vec<Answer>)>,
}

impl<'m> Material<'m> {
    /// Reads the results and makes all tables.
    pub fn new(session: &'m Session, plan: &'m Plan, store: &'m Arc<Store>) -> Result<Self> {
        let graph = &*session.graph;
        let every: Vec<NodeId> = graph.node_tasks.ids().collect();
        let asks = |table: &&Table| matches!(table.kind, TableKind::Choose(_));
        let asked = graph.experiment.tables.iter().find(asks);
        let usual = if asked.is_none() { usual(graph).unwrap_or_default() } else { vec![] };
        let read = [graph.experiment.tables.as_slice(), &usual].concat();
        let results = Results::load(graph, plan, store, &every, &read)?;
        let failures = Failures::load(graph, plan, store);
        let (mut tables, mut failed) = (vec![], vec![]);
        for table in &graph.experiment.tables {
            match make(&*session.ops, graph, &results, table, Layout::Grid) {
                Ok(made) => tables.push((table, made)),
                Err(error) => failed.push((table, error)),
            }
        }
        let choice = match asked {
            Some(asked) => {
                let made = tables.iter().find(|(table, _)| table.name == asked.name);
                made.map(|(table, made)| ((*table).clone(), made.answers.clone()))
            }
            None => {
                let answers = usual.into_iter().filter_map(|table| {
                    let choice = kind::answers(graph, &results, &table).ok()?;
                    Some((table, choice))
                });
                // The answers compete: the smallest that is good enough wins.
                let size = |(_, choice): &(Table, Vec<Answer>)| {
                    let chosen = choice.first().and_then(|answer| Some((answer, answer.chosen?)));
                    chosen.map_or(f64::INFINITY, |(answer, at)| answer.candidates[at].size.mean)
                };
                answers.min_by(|one, other| size(one).total_cmp(&size(other)))
            }
        };
        Ok(Self { session, plan, store, results, failures, tables, failed, choice })
    }

    /// Returns one sentence for each table that failed.
    pub fn table_failures(&self) -> Vec<String> {
        self.failed.iter().map(|(table, error)| format!("table `{}`: {error}", table.name)).collect()
    }

    /// Returns the graph.
    pub fn graph(&self) -> &'m TaskGraph<StandardOps> {
        &self.session.graph
    }

    /// Returns a task's record, if it has one.
    pub fn record(&self, task: TaskId) -> Result<Option<Record>, StoreError> {
        match self.plan.planned(task).key {
            Some(key) => self.store.record(&key),
            None => Ok(None),
        }
    }

    /// Returns the phrase for the network of [`Self::chosen`].
    pub fn title(&self) -> &'static str {
        let is_chosen = self.recommendation().is_some_and(|answer| answer.chosen.is_some());
        if is_chosen { "the recommended network" } else { "the network that comes closest" }
    }

    /// Returns the answer that recommends a network: the first one with a chosen point, else the first one.
    fn recommendation(&self) -> Option<&Answer> {
        let (_, answers) = self.choice.as_ref()?;
        answers.iter().find(|answer| answer.chosen.is_some()).or(answers.first())
    }

    /// Returns whether a task lies at the recommended point, else at the closest one.
    pub fn is_recommended(&self, task: TaskId) -> bool {
        let Some(choice) = self.recommendation() else { return false };
        let Some(candidate) = choice.chosen.or(choice.closest).map(|at| &choice.candidates[at]) else {
            return false;
        };
        let (node, point) = self.graph().place(task);
        let points = &self.graph().node_tasks[node].points;
        let mut pairs = choice.axes.iter().zip(&candidate.levels);
        pairs.all(|(&axis, &level)| points.level(point, axis).is_none_or(|own| own == level))
    }

    /// Returns the task that quantizes the recommended network, else the closest one, in its first replicate.
    pub fn chosen(&self) -> Option<TaskId> {
        let ((table, _), choice) = (self.choice.as_ref()?, self.recommendation()?);
        let TableKind::Choose(choose) = &table.kind else { return None };
        let candidate = &choice.candidates[choice.chosen.or(choice.closest)?];
        let graph = self.graph();
        let node =
            choose.size.references.iter().find_map(|reference| graph.experiment.node(&reference.root))?;
        let points = &graph.node_tasks[node].points;
        let agrees = |point: &PointId| {
            let mut pairs = choice.axes.iter().zip(&candidate.levels);
            pairs.all(|(&axis, &level)| points.level(*point, axis).is_none_or(|own| own == level))
        };
        let mut task = points.ids().find(agrees).map(|point| graph.task(node, point))?;
        // If the size names a node that reads the network, follow its inputs to the quantization.
        while !matches!(graph.resolved_op(task).op, Op::Quantize(_) | Op::Allocate(_)) {
            task = *graph.inputs(task).first()?;
        }
        Some(task)
    }
}
