//! Questions with groups, steps of a limit, lower limits and the best as their goal.

use fewbits_engine::table::answer::Answer;
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::sheet::Cell;

use crate::bench::{Bench, experiment};
use crate::decisions::made;

/// Formats with their sizes and their values by network: the value is `base` of the network plus `gain` of the format plus
/// the seed.
const AXES: &str = r#"
    "net": [(name: 1, base: 10), (name: 2, base: 20)],
    "f": [(size: 1, gain: 1), (size: 2, gain: 4), (size: 3, gain: 9), (size: 4, gain: 8)],
    "seed": [0, 1, 2]
"#;

const NODES: &str = r#"
    "base": Number(value: Axis("net.base")), "gain": Number(value: Axis("f.gain")), "size": Number(value: Axis("f.size")),
    "noise": Number(value: Axis("seed")), "sum": Add(left: "base", right: "gain"), "small": Add(left: "sum", right: "noise"),
"#;

/// Returns the size of the chosen point of each answer.
fn chosen(answers: &[Answer]) -> Vec<Option<f64>> {
    answers.iter().map(|answer| Some(answer.candidates[answer.chosen?].size.mean)).collect()
}

#[test]
fn the_best_within_each_limit_is_chosen_for_each_group() {
    let table = r#"Choose(maximize: "small.value", at_most: {"size.value": [0, 2, 4]}, each: ["net"], replicate: "seed")"#;
    let made = made(AXES, NODES, table);
    let each = [None, Some(2.0), Some(3.0)];
    assert_eq!(chosen(&made.answers), [each, each].concat());
    let groups: Vec<_> = made.answers.iter().map(|answer| (answer.group.clone(), answer.step)).collect();
    let expected = |net: usize| [0.0, 2.0, 4.0].map(|step| (vec![net], Some(step)));
    assert_eq!(groups, [expected(0), expected(1)].concat());
    // The best one has no next smaller point; the runner-up of the last limit is the larger, worse one.
    let last = &made.answers[5];
    assert_eq!((last.smaller, last.runner_up.map(|at| last.candidates[at].size.mean)), (None, Some(4.0)));
    // A row for each answer: the closest where nothing fits.
    let sheet = &made.sheets[0];
    assert_eq!(sheet.headings[..4], ["part", "size.value at most", "net", "f"]);
    let label =
        |cell: &Cell| if let Cell::Level { label, .. } = cell { label.clone() } else { panic!("{cell:?}") };
    let labels: Vec<Vec<String>> =
        sheet.rows.iter().map(|row| row[..2].iter().map(label).collect()).collect();
    let expected = [["closest", "0"], ["chosen", "2"], ["chosen", "4"]];
    assert_eq!(labels, [expected, expected].concat());
    assert!(made.caption.contains("the largest small.value; size.value at most 0, 2, 4"), "{}", made.caption);
    assert!(made.caption.contains("an answer for each net"), "{}", made.caption);
}

/// In scipy 1.17.1 the one-sided 95 % bound below the mean of 0, 1 and 2 is 1 − t.ppf(0.95, 2) / sqrt(3) = −0.6858. So the
/// lower bounds are 10.3142, 13.3142, 18.3142 and 17.3142; the means are 12, 15, 20 and 19.
#[test]
fn a_lower_limit_is_kept_by_the_bound() {
    let smallest = |least: f64| {
        let table = format!(
            "Choose(minimize: \"size.value\", at_least: {{\"small.value\": {least}}}, where: \"net.name == 1\", replicate: \"seed\")"
        );
        chosen(&made(AXES, NODES, &table).answers)[0]
    };
    assert_eq!(smallest(10.31), Some(1.0));
    assert_eq!(smallest(10.32), Some(2.0));
    assert_eq!(smallest(13.32), Some(3.0));
    assert_eq!(smallest(18.32), None);
}

#[test]
fn each_group_has_a_front_of_its_own() {
    let made = made(
        AXES,
        NODES,
        r#"Pareto(minimize: "size.value", maximize: "small.value", each: ["net"], replicate: "seed")"#,
    );
    let titles: Vec<&str> = made.sheets.iter().map(|sheet| sheet.title.as_str()).collect();
    assert_eq!(titles, ["net=(name:1,base:10)", "net=(name:2,base:20)"]);
    assert!(
        made.sheets.iter().all(|sheet| sheet.rows.len() == 3 && sheet.headings[0] == "f"),
        "{:?}",
        made.sheets
    );
    assert!(made.caption.contains("a front for each net"), "{}", made.caption);
}

