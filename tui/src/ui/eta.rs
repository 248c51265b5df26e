//! The estimated time to the end of a run: for each node, the remaining tasks times the median seconds of its finished
//! tasks.
//! Ignores cached tasks, which take no time.

use std::collections::BTreeMap;

use fewbits_engine::event::Event;

/// Holds the pace of each node of a run.
#[derive(Debug, Default)]
pub struct Eta {
    jobs: usize,
    nodes: BTreeMap<String, TaskPace>,
}

#[derive(Debug, Default)]
struct TaskPace {
    left: usize,
    seconds: Vec<f64>,
    /// The finished share of tasks that are running or wait for their record to reach the disk.
    begun: BTreeMap<String, f64>,
}

impl Eta {
    /// Makes an estimate for a run with `jobs` tasks at once.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        Self { jobs: jobs.max(1), nodes: BTreeMap::new() }
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
            Event::Postponed { task, .. } => {
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
            Event::Started { .. }
            | Event::Rebuilt { .. }
            | Event::Warned { .. }
            | Event::Draining
            | Event::Interrupted
            | Event::Finished(_) => {}
        }
    }

    /// Returns the remaining seconds; `None` while a node with remaining tasks has no finished one.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        let mut total = 0.0;
        for pace in self.nodes.values().filter(|pace| pace.left > 0) {
            let median = pace.seconds.get(pace.seconds.len() / 2)?;
            total += median * (pace.left as f64 - pace.begun.values().sum::<f64>()).max(0.0);
        }
        Some(total / self.jobs as f64)
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

    #[test]
    fn cached_tasks_take_no_time() {
        let mut eta = Eta::new(2);
        let counts = Counts { tasks: 100, cached: 90, run: 10, waiting: 0 };
        let nodes = vec![("net".to_owned(), counts)];
        eta.update(&Event::Planned { experiment: String::new(), counts, nodes });
        assert_eq!(eta.seconds(), None);
        let task = "net(seed=0)".to_owned();
        eta.update(&Event::Completed { task, key: String::new(), metrics: BTreeMap::new(), seconds: 4.0 });
        assert_eq!(eta.seconds(), Some(4.0 * 9.0 / 2.0));
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
        assert_eq!(eta.seconds(), Some(8.0));
        eta.update(&Event::Computed { task: task(1) });
        assert_eq!(eta.seconds(), Some(4.0), "its result waits for the disk");
        eta.update(&completed(1));
        assert_eq!(eta.seconds(), Some(4.0), "the record changes nothing");
        eta.update(&Event::Progressed { task: task(2), done: 3, total: 4, metrics: BTreeMap::new() });
        assert_eq!(eta.seconds(), Some(1.0));
        eta.update(&Event::Postponed { task: task(2), because: task(0) });
        assert_eq!(eta.seconds(), Some(4.0), "it starts again");
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
