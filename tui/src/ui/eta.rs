//! The estimated time to the end of a run: for each node, the remaining tasks times the median seconds of its finished
//! tasks.
//! Ignores cached tasks, which take no time.

use std::collections::BTreeMap;
use std::fmt;

use fewbits_engine::event::Event;

/// The estimated time to the end of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RemainingTime {
    /// The seconds.
    pub seconds: f64,
    /// Whether a node has remaining tasks of unknown duration, which are not counted.
    pub is_lower_bound: bool,
}

impl fmt::Display for RemainingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_lower_bound { "at least" } else { "about" };
        write!(f, "{word} {} left", duration(self.seconds))
    }
}

/// Holds the pace of each node of a run.
#[derive(Debug, Default)]
pub struct Eta {
    /// The number of tasks that run at once in the process of the run.
    jobs: usize,
    /// The number of tasks that workers run at once; 0 without workers.
    at_workers: usize,
    nodes: BTreeMap<String, TaskPace>,
}

#[derive(Debug, Default)]
struct TaskPace {
    left: usize,
    /// The seconds of finished tasks, ascending.
    seconds: Vec<f64>,
    /// Whether a task has started.
    has_started: bool,
    /// The finished share of tasks that are running or wait for their record to reach the disk.
    begun: BTreeMap<String, f64>,
}

impl Eta {
    /// Makes an estimate for a run with `jobs` tasks at once.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        Self { jobs, ..Self::default() }
    }

    /// Adds an event.
    pub fn update(&mut self, event: &Event) {
        match event {
            Event::Planned { nodes, .. } => {
                for (name, counts) in nodes {
                    self.nodes.entry(name.clone()).or_default().left = counts.run + counts.waiting;
                }
            }
            Event::Progressed { task, done, total, .. } => {
                self.pace(task).begun.insert(task.clone(), *done as f64 / (*total).max(1) as f64);
            }
            Event::Computed { task } => {
                self.pace(task).begun.insert(task.clone(), 1.0);
            }
            Event::Postponed { task, .. } | Event::Returned { task, .. } => {
                self.pace(task).begun.remove(task);
            }
            Event::Completed { task, seconds, .. } => {
                let pace = self.pace(task);
                let at = pace.seconds.partition_point(|known| known < seconds);
                pace.seconds.insert(at, *seconds);
                pace.end(task);
            }
            Event::Reused { task, .. } | Event::Failed { task, .. } | Event::Skipped { task, .. } => {
                self.pace(task).end(task);
            }
            Event::Started { task, .. } => self.pace(task).has_started = true,
            Event::WorkerJoined { jobs, .. } => self.at_workers += jobs,
            Event::WorkerLeft { jobs, .. } => self.at_workers = self.at_workers.saturating_sub(*jobs),
            Event::Rebuilt { .. }
            | Event::Edited { .. }
            | Event::Superseded
            | Event::Refused { .. }
            | Event::Proposed { .. }
            | Event::Warned { .. }
            | Event::Noted { .. }
            | Event::Left
            | Event::Draining
            | Event::Interrupted
            | Event::Finished(_) => {}
        }
    }

    /// Returns the remaining time; `None` while no node has finished a task, or a node that has started one has finished
    /// none. Nodes that have not started yet count only once they have finished a task; until then the time is a lower
    /// bound.
    #[must_use]
    pub fn remaining(&self) -> Option<RemainingTime> {
        let left = || self.nodes.values().filter(|pace| pace.left > 0);
        let is_known = |pace: &TaskPace| !pace.seconds.is_empty();
        if left().any(|pace| pace.has_started && !is_known(pace)) || !self.nodes.values().any(is_known) {
            return None;
        }
        let seconds = left().filter_map(|pace| {
            let median = pace.seconds.get(pace.seconds.len() / 2)?;
            Some(median * (pace.left as f64 - pace.begun.values().sum::<f64>()).max(0.0))
        });
        let seconds = seconds.sum::<f64>() / (self.jobs + self.at_workers).max(1) as f64;
        Some(RemainingTime { seconds, is_lower_bound: !left().all(is_known) })
    }

    fn pace(&mut self, task: &str) -> &mut TaskPace {
        self.nodes.entry(task.split('(').next().unwrap_or(task).to_owned()).or_default()
    }
}

