//! Differences between experiments and between points, compared with values computed by hand and by scipy.

use fewbits_engine::dense::NodeId;
use fewbits_engine::diff::points::PointsDiff;
use fewbits_engine::diff::tables::TableDiff;
use fewbits_engine::diff::{ComparedExperiment, Comparison};
use fewbits_engine::plan::Planner;
use fewbits_engine::table::results::Results;
use fewbits_store::Store;

use crate::arithmetic::Arithmetic;
use crate::bench::{Bench, experiment};

/// For seeds 1, 2 and 4, `s` is 2, 4 and 8; `sum` is `s` plus m.
const AXES: &str = r#""m": [0, 100], "seed": [1, 2, 4]"#;
const NODES: &str = r#"
    "b": Number(value: Axis("seed")), "s": Scale(of: "b", by: 2), "c": Number(value: Axis("m")),
    "sum": Add(left: "s", right: "c"),
"#;
const TABLES: &str = r#"
    "t": Pivot(value: "sum.value", rows: ["m"], columns: [], replicate: "seed"),
    "u": Table(rows: ["m"], columns: ["c.value"]),
"#;

fn study(axes: &str, nodes: &str) -> String {
    let text = experiment(axes, nodes);
    format!("{}, tables: {{{TABLES}}})", text.strip_suffix(')').unwrap())
}

fn with_side<T>(bench: &Bench, text: &str, with: impl FnOnce(&ComparedExperiment<'_, Arithmetic>) -> T) -> T {
    let (graph, store) = (bench.graph(text), Store::open_reader(&bench.root()).unwrap());
    let planner = Planner::new(&graph, &*bench.ops, &store);
    let plan = planner.plan().unwrap();
    let nodes: Vec<NodeId> = graph.node_tasks.ids().collect();
    let results = Results::load(&graph, &plan, &store, &nodes, &[]).unwrap();
    with(&ComparedExperiment { graph: &graph, planner: &planner, plan: &plan, results: &results })
}

fn diff(bench: &Bench, from: &str, to: &str) -> Comparison {
    with_side(bench, from, |from| with_side(bench, to, |to| Comparison::between(from, to).unwrap()))
}

/// Runs both experiments and compares them.
fn diff_of(from: &str, to: &str) -> Comparison {
    let bench = Bench::new();
    bench.events(from);
    bench.events(to);
    diff(&bench, from, to)
}

fn points(text: &str, from: &str, to: &str) -> Result<PointsDiff, String> {
    let bench = Bench::new();
    bench.events(text);
    with_side(&bench, text, |side| PointsDiff::between(side, from, to).map_err(|error| error.to_string()))
}

/// Returns the differing fields of nodes as text.
fn fields(diff: &Comparison) -> Vec<String> {
    let of = diff.structure.fields.iter().flat_map(|node| node.fields.iter().map(move |field| (node, field)));
    of.map(|(node, of)| format!("{}.{}: {} → {}", node.node, of.field, of.from.join(" "), of.to.join(" ")))
        .collect()
}

/// Returns the counts of the tasks of each node: shared, only in the first experiment, only in the second, and unknown.
fn tasks(diff: &Comparison) -> Vec<(String, [usize; 4])> {
    let counts =
        |of: &fewbits_engine::diff::tasks::NodeTaskCounts| [of.shared, of.only_from, of.only_to, of.unknown];
    let name = |of: &fewbits_engine::diff::tasks::NodeTaskCounts| {
        [Some(&of.node), of.renamed.as_ref()].into_iter().flatten().cloned().collect::<Vec<_>>().join(" → ")
    };
    diff.tasks.iter().map(|of| (name(of), counts(of))).collect()
}

fn table<'d>(diff: &'d Comparison, name: &str) -> &'d TableDiff {
    diff.tables.iter().find(|table| table.name == name).unwrap()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
}

