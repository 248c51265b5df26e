//! A test bench: a dashboard on a made-up study. It sends updates like those of a real run, and answers requests as the
//! loader does.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use fewbits_engine::dense::{DenseId, NodeId, PointId};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::Counts;
use fewbits_engine::preimage::Change;
use fewbits_engine::reason::Reason;
use fewbits_engine::run_log::{LoggedEvent, RunHeader};
use fewbits_engine::table::results::Results;
use fewbits_ops::StandardOps;
use fewbits_store::{Record, Series};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::dashboard::app::App;
use crate::dashboard::loader::make;
use crate::dashboard::messages::{Baseline, PastRun, Request, TableFailure, Update};
use crate::dashboard::run_curves::RunCurves;
use crate::dashboard::run_model::OpenedRun;
use crate::dashboard::screen;
use crate::dashboard::shown_table::ShownTable;
use crate::dashboard::shown_table::{PointName, TableRequest};
use crate::dashboard::theme::{Depth, Theme};

/// A study of 229 tasks: 6 trainings, each with 9 formats and 2 roundings.
pub const STUDY: &str = r#"Experiment(
    name: "study",
    axes: {
        "dropout": [0.0, 0.5],
        "seed": Range(0, 2),
        "e": Range(1, 3),
        "m": Range(0, 2),
        "rounding": [Nearest, Stochastic],
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k),
        "net": Train(data: "mnist", model: Mlp(hidden: [64], dropout: Axis("dropout")), epochs: 4, seed: Axis("seed")),
        "full": Evaluate(model: "net", data: "mnist"),
        "small": Quantize(model: "net", format: Float(e: Axis("e"), m: Axis("m")), rounding: Axis("rounding"), scale: PowerOfTwo),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "accuracy": Pivot(value: "accuracy.accuracy", rows: ["e"], columns: ["m"], each: ["dropout", "rounding"], replicate: "seed"),
        "networks": Table(rows: ["dropout"], columns: {"float32": "full.accuracy"}, replicate: "seed"),
        "pareto": Pareto(minimize: "small.bits_per_weight", maximize: "accuracy.accuracy", replicate: "seed"),
    },
)
"#;

/// The start of the study's run in seconds of Unix time.
pub const BEGAN: f64 = 1_800_000_000.0;
/// The id of the study's run.
pub const RUN: &str = "20270115-080000-000";

/// Makes a table as the loader does.
pub fn table(
    graph: &TaskGraph<StandardOps>,
    results: &Results,
    wanted: TableRequest,
) -> Result<ShownTable, TableFailure> {
    make(graph, &StandardOps::new(PathBuf::new(), PathBuf::new()), results, wanted)
}

/// Returns the task of a node, by index, at one of its points, by index.
pub fn task(graph: &TaskGraph<StandardOps>, node: usize, point: usize) -> TaskId {
    graph.task(NodeId::from_index(node), PointId::from_index(point))
}

/// A dashboard, and the data that a loader would have.
pub struct Bench {
    pub app: App,
    pub graph: Arc<TaskGraph<StandardOps>>,
    pub asked: Vec<Request>,
    results: Results,
}

/// Parses an experiment.
pub fn graph(text: &str) -> Arc<TaskGraph<StandardOps>> {
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    Arc::new(TaskGraph::parse(text, &ops, usize::MAX).unwrap_or_else(|faults| panic!("{faults:#?}")))
}

/// Returns the run of an experiment before its first event; its first `cached` tasks were cached.
pub fn opened(graph: &Arc<TaskGraph<StandardOps>>, cached: u32) -> OpenedRun {
    let names: HashMap<String, TaskId> = graph.tasks().map(|task| (graph.name(task), task)).collect();
    let header = RunHeader {
        experiment: graph.experiment.name.clone(),
        text: graph.text.clone(),
        jobs: 2,
        cached: std::iter::once(0..cached).collect(),
        ..RunHeader::default()
    };
    OpenedRun {
        id: RUN.to_owned(),
        began: Some(BEGAN),
        header,
        graph: Arc::clone(graph),
        names: Arc::new(names),
    }
}

