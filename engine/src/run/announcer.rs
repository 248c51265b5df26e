//! Tells what happens in a run: to who listens, and to the run's journal.
//! Knows nothing of what the events mean.

use fewbits_store::{RunWriter, Store, StoreError};
use tokio::sync::mpsc;

use crate::event::Event;
use crate::graph::Graph;
use crate::ops::Ops;
use crate::plan::Plan;
use crate::why::RunHeader;

/// Where events go.
pub struct Announcer {
    events: mpsc::UnboundedSender<Event>,
    journal: Option<RunWriter>,
}

impl Announcer {
    /// Starts the journal of a run.
    pub fn open<O: Ops>(
        graph: &Graph<O>,
        store: &Store,
        id: &str,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, StoreError> {
        let mut journal = store.create_run(id)?;
        let header = RunHeader { experiment: graph.experiment.name.clone(), text: graph.text.clone() };
        if let Ok(line) = serde_json::to_string(&header) {
            journal.append_line(&line)?;
        }
        Ok(Self { events, journal: Some(journal) })
    }

    /// Tells one event.
    pub fn tell(&mut self, event: Event) {
        if let (Some(journal), Ok(line)) = (&mut self.journal, serde_json::to_string(&event)) {
            // A run can do without its journal; the results are elsewhere.
            if journal.append_line(&line).is_err() {
                self.journal = None;
            }
        }
        let _ = self.events.send(event);
    }
}

/// Returns the event that announces a plan.
pub fn planned<O: Ops>(graph: &Graph<O>, plan: &Plan) -> Event {
    let nodes = graph.experiment.nodes.iter().enumerate();
    Event::Planned {
        experiment: graph.experiment.name.clone(),
        counts: plan.counts(graph.tasks()),
        nodes: nodes.map(|(at, node)| (node.name.clone(), plan.counts(graph.tasks_of(at)))).collect(),
    }
}
