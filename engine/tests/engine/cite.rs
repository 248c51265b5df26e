//! Citations of an experiment: its digests, its units of replication, and its methods.

use fewbits_engine::cite::{Citation, Replication};
use fewbits_engine::statistics::method::Method;
use fewbits_store::Digest;

use crate::bench::{Bench, experiment};

const AXES: &str = r#""m": [0, 100], "seed": [1, 2, 4], "draw": [0, 3]"#;
const NODES: &str = r#"
    "a": Number(value: Axis("m")), "b": Number(value: Axis("seed")), "c": Number(value: Axis("draw")),
    "ab": Add(left: "a", right: "b"), "all": Add(left: "ab", right: "c"),
"#;

fn with_tables(tables: &str) -> String {
    let text = experiment(AXES, NODES);
    format!("{}, tables: {{{tables}}})", text.strip_suffix(')').unwrap())
}

fn cite(bench: &Bench, text: &str) -> Citation {
    bench.plan(text, |graph, plan, store| Citation::collect(graph, &*bench.ops, plan, store).unwrap())
}

/// Checks the methods of a table.
fn check(table: &str, expected: &[Method]) {
    let bench = Bench::new();
    let found = cite(&bench, &with_tables(&format!("\"t\": {table}")));
    assert_eq!(found.methods.into_iter().collect::<Vec<_>>(), expected, "{table}");
}

#[test]
fn methods_are_those_of_the_tables() {
    use Method::{Holm, MayBeBest, NonInferiority, TInterval, ZeroEffect};
    check(r#"Table(columns: ["ab.value"])"#, &[]);
    check(r#"Table(columns: ["ab.value"], replicate: "seed")"#, &[TInterval]);
    check(
        r#"Contrast(value: "ab.value", between: ["m"], replicate: "seed")"#,
        &[TInterval, ZeroEffect, Holm],
    );
    check(
        r#"Pivot(value: "ab.value", rows: ["m"], columns: [], replicate: "seed", margin: 1.0)"#,
        &[TInterval, NonInferiority, Holm],
    );
    check(
        r#"Choose(minimize: "a.value", select: (value: "ab.value"), replicate: "seed")"#,
        &[TInterval, MayBeBest],
    );
}

#[test]
fn units_are_counted_from_results() {
    let text = with_tables(
        r#""t": Table(columns: ["all.value"], rows: ["m"], replicate: "seed", average: ["draw"]),
           "u": Table(columns: ["ab.value"], rows: ["m"], replicate: "seed", where: "seed > 1")"#,
    );
    let bench = Bench::new();
    let units = |found: &Citation| found.replications.iter().map(|of| of.units).collect::<Vec<_>>();
    assert_eq!(units(&cite(&bench, &text)), [None, None]);
    bench.events(&text);
    let found = cite(&bench, &text);
    let first = Replication { axis: "seed".into(), average: vec!["draw".into()], units: Some((3, 3)) };
    assert_eq!((&found.replications[0], found.replications[1].units), (&first, Some((2, 2))));
    assert_eq!((found.tasks, found.missing, found.nodes), (2 + 3 + 2 + 6 + 12, 0, 5));
}

/// The expected digests are computed from their definition in the documentation.
#[test]
fn digests_can_be_made_by_hand() {
    let text = experiment("", r#""a": Number(value: 2), "twin": Number(value: 2), "r": Round(of: "a")"#);
    let bench = Bench::new();
    bench.events(&text);
    let stored = bench.results(&text);
    let (two, part) = ("4000000000000000", Digest::hash(&2.0_f64.to_le_bytes()));
    let mut keys = [stored["a"].0.clone(), stored["r"].0.clone()];
    keys.sort();
    let lines = keys.clone().map(|key| format!("{key}\n")).concat();
    let results = keys.map(|key| format!("{key}\n value {two}\n value {part}\n")).concat();
    let found = cite(&bench, &text);
    assert_eq!((found.tasks, found.different), (3, 2));
    assert_eq!(found.text, Digest::hash(text.as_bytes()));
    assert_eq!(found.keys, Digest::hash(lines.as_bytes()));
    assert_eq!(found.results, Digest::hash(results.as_bytes()));
    assert_eq!(found.data[0], ("a".to_owned(), vec![("value", part)]));
    assert_eq!(found.provenance["made_by"].iter().collect::<Vec<_>>(), ["arithmetic"]);
}

#[test]
fn results_digest_alike_wherever_they_were_made() {
    let text = with_tables("");
    let [one, other] = [Bench::new(), Bench::new()].map(|bench| {
        bench.events(&text);
        cite(&bench, &text)
    });
    assert_eq!(one, other);
    let bench = Bench::new();
    // The op's numbers change although its key does not.
    let scaled = experiment("", r#""a": Number(value: 2), "s": Scale(of: "a", by: 3)"#);
    bench.events(&scaled);
    let drifting = Bench::new();
    *drifting.ops.drift.lock().unwrap() = 1e-9;
    drifting.events(&scaled);
    let (one, other) = (cite(&bench, &scaled), cite(&drifting, &scaled));
    assert_eq!(one.keys, other.keys);
    assert_ne!(one.results, other.results);
}
