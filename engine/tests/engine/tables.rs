//! Tables of results, compared with values computed by hand.

use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::sheet::{Cell, Sheet};
use proptest::prelude::*;
use serde_json::json;

use crate::bench::{Bench, experiment};

/// `all` is m + seed + draw.
const AXES: &str = r#""m": [100, 200], "seed": [1, 2, 4], "draw": [0, 3]"#;
const NODES: &str = r#"
    "a": Number(value: Axis("m")), "b": Number(value: Axis("seed")), "c": Number(value: Axis("draw")),
    "ab": Add(left: "a", right: "b"), "all": Add(left: "ab", right: "c"),
"#;

fn with_table(text: &str, table: &str) -> String {
    format!("{}, tables: {{\"t\": {table}}})", text.strip_suffix(')').unwrap())
}

/// Returns cells as text: means with the half width of their interval, `-` for a missing result, and `.` for a cell
/// without a task.
fn cells(sheet: &Sheet) -> Vec<String> {
    let cell = |cell: &Cell| match cell {
        Cell::Failed => "!".to_owned(),
        Cell::Absent => ".".to_owned(),
        Cell::Missing => "-".to_owned(),
        Cell::Level { label, .. } => label.clone(),
        Cell::Value(value) => match value.half_width() {
            Some(half) => format!("{:.3}±{half:.3} of {}", value.mean, value.n),
            None => value.mean.to_string(),
        },
    };
    sheet.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

fn check(table: &str, headings: &[&str], rows: &[&str]) {
    let text = with_table(&experiment(AXES, NODES), table);
    let bench = Bench::new();
    bench.events(&text);
    let made = bench.table(&text, Layout::Grid).unwrap();
    assert_eq!(
        (made.sheets[0].headings.as_slice(), made.missing()),
        (&*headings.iter().map(ToString::to_string).collect::<Vec<_>>(), 0)
    );
    assert_eq!(cells(&made.sheets[0]), rows, "{table}");
}

#[test]
fn draws_are_averaged_within_a_seed_before_the_interval() {
    // The means over draws are 2.5, 3.5 and 5.5: mean 3.8333, s = 1.5275. With t(0.975, 2) = 4.30265 (R 4.5: qt(0.975,
    // 2)), the half width is 4.30265 · 1.5275 / √3 = 3.7946. Treating the six values as independent would give ± 2.16.
    check(
        r#"Table(columns: ["all.value - 100.0 * 1.0"], rows: ["m"], replicate: "seed", average: ["draw"])"#,
        &["m", "all.value - 100.0 * 1.0", "all.value - 100.0 * 1.0: standard deviation over draw"],
        &["100 3.833±3.795 of 3 2.1213203435596424", "200 103.833±3.795 of 3 2.1213203435596424"],
    );
}

#[test]
fn tables_sort_filter_and_span_what_they_name() {
    check(
        r#"Table(columns: {"v": "ab.value"}, sort: ["-m", "seed"], where: "seed > 1")"#,
        &["m", "seed", "v"],
        &["200 2 202", "200 4 204", "100 2 102", "100 4 104"],
    );
    check(
        r#"Table(columns: {"v": "ab.value"}, sort: "-v", where: "m == 100")"#,
        &["m", "seed", "v"],
        &["100 4 104", "100 2 102", "100 1 101"],
    );
    check(
        r#"Table(columns: {"v": "ab.value + double(m)"}, rows: ["seed", "m"], where: "seed == 1")"#,
        &["seed", "m", "v"],
        &["1 100 201", "1 200 401"],
    );
}

#[test]
fn a_pivot_has_a_grid_for_each_and_shows_what_is_not_there() {
    let text = experiment(AXES, NODES).replace("nodes:", r#"only: ["m + seed != 101"], nodes:"#);
    let text =
        with_table(&text, r#"Pivot(value: "all.value", rows: ["m"], columns: ["seed"], each: ["draw"])"#);
    let bench = Bench::new();
    let nothing = bench.table(&text, Layout::Grid).unwrap();
    assert_eq!(
        (cells(&nothing.sheets[1]), nothing.missing()),
        (vec!["100 . - -".to_owned(), "200 - - -".to_owned()], 10)
    );
    bench.events(&text);
    let made = bench.table(&text, Layout::Grid).unwrap();
    let titles: Vec<&str> = made.sheets.iter().map(|sheet| sheet.title.as_str()).collect();
    assert_eq!(titles, ["draw=0", "draw=3"]);
    assert_eq!(made.sheets[1].headings, ["m", "seed=1", "seed=2", "seed=4"]);
    assert_eq!(cells(&made.sheets[1]), ["100 . 105 107", "200 204 205 207"]);
    let flat = bench.table(&text, Layout::Flat).unwrap();
    assert_eq!(flat.sheets[0].headings, ["draw", "m", "seed", "all.value"]);
    assert_eq!(flat.sheets[0].rows.len(), 10);
}

#[test]
fn a_failed_task_is_missing_in_a_table_and_null_in_the_long_one() {
    let text = experiment(r#""x": [1, 2]"#, r#""n": Number(value: Axis("x")), "f": Fail(of: "n", when: 2)"#);
    let text = with_table(&text, r#"Table(columns: ["f.value", "n.value"])"#);
    let bench = Bench::new();
    bench.events(&text);
    assert_eq!(cells(&bench.table(&text, Layout::Grid).unwrap().sheets[0]), ["1 1 1", "2 ! 2"]);
    assert_eq!(
        bench.long(&text),
        json!([{"x": 1, "n.value": 1.0, "f.value": 1.0}, {"x": 2, "n.value": 2.0, "f.value": null}])
    );
}

#[test]
fn a_field_that_comes_from_another_axis_has_no_column_of_its_own() {
    let axes = r#""x": [3, 4], "set": {"half": (by: 0.5, of: Axis("x"))}"#;
    let text = experiment(axes, r#""n": Number(value: Axis("set.of"))"#);
    let bench = Bench::new();
    bench.events(&text);
    let long = bench.long(&text);
    let names: Vec<&String> = long[1].as_object().unwrap().keys().collect();
    assert_eq!(names, ["x", "set", "set.by", "n.value"], "{long}");
    assert_eq!((&long[1]["x"], &long[1]["n.value"]), (&json!(4), &json!(4.0)));
}

#[test]
fn the_long_table_has_a_row_per_point_of_every_maximal_set_of_axes() {
    let axes = r#""x": [1, 2], "y": [(v: 5, w: Half), (v: 6, w: (q: 1))], "z": {"label": 0.5}"#;
    let nodes = r#"
        "one": Number(value: 9), "n": Number(value: Axis("x")), "s": Scale(of: "n", by: Axis("y.v")),
        "t": Scale(of: "n", by: Axis("z")),
    "#;
    let text = experiment(axes, nodes).replace("nodes:", r#"only: ["!(x == 2 && y.v == 6)"], nodes:"#);
    let bench = Bench::new();
    bench.events(&text);
    let row = |x: i64, y: i64, s: f64| {
        let (whole, w) = if y == 5 { ("(v:5,w:Half)", "Half") } else { ("(v:6,w:(q:1))", "(q:1)") };
        json!({
            "x": x, "y": whole, "y.v": y, "y.w": w, "z": null, "one.value": 9.0, "n.value": x as f64, "s.value": s,
        })
    };
    let half = |x: i64| {
        json!({
            "x": x, "y": null, "y.v": null, "y.w": null, "z": 0.5, "one.value": 9.0, "n.value": x as f64,
            "t.value": 0.5 * x as f64,
        })
    };
    assert_eq!(bench.long(&text), json!([row(1, 5, 5.0), row(1, 6, 6.0), row(2, 5, 10.0), half(1), half(2)]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Compares the front with a check of every pair of points.
    #[test]
    fn the_pareto_front_is_what_no_other_point_beats(points in prop::collection::btree_set((0_u8..6, 0_u8..6), 1..12)) {
        let points: Vec<(u8, u8)> = points.into_iter().collect();
        let values: Vec<String> = points.iter().map(|(cost, gain)| format!("(cost: {cost}, gain: {gain})")).collect();
        let nodes = r#""c": Number(value: Axis("p.cost")), "g": Number(value: Axis("p.gain"))"#;
        let text = experiment(&format!("\"p\": [{}]", values.join(", ")), nodes);
        let text = with_table(&text, r#"Pareto(minimize: "c.value", maximize: "g.value")"#);
        let bench = Bench::new();
        bench.events(&text);
        let mut expected: Vec<String> = points
            .iter()
            .filter(|(c, g)| !points.iter().any(|(d, h)| d <= c && h >= g && (d, h) != (c, g)))
            .map(|(c, g)| format!("(cost:{c},gain:{g}) {c} {g}"))
            .collect();
        let mut found = cells(&bench.table(&text, Layout::Grid).unwrap().sheets[0]);
        let costs: Vec<String> = found.iter().map(|row| row.split(' ').nth(1).unwrap().to_owned()).collect();
        prop_assert!(costs.is_sorted(), "{:?}", found);
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_value_that_is_no_number_hides_nothing() {
    let nodes = r#""c": Number(value: Axis("x")), "g": Number(value: Axis("x"))"#;
    let text = experiment(r#""x": [0, 1, 2]"#, nodes);
    let text = with_table(&text, r#"Pareto(minimize: "c.value", maximize: "g.value * g.value / g.value")"#);
    let bench = Bench::new();
    bench.events(&text);
    assert_eq!(cells(&bench.table(&text, Layout::Grid).unwrap().sheets[0]), ["1 1 1", "2 2 2"]);
}
