//! The sender of a run's events: to the listener and to the run log.
//! Knows nothing of the meaning of events.

use std::time::Instant;

use fewbits_store::{RunWriter, Store, StoreError};
use tokio::sync::mpsc;

use crate::event::{Event, Summary};
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::plan::Plan;
use crate::run_log::{LoggedEvent, RunHeader};

/// The receivers of events: a channel and the run log.
pub struct Announcer {
    events: mpsc::UnboundedSender<Event>,
    run_log: Option<RunWriter>,
    start: Instant,
}

impl Announcer {
    /// Creates the run log and writes its header.
    pub fn open(
        header: &RunHeader,
        store: &Store,
        id: &str,
        start: Instant,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, StoreError> {
        let mut run_log = store.create_run(id)?;
        if let Ok(line) = serde_json::to_string(header) {
            run_log.append_line(&line)?;
        }
        Ok(Self { events, run_log: Some(run_log), start })
    }

    /// Announces the plan, then warnings that are known before anything runs.
    pub fn begin<O: Ops>(
        &mut self,
        graph: &TaskGraph<O>,
        plan: &Plan,
        warnings: impl Iterator<Item = String>,
    ) {
        self.tell(planned(graph, plan));
        for message in warnings {
            self.tell(Event::Warned { message });
        }
    }

    /// Ends a run that had nothing to do.
    pub fn end_idle(&mut self, plan: &Plan) -> Summary {
        let (tasks, seconds) = (plan.tasks.len(), self.start.elapsed().as_secs_f64());
        let summary = Summary { tasks, cached: tasks, seconds, ..Summary::default() };
        self.tell(Event::Finished(summary));
        summary
    }

    /// Sends one event.
    pub fn tell(&mut self, event: Event) {
        let stamped = LoggedEvent { at: self.start.elapsed().as_secs_f64(), event };
        if let (Some(run_log), Ok(line)) = (&mut self.run_log, serde_json::to_string(&stamped)) {
            // The results are stored elsewhere, so the run goes on without its log.
            if run_log.append_line(&line).is_err() {
                self.run_log = None;
            }
        }
        let _ = self.events.send(stamped.event);
    }
}

fn planned<O: Ops>(graph: &TaskGraph<O>, plan: &Plan) -> Event {
    let nodes = graph.experiment.nodes.pairs();
    Event::Planned {
        experiment: graph.experiment.name.clone(),
        counts: plan.counts(graph.tasks()),
        nodes: nodes.map(|(at, node)| (node.name.clone(), plan.counts(graph.tasks_of(at)))).collect(),
    }
}