#[test]
fn the_same_experiment_differs_in_nothing() {
    let text = study(AXES, NODES);
    // Neither the order of axes nor the name of the experiment matters.
    let other = study(r#""seed": [1, 2, 4], "m": [100, 0]"#, NODES).replace("\"test\"", "\"other\"");
    let diff = diff_of(&text, &other);
    assert!(diff.structure.is_empty(), "{diff:?}");
    let counts: Vec<[usize; 4]> = tasks(&diff).into_iter().map(|(_, counts)| counts).collect();
    assert_eq!(counts, [[3, 0, 0, 0], [3, 0, 0, 0], [2, 0, 0, 0], [6, 0, 0, 0]]);
    assert_eq!((table(&diff, "t").equal, table(&diff, "u").equal), (2, 2));
    assert!(diff.tables.iter().all(|table| table.changed.is_empty() && table.apart == [0, 0]), "{diff:?}");
}

#[test]
fn parameters_are_compared_where_the_axes_agree() {
    let other = study(
        r#""m": [100, 7], "seed": [1, 2, 4], "k": [2, 3]"#,
        &NODES
            .replace("by: 2", "by: Axis(\"k\")")
            .replace("\"c\": Number", "\"r\": Round(of: \"sum\"), \"c\": Number"),
    );
    let other =
        other.replace("nodes:", r#"only: ["k > seed"], nodes:"#).replace("columns: []", "columns: [\"k\"]");
    let diff = diff_of(&study(AXES, NODES), &other);
    let axes: Vec<_> =
        diff.structure.axes.iter().map(|of| (of.axis.as_str(), of.is_shared, &of.values)).collect();
    let values: Vec<_> =
        axes.iter().map(|(axis, shared, of)| (*axis, *shared, of.from.join(" "), of.to.join(" "))).collect();
    let expected = [("m", true, "0".into(), "7".into()), ("k", false, String::new(), "2 3".into())];
    assert_eq!(values, expected);
    assert_eq!(fields(&diff), ["s.by: 2 → 2 3"]);
    assert_eq!(
        (diff.structure.nodes.to.as_slice(), diff.structure.only.to.as_slice()),
        (&["r".to_owned()][..], &["k > seed".to_owned()][..])
    );
    // The cells of `t` have one more axis in the other experiment.
    assert_eq!(diff.structure.asked_otherwise, ["t"]);
}

#[test]
fn wiring_kinds_and_keeping_are_fields() {
    let from = experiment("", r#""a": Number(value: 1), "b": Number(value: 2), "r": Round(of: "a")"#);
    let to = experiment(
        "",
        r#""a": Number(value: 1.5), "b": Number(value: 2, keep: true), "r": Scale(of: "b", by: 3)"#,
    );
    let expected = [
        "a.value: 1 → 1.5",
        "b.keep: false → true",
        "r.by:  → 3",
        "r.of: \"a\" → \"b\"",
        "r.op: \"round\" → \"scale\"",
        "r.to: 1 → ",
    ];
    assert_eq!(fields(&diff_of(&from, &to)), expected);
}

#[test]
fn a_source_file_is_compared_by_what_it_holds() {
    let text = experiment("", r#""f": File(path: "one")"#);
    let other = text.replace("one", "two");
    let bench = Bench::new();
    std::fs::write(bench.path("one"), "1").unwrap();
    std::fs::write(bench.path("two"), "1").unwrap();
    assert_eq!(fields(&diff(&bench, &text, &other)), Vec::<String>::new());
    std::fs::write(bench.path("two"), "22").unwrap();
    let found = fields(&diff(&bench, &text, &other));
    assert!(found.len() == 1 && found[0].starts_with("f.inputs.file: "), "{found:?}");
    // A file that is missing is not reported as a change.
    std::fs::remove_file(bench.path("two")).unwrap();
    assert_eq!(fields(&diff(&bench, &text, &other)), Vec::<String>::new());
}

#[test]
fn tasks_are_shared_by_key_whatever_the_node() {
    let other = NODES.replace("\"c\"", "\"d\"").replace("right: \"c\"", "right: \"d\"");
    let tables = TABLES.replace("c.value", "d.value");
    let to = study(r#""m": [0, 100, 7], "seed": [1, 2]"#, &other).replace(TABLES, &tables);
    let diff = diff_of(&study(AXES, NODES), &to);
    let expected = [
        ("b", [2, 1, 0, 0]),
        ("s", [2, 1, 0, 0]),
        // The renamed node is recognized as the same node, and no task is counted twice.
        ("c → d", [2, 0, 1, 0]),
        ("sum", [4, 2, 2, 0]),
    ];
    assert_eq!(tasks(&diff), expected.map(|(node, counts)| (node.to_owned(), counts)));
}

#[test]
fn what_was_never_run_has_no_keys_and_no_values() {
    let bench = Bench::new();
    let text = study(AXES, NODES);
    bench.events(&text);
    let diff = diff(&bench, &text, &text.replace("by: 2", "by: 5"));
    assert_eq!(tasks(&diff)[3], ("sum".to_owned(), [0, 6, 0, 6]));
    assert_eq!((table(&diff, "t").apart, table(&diff, "t").missing), ([2, 0], [0, 6]));
}

/// Expected values from scipy 1.17.1: `ttest_1samp([1, 2, 4], 0)` and its interval. Holm's adjustment doubles both of
/// two equal p-values.
#[test]
fn the_same_seeds_are_paired() {
    let diff = diff_of(&study(AXES, NODES), &study(AXES, &NODES.replace("by: 2", "by: 3")));
    let found = table(&diff, "t");
    assert_eq!((found.changed.len(), found.equal, found.replicate.as_deref()), (2, 0, Some("seed")));
    for (cell, label) in found.changed.iter().zip(["0", "100"]) {
        assert_eq!(
            (cell.labels.as_slice(), cell.delta.is_paired, cell.delta.units),
            (&[label.to_owned()][..], true, [3, 3])
        );
        close(cell.delta.change.mean, 7.0 / 3.0);
        close(cell.delta.change.half_width().unwrap(), 3.794_583_033_596_759_4);
        close(cell.delta.change.adjusted.unwrap(), 2.0 * 0.118_082_896_311_803_08);
    }
    assert_eq!((table(&diff, "u").changed.len(), table(&diff, "u").equal), (0, 2));
}

/// Expected values from scipy 1.17.1: `ttest_ind([3, 6], [2, 4, 8], equal_var=False)`.
#[test]
fn other_seeds_are_two_samples() {
    let to = study(&AXES.replace("1, 2, 4", "1, 2"), &NODES.replace("by: 2", "by: 3"));
    let diff = diff_of(&study(AXES, NODES), &to);
    let cell = &table(&diff, "t").changed[0];
    assert_eq!((cell.delta.is_paired, cell.delta.units), (false, [3, 2]));
    close(cell.delta.change.mean, -1.0 / 6.0);
    close(cell.delta.change.p_zero().unwrap(), 0.947_287_823_019_834_8);
    close(cell.delta.change.interval.unwrap().0, -7.677_210_564_925_479);
}

#[test]
fn cells_of_one_side_only_are_counted() {
    let diff = diff_of(&study(AXES, NODES), &study(&AXES.replace("0, 100", "100, 5, 6"), NODES));
    let found = table(&diff, "t");
    assert_eq!((found.changed.len(), found.equal, found.apart, found.missing), (0, 1, [1, 2], [0, 0]));
}

#[test]
fn two_points_differ_in_axes_parameters_and_metrics() {
    let found = points(&study(AXES, NODES), "sum(m=0)", "sum( m = 100 )").unwrap();
    let axes: Vec<_> =
        found.axes.iter().map(|of| (of.field.as_str(), of.from.join(" "), of.to.join(" "))).collect();
    assert_eq!(axes, [("m", "0".to_owned(), "100".to_owned())]);
    let nodes: Vec<_> =
        found.fields.iter().map(|node| (node.node.as_str(), node.fields[0].field.as_str())).collect();
    assert_eq!(nodes, [("c", "value")]);
    let metrics: Vec<_> =
        found.changed.iter().map(|of| (of.metric.as_str(), of.delta.change.mean, of.delta.units)).collect();
    // A metric that does not depend on the seed counts as one value.
    assert_eq!(metrics, [("c.value", 100.0, [1, 1]), ("sum.value", 100.0, [3, 3])]);
    assert_eq!((found.equal, found.missing, found.replicate.as_deref()), (0, [0, 0], Some("seed")));
    assert_eq!(found.changed[1].delta.change.interval, None, "what is the same every time proves nothing");
}

#[test]
fn points_of_two_nodes_and_single_tasks_are_compared_as_they_are() {
    let found = points(&study(AXES, NODES), "s", "sum(m=100)").unwrap();
    let metrics: Vec<_> = found.changed.iter().map(|of| (of.metric.as_str(), of.delta.change.mean)).collect();
    assert_eq!(metrics, [("value", 100.0)]);
    let one = points(&study(AXES, NODES), "s(seed=1)", "s(seed=4)").unwrap();
    let delta = &one.changed[1].delta;
    assert_eq!(
        (one.changed[1].metric.as_str(), delta.change.mean, delta.change.interval),
        ("s.value", 6.0, None)
    );
    assert_eq!(one.axes[0].field, "seed");
}

#[test]
fn a_point_must_name_every_axis_but_the_replication() {
    let text = study(AXES, NODES);
    let check = |from: &str, to: &str, words: &str| {
        let error = points(&text, from, to).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    check("sum", "sum(m=100)", "`sum` leaves `m` open: give a value of each, as in `sum(m=0,seed=1)`");
    check("sum(m=0)", "sun(m=100)", "there is no node `sun`; did you mean `sum`?");
    check("sum(m=0)", "sum(m=5)", "axis `m` has no value `5`");
}