impl TaskPace {
    fn end(&mut self, task: &str) {
        self.left = self.left.saturating_sub(1);
        self.begun.remove(task);
    }
}

/// Writes a duration: `40 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use fewbits_engine::plan::Counts;

    use super::*;

    fn about(seconds: f64) -> RemainingTime {
        RemainingTime { seconds, is_lower_bound: false }
    }

    #[test]
    fn one_finished_task_of_the_slow_node_is_enough() {
        let mut eta = Eta::new(1);
        let counts = |run: usize, waiting: usize| Counts { tasks: run + waiting, cached: 0, run, waiting };
        let nodes = vec![("net".to_owned(), counts(3, 0)), ("accuracy".to_owned(), counts(0, 30))];
        eta.update(&Event::Planned { experiment: String::new(), counts: counts(3, 30), nodes });
        let start = |task: &str| {
            let reason = fewbits_engine::reason::Reason::New;
            Event::Started { task: task.to_owned(), key: String::new(), reason, on: None }
        };
        let end = |task: &str, seconds: f64| {
            let (task, key) = (task.to_owned(), String::new());
            Event::Completed { task, key, metrics: BTreeMap::new(), seconds }
        };
        eta.update(&start("net(seed=0)"));
        assert_eq!(eta.remaining(), None, "nothing has finished");
        eta.update(&end("net(seed=0)", 60.0));
        let bound = RemainingTime { seconds: 120.0, is_lower_bound: true };
        assert_eq!(eta.remaining(), Some(bound), "the short tasks after it are not counted yet");
        assert_eq!(bound.to_string(), "at least 2 min 0 s left");
        eta.update(&start("accuracy(e=1,seed=0)"));
        assert_eq!(eta.remaining(), None, "this node may be the slow one");
        eta.update(&end("accuracy(e=1,seed=0)", 0.5));
        assert_eq!(eta.remaining(), Some(about(120.0 + 29.0 * 0.5)));
    }

    #[test]
    fn cached_tasks_take_no_time() {
        let mut eta = Eta::new(2);
        let counts = Counts { tasks: 100, cached: 90, run: 10, waiting: 0 };
        let nodes = vec![("net".to_owned(), counts)];
        eta.update(&Event::Planned { experiment: String::new(), counts, nodes });
        assert_eq!(eta.remaining(), None);
        let task = "net(seed=0)".to_owned();
        eta.update(&Event::Completed { task, key: String::new(), metrics: BTreeMap::new(), seconds: 4.0 });
        assert_eq!(eta.remaining(), Some(about(4.0 * 9.0 / 2.0)));
    }

    #[test]
    fn a_computed_task_takes_no_more_time() {
        let mut eta = Eta::new(1);
        let counts = Counts { tasks: 3, cached: 0, run: 3, waiting: 0 };
        let nodes = vec![("net".to_owned(), counts)];
        eta.update(&Event::Planned { experiment: String::new(), counts, nodes });
        let task = |seed: u32| format!("net(seed={seed})");
        let completed = |seed: u32| Event::Completed {
            task: task(seed),
            key: String::new(),
            metrics: BTreeMap::new(),
            seconds: 4.0,
        };
        eta.update(&Event::Computed { task: task(0) });
        eta.update(&completed(0));
        assert_eq!(eta.remaining(), Some(about(8.0)));
        eta.update(&Event::Computed { task: task(1) });
        assert_eq!(eta.remaining(), Some(about(4.0)), "its result waits for the disk");
        eta.update(&completed(1));
        assert_eq!(eta.remaining(), Some(about(4.0)), "the record changes nothing");
        eta.update(&Event::Progressed { task: task(2), done: 3, total: 4, metrics: BTreeMap::new() });
        assert_eq!(eta.remaining(), Some(about(1.0)));
        eta.update(&Event::Postponed { task: task(2), because: task(0) });
        assert_eq!(eta.remaining(), Some(about(4.0)), "it starts again");
    }

    #[test]
    fn durations_read_well() {
        let check = |seconds, text: &str| assert_eq!(duration(seconds), text);
        check(0.04, "40 ms");
        check(9.4, "9.4 s");
        check(200.0, "3 min 20 s");
        check(7500.0, "2 h 5 min");
    }
}