#[test]
fn a_value_that_does_not_depend_on_the_seeds_is_told() {
    let made = made(AXES, NODES, r#"Table(columns: ["small.value", "sum.value"], replicate: "seed")"#);
    assert!(made.caption.ends_with("; sum.value does not depend on seed"), "{}", made.caption);
}

/// Expected values from statsmodels 0.15.0: `proportion_confint(6, 8, method="wilson")`.
#[test]
fn without_replicates_the_interval_is_over_images() {
    let (axes, nodes) = (r#""net": ["00111111", "10111000"]"#, r#""judge": Judge(answers: Axis("net"))"#);
    let made = made(axes, nodes, r#"Table(columns: ["judge.accuracy"])"#);
    let Cell::Value(value) = &made.sheets[0].rows[0][1] else { panic!("{:?}", made.sheets) };
    let (low, high) = value.interval.unwrap();
    assert!((low - 0.409_275).abs() < 1e-6 && (high - 0.928_521).abs() < 1e-6, "{low} {high}");
    assert!(made.caption.contains("95 % interval over images"), "{}", made.caption);
}

/// The best point has one seed less than the others.
#[test]
fn the_best_of_fewer_seeds_is_not_chosen() {
    let table = r#"Choose(maximize: "small.value", at_most: {"size.value": 4}, each: ["net"], replicate: "seed", where: "f.size != 3 || seed > 0")"#;
    assert_eq!(chosen(&made(AXES, NODES, table).answers), [Some(4.0), Some(4.0)]);
}

/// A size cannot vary over seeds, so it has no bound and needs none.
#[test]
fn a_size_keeps_its_lower_limit() {
    let table = r#"Choose(maximize: "small.value", at_most: {"size.value": 4}, at_least: {"size.value": 4}, each: ["net"], replicate: "seed")"#;
    assert_eq!(chosen(&made(AXES, NODES, table).answers), [Some(4.0), Some(4.0)]);
}

/// The point beyond the budget has three seeds, those within it two.
#[test]
fn points_beyond_a_budget_do_not_set_the_number_of_seeds() {
    let table = r#"Choose(minimize: "size.value", at_most: {"size.value": 3}, at_least: {"small.value": 1.0}, each: ["net"], replicate: "seed", where: "f.size == 4 || seed > 0")"#;
    assert_eq!(chosen(&made(AXES, NODES, table).answers), [Some(1.0), Some(1.0)]);
}

/// 3 of 8 and 6 of 8 images right: statsmodels 0.15.0 has the standard error of the mean sqrt(p (1 - p) / 7) = 0.1637 for 6 of
/// 8; the one-sided bound 0.75 - t.ppf(0.95, 7) * 0.1637 = 0.4399.
#[test]
fn without_replicates_a_lower_limit_is_kept_by_the_bound_over_images() {
    let (axes, nodes) = (
        r#""net": ["00111111"], "size": [1, 2]"#,
        r#""judge": Judge(answers: Axis("net")), "s": Number(value: Axis("size"))"#,
    );
    let smallest = |least: f64| {
        let table = format!("Choose(minimize: \"s.value\", at_least: {{\"judge.accuracy\": {least}}})");
        let made = made(axes, nodes, &table);
        assert!(made.caption.contains("with 95 % confidence; optimistic"), "{}", made.caption);
        chosen(&made.answers)[0]
    };
    assert_eq!((smallest(0.43), smallest(0.45)), (Some(1.0), None));
}

#[test]
fn a_group_without_results_has_an_answer_that_says_so() {
    let text = experiment(AXES, NODES);
    let table =
        r#"Choose(maximize: "small.value", at_most: {"size.value": 4}, each: ["net"], replicate: "seed")"#;
    let text = format!("{}, tables: {{\"t\": {table}}})", text.strip_suffix(')').unwrap());
    let bench = Bench::new();
    let before = bench.table(&text, Layout::Grid).unwrap();
    let told =
        |answers: &[Answer]| answers.iter().map(|of| (of.candidates.len(), of.missing)).collect::<Vec<_>>();
    assert_eq!(told(&before.answers), [(0, 12), (0, 12)]);
    // A run with one network leaves the results of the other missing.
    bench.events(&text.replace("[(name: 1, base: 10), (name: 2, base: 20)]", "[(name: 2, base: 20)]"));
    let after = bench.table(&text, Layout::Grid).unwrap();
    assert_eq!(told(&after.answers), [(0, 12), (4, 0)]);
    let nothing = made(AXES, NODES, &table.replace(", each", ", where: \"net.name > 2\", each"));
    assert_eq!(told(&nothing.answers), [(0, 0)]);
}