/// Returns made-up metrics of a task, computed from its point: more bits give a higher accuracy.
pub fn metrics(graph: &TaskGraph<StandardOps>, task: TaskId) -> BTreeMap<String, f64> {
    let level = |name: &str| {
        let label = graph.point(task).find(|(axis, _)| *axis == name).map_or("0", |(_, label)| label);
        label.parse::<f64>().unwrap_or(0.0)
    };
    let bits = 1.0 + level("e") + level("m");
    let noise = (level("seed") - 1.0) * 0.002;
    let stochastic = graph.point(task).any(|(_, label)| label == "Stochastic");
    let lost = 0.5_f64.powf(bits) * if stochastic { 0.8 } else { 1.0 };
    let pairs: &[(&str, f64)] = match graph.experiment.nodes[graph.node(task)].kind.name {
        "Train" => {
            &[("train_loss", 0.08 + noise), ("train_accuracy", 0.98 + noise), ("parameters", 50_890.0)]
        }
        "Quantize" => {
            &[("bits_per_weight", bits + 0.001), ("bytes", (6361.0 * bits).round()), ("mse", lost * 0.01)]
        }
        "Evaluate" if level("e") > 0.0 => {
            &[("accuracy", 0.97 - lost + noise + 0.01 * level("dropout")), ("loss", 0.1 + lost)]
        }
        "Evaluate" => &[("accuracy", 0.975 + noise), ("loss", 0.09)],
        _ => &[("classes", 10.0)],
    };
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn key(task: TaskId) -> String {
    format!("{:064x}", 0x00c0_ffee_u64 * (task.index() as u64 + 1))
}

impl Bench {
    /// Creates a study that has completed `done` tasks and runs the next two.
    pub fn new(size: (u16, u16), done: usize) -> Self {
        let mut bench = Self::planned(size);
        let tasks: Vec<TaskId> = bench.graph.tasks().collect();
        for &task in tasks.iter().take(done) {
            bench.complete(task);
        }
        for &task in tasks.iter().skip(done).take(2) {
            bench.start(task);
        }
        bench
    }

    /// Creates a study at its start: the dataset is cached, and all other tasks are to be done.
    pub fn planned(size: (u16, u16)) -> Self {
        Self::planned_of(STUDY, size)
    }

    /// Creates the run of an experiment that has completed all of its tasks.
    pub fn done(text: &str, size: (u16, u16)) -> Self {
        let mut bench = Self::planned_of(text, size);
        let tasks: Vec<TaskId> = bench.graph.tasks().collect();
        for task in tasks {
            bench.complete(task);
        }
        bench
    }

    fn planned_of(text: &str, size: (u16, u16)) -> Self {
        let graph = graph(text);
        let theme = Theme { depth: Depth::None, ascii: false };
        let app = App::new(theme, size, Some(RUN.to_owned()));
        let results = Results::none(graph.len());
        let mut bench = Self { app, asked: vec![], results, graph };
        let opened = opened(&bench.graph, 1);
        bench.tell(Update::Opened(Box::new(opened)));
        let mnist = task(&bench.graph, 0, 0);
        let known = metrics(&bench.graph, mnist);
        bench.results.learn(mnist, known, 0.1);
        let counts = Counts {
            tasks: bench.graph.len(),
            cached: 1,
            run: 6,
            waiting: bench.graph.len().saturating_sub(7),
        };
        let of = |node: NodeId| {
            let tasks = bench.graph.node_tasks[node].points.len();
            match node.index() {
                0 => Counts { tasks, cached: 1, ..Counts::default() },
                1 => Counts { tasks, run: tasks, ..Counts::default() },
                _ => Counts { tasks, waiting: tasks, ..Counts::default() },
            }
        };
        let nodes = &bench.graph.experiment.nodes;
        let nodes = nodes.pairs().map(|(at, node)| (node.name.clone(), of(at))).collect();
        bench.happen(0.1, Event::Planned { experiment: "study".to_owned(), counts, nodes });
        bench
    }

    /// Returns the start of a task in seconds of the run. Each task takes one second.
    fn at(task: TaskId) -> f64 {
        1.0 + task.index() as f64
    }

    pub fn start(&mut self, task: TaskId) {
        let name = self.graph.name(task);
        let reason = if name.starts_with("net") {
            let change = Change {
                field: "params.epochs".to_owned(),
                from: Some("3".to_owned()),
                to: Some("4".to_owned()),
            };
            Reason::Changed { relative: "the same task in the last run".to_owned(), changes: vec![change] }
        } else {
            Reason::New
        };
        self.happen(Self::at(task), Event::Started { task: name.clone(), key: key(task), reason, on: None });
        if name.starts_with("net") {
            for epoch in 1..=3 {
                let value = |name: &str, value: f64| (name.to_owned(), value);
                let e = f64::from(epoch as u32);
                let metrics = BTreeMap::from([
                    value("train_loss", 0.8 / (e * e)),
                    value("train_accuracy", 1.0 - 0.2 / e),
                ]);
                let at = Self::at(task) + 0.2 * e;
                self.happen(at, Event::Progressed { task: name.clone(), done: epoch, total: 4, metrics });
            }
        }
    }

    pub fn complete(&mut self, task: TaskId) {
        // The dataset was cached.
        if task.index() == 0 {
            return;
        }
        self.start(task);
        let (name, metrics) = (self.graph.name(task), metrics(&self.graph, task));
        self.results.learn(task, metrics.clone(), 0.9);
        let event = Event::Completed { task: name, key: key(task), metrics, seconds: 0.9 };
        self.happen(Self::at(task) + 0.9, event);
    }

    /// Ends the run without failures.
    pub fn finish(&mut self) {
        let tasks = self.graph.len();
        let summary = Summary { tasks, ran: tasks - 1, cached: 1, failed: 0, skipped: 0, seconds: 140.0 };
        self.happen(140.0, Event::Finished(summary));
    }

    pub fn happen(&mut self, at: f64, event: Event) {
        self.app.now = BEGAN + at;
        self.tell(Update::Happened(vec![LoggedEvent { at, event }]));
    }

    /// Applies an update to the state, and answers the requests that follow.
    pub fn tell(&mut self, update: Update) {
        let asks = self.app.update(self.app.now, update);
        for ask in asks {
            self.asked.push(ask.clone());
            if let Some(answer) = self.answer(ask) {
                self.tell(answer);
            }
        }
    }

    fn answer(&self, ask: Request) -> Option<Update> {
        match ask {
            Request::Table(Some(wanted)) => {
                let made = table(&self.graph, &self.results, wanted);
                Some(Update::Table(wanted, made.map(Arc::new)))
            }
            Request::Record { task, .. } => {
                Some(Update::Record(task, Some(Arc::new(self.record(task))), vec![]))
            }
            Request::Runs(true) => Some(Update::Runs(past())),
            Request::Baseline(id) => Some(Update::Baseline(Box::new(self.baseline(id)))),
            Request::Curves(id) => {
                let name = self.graph.sorted_name(task(&self.graph, 1, 0));
                let series = BTreeMap::from([("train_loss".to_owned(), vec![0.9, 0.8, 0.6])]);
                let curves = RunCurves { id, trainings: HashMap::from([(name, series)]) };
                Some(Update::Curves(Box::new(curves)))
            }
            Request::Open(_)
            | Request::Table(None)
            | Request::Runs(false)
            | Request::Copy(_)
            | Request::Halt(_)
            | Request::Version(_)
            | Request::Abort
            | Request::Suspend
            | Request::Redraw
            | Request::Leave(_) => None,
        }
    }

    fn record(&self, task: TaskId) -> Record {
        let series = Series { along: "epoch".to_owned(), names: vec![], values: vec![0.7, 0.3, 0.2, 0.1] };
        let preimage =
            format!(r#"{{"inputs":{{"model.model":"{}"}},"op":"x","params":{{}},"version":1}}"#, key(task));
        Record {
            preimage,
            metrics: metrics(&self.graph, task),
            series: BTreeMap::from([("train_loss".to_owned(), series)]),
            seconds: 0.9,
            provenance: BTreeMap::from([("numerics".to_owned(), "x86-64".to_owned())]),
            ..Record::default()
        }
    }

    fn baseline(&self, id: String) -> Baseline {
        let place = PointName::new("networks", [("dropout", "0.0")]);
        Baseline {
            id,
            shared: self.graph.len(),
            other: 6,
            only_here: 0,
            only_there: 2,
            changes: vec![("net: epochs: 3 → 4".to_owned(), 6)],
            values: HashMap::from([(place, vec![Some(0.970)])]),
        }
    }

    /// Presses keys, named as in the key table.
    pub fn press(&mut self, keys: &[&str]) {
        for key in keys {
            self.tell(Update::Key(key_event(key)));
        }
    }

    /// Types a text.
    pub fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.tell(Update::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
    }

    /// Returns the frame as text.
    pub fn frame(&self) -> String {
        let buf = self.buffer();
        let line = |y: u16| {
            let cells = (0..buf.area.width).map(|x| buf[(x, y)].symbol().to_owned());
            cells.collect::<String>().trim_end().to_owned() + "\n"
        };
        (0..buf.area.height).map(line).collect()
    }

    /// Returns the frame as a buffer.
    pub fn buffer(&self) -> Buffer {
        let (width, height) = self.app.size;
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        screen::draw(&self.app, &mut buf);
        buf
    }
}

fn past() -> Vec<PastRun> {
    let past = |id: &str, summary, going| PastRun {
        id: id.to_owned(),
        experiment: "study".to_owned(),
        follows: None,
        summary,
        going,
    };
    let ended = |ran, failed| Summary {
        tasks: 229,
        ran,
        cached: 229 - ran - failed,
        failed,
        skipped: 0,
        seconds: 99.0,
    };
    vec![
        past(RUN, None, true),
        past("20270114-120000-000", Some(ended(130, 3)), false),
        past("20270113-090000-000", Some(ended(0, 0)), false),
        past("20270112-090000-000", None, false),
    ]
}

/// Returns the event that a terminal sends for a key of the table.
pub fn key_event(name: &str) -> KeyEvent {
    let (name, modifiers) = match name.strip_prefix("Ctrl-") {
        Some(name) => (name.to_lowercase(), KeyModifiers::CONTROL),
        None => (name.to_owned(), KeyModifiers::NONE),
    };
    let code = match name.as_str() {
        "Tab" => KeyCode::Tab,
        "Shift-Tab" => KeyCode::BackTab,
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Backspace" => KeyCode::Backspace,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Space" => KeyCode::Char(' '),
        other => KeyCode::Char(other.chars().next().expect(other)),
    };
    KeyEvent::new(code, modifiers)
}
