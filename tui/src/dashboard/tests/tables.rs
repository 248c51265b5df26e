//! Tables in the dashboard: the same words and numbers as `fewbits table`, whatever the width.

use std::path::PathBuf;
use std::sync::Arc;

use fewbits_engine::dense::NodeId;
use fewbits_engine::plan::Planner;
use fewbits_engine::run::coordinator::{Settings, run};
use fewbits_engine::run::halt::Halt;
use fewbits_engine::table::results::Results;
use fewbits_ops::StandardOps;
use fewbits_store::Store;
use tokio::sync::{mpsc, watch};

use super::bench::{Bench, RUN, STUDY, graph, table};
use crate::dashboard::followed_run::FollowedRun;
use crate::dashboard::past_runs::open;
use crate::dashboard::shown_table::TableRequest;

/// Each kind of table, with intervals over images, over seeds, and averaged values.
const EVERY_KIND: &str = r#"Experiment(
    name: "kinds",
    axes: { "seed": [0, 1, 2], "draw": [0, 1], "e": [2, 3], "m": [0, 1] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 60),
        "net": Train(data: "mnist", model: Mlp(hidden: [8]), epochs: 1, seed: Axis("seed")),
        "full": Evaluate(model: "net", data: "mnist"),
        "small": Quantize(model: "net", format: Float(e: Axis("e"), m: Axis("m")), rounding: Stochastic, seed: Axis("draw")),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "list": Table(columns: ["full.accuracy - accuracy.accuracy", "small.bytes"], replicate: "seed", average: ["draw"], interval: Both),
        "grid": Pivot(value: "full.accuracy - accuracy.accuracy", rows: ["e"], columns: ["m"], replicate: "seed", average: ["draw"], interval: Images, margin: 0.5),
        "front": Pareto(minimize: "small.bits_per_weight", maximize: "accuracy.accuracy", replicate: "seed", average: ["draw"]),
        "effects": Contrast(value: "accuracy.accuracy", between: ["e", "m"], replicate: "seed", average: ["draw"], interval: Both),
        "axes": Importance(value: "accuracy.accuracy"),
        "best": Choose(minimize: "small.bytes", select: (value: "accuracy.accuracy", baseline: "full.accuracy"), max_drop: 0.9, replicate: "seed", average: ["draw"], interval: Both),
    },
)"#;

#[test]
fn live_tables_are_those_of_the_stored_results() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open_writer(dir.path()).expect("a store"));
    let ops = Arc::new(StandardOps::new(PathBuf::new(), PathBuf::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // The second run finds all results in the store.
    for (id, cached) in [(RUN, 0), ("20270115-080001-000", 1)] {
        let settings = Settings { jobs: 2, threads: 2, fail_fast: false };
        let (events, _told) = mpsc::unbounded_channel();
        let halt = watch::channel(Halt::No).1;
        let running =
            run(graph(EVERY_KIND), Arc::clone(&ops), Arc::clone(&store), id, settings, events, halt);
        let summary = runtime.block_on(running).expect("a run").0;
        assert_eq!(summary.cached > 0, cached > 0);
        let (opened, reader) = open(&store, &ops, id).expect("the store").expect("the run");
        let shared = Arc::clone(&opened.graph);
        let mut followed = FollowedRun::new(opened, reader);
        let mut lines = vec![];
        while !followed.ended {
            followed.look(&mut lines, None, &store).expect("the run log");
        }
        followed.read_results(&store, &ops).expect("results");
        let plan = Planner::new(&shared, &*ops, &store).plan().expect("a plan");
        let nodes: Vec<NodeId> = shared.node_tasks.ids().collect();
        let stored =
            Results::load(&shared, &plan, &store, &nodes, &shared.experiment.tables).expect("results");
        for (at, asked) in shared.experiment.tables.iter().enumerate() {
            let wanted = TableRequest { table: at, other_cost: false };
            let live = table(&shared, &followed.results, wanted).expect("a table");
            assert_eq!(live, table(&shared, &stored, wanted).expect("a table"), "{}", asked.name);
            assert_eq!(live.points.missing, 0);
        }
    }
}

#[test]
fn a_grid_shows_intervals_where_there_is_room() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["3"]);
    assert!(bench.frame().contains("0.8450 ±0.0050"), "{}", bench.frame());
    let mut bench = Bench::new((40, 20), 229);
    bench.press(&["3"]);
    let frame = bench.frame();
    assert!(!frame.contains("0.8450 ±") && frame.contains("▅ 0.8450"), "{frame}");
}

#[test]
fn an_answer_is_told_in_sentences() {
    let question = r#""best": Choose(minimize: "small.bytes", select: (value: "accuracy.accuracy", baseline: "full.accuracy"), max_drop: 0.2, replicate: "seed"),
        "pareto""#;
    let mut bench = Bench::done(&STUDY.replace("\"pareto\"", question), (120, 40));
    bench.press(&["3", "t", "t"]);
    let frame = bench.frame();
    assert!(frame.contains("Closest is dropout=0.5 e=3 m=2 rounding=Stochastic: 37.3 KiB;"), "{frame}");
    assert!(frame.contains("the smallest small.bytes that loses at most 0.2"), "{frame}");
    assert!(frame.contains("part     dropout") && frame.contains("\nclosest  0.5"), "{frame}");
}

#[test]
fn labels_are_cut_before_values() {
    let long = |start: &str| format!("{start}_exponents_with_a_very_long_name_that_says_all_about_them");
    let axis = format!("\"e\": {{ \"{}\": 1, \"{}\": 2 }}", long("few"), long("more"));
    let text = STUDY.replace("\"e\": Range(1, 3)", &axis);
    for width in [60, 80, 100] {
        let mut bench = Bench::done(&text, (width, 30));
        bench.press(&["3"]);
        let grid = bench.frame();
        assert!(grid.contains(" 0.9750 ") && grid.contains("few_"), "{width}: {grid}");
        assert_eq!(grid.contains('…'), width < 100, "{width}: {grid}");
        bench.press(&["v", "Right", "Right"]);
        let list = bench.frame();
        assert!(list.contains("0.9750 ±0.0050") && list.contains("few_"), "{width}: {list}");
    }
}
