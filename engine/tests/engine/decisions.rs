//! Contrasts, choices and intervals, compared with scipy's values for the same numbers.

use fewbits_engine::statistics::estimate::Estimate;
use fewbits_engine::table::answer::Answer;
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::sheet::Cell;
use fewbits_engine::table::table_sheets::TableSheets;

use crate::bench::{Bench, experiment};

/// Runs an experiment and makes a table of its results.
pub fn made(axes: &str, nodes: &str, table: &str) -> TableSheets {
    let text = experiment(axes, nodes);
    let text = format!("{}, tables: {{\"t\": {table}}})", text.strip_suffix(')').unwrap());
    let bench = Bench::new();
    bench.events(&text);
    bench.table(&text, Layout::Grid).unwrap()
}

fn values(made: &TableSheets, row: usize) -> Vec<Estimate> {
    let value = |cell: &Cell| if let Cell::Value(value) = cell { Some(*value) } else { None };
    made.sheets[0].rows[row].iter().filter_map(value).collect()
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
}

/// `all` is (a + seed) · b.
const SUMS: &str = r#"
    "x": Number(value: Axis("a")), "s": Number(value: Axis("seed")), "sum": Add(left: "x", right: "s"),
    "all": Scale(of: "sum", by: Axis("b")),
"#;

/// The values are (a + seed) · b, with a of 0 and 2, b of 1 and 3, and seeds 1, 2 and 4. The effect of b is 4, 6 and 10
/// for the seeds; in scipy 1.17.1, `ttest_1samp([4, 6, 10], 0)` has p = 0.0634 and the interval 6.667 ± 7.589. The
/// other effects are 4 for every seed.
#[test]
fn a_contrast_takes_effects_within_a_seed_first() {
    let axes = r#""a": [0, 2], "b": [1, 3], "seed": [1, 2, 4]"#;
    let made = made(axes, SUMS, r#"Contrast(value: "all.value", between: ["a", "b"], replicate: "seed")"#);
    assert_eq!(made.sheets[0].headings, ["a: 2 − 0", "b: 3 − 1", "a × b: (2 − 0) × (3 − 1)"]);
    let [a, b, both] = values(&made, 0)[..] else { panic!("{made:?}") };
    // An effect that is equal in every seed has a standard error of zero, so it is not tested.
    assert_eq!((a.mean, a.adjusted, both.mean, both.adjusted), (4.0, None, 4.0, None));
    close(b.mean, 20.0 / 3.0);
    close(b.half_width().unwrap(), 7.589_166);
    close(b.adjusted.unwrap(), 0.063_414);
    assert!(made.caption.contains("two-sided t test, Holm-adjusted over the table, 5 %"), "{}", made.caption);
}

/// Each row has the contrasts at one combination of the other axes.
#[test]
fn a_contrast_has_a_row_for_every_other_axis() {
    let axes = r#""a": [0, 2, 5], "b": [1, 3], "seed": [1, 2]"#;
    let made = made(axes, SUMS, r#"Contrast(value: "all.value", between: ["a"], replicate: "seed")"#);
    assert_eq!(made.sheets[0].headings, ["b", "a: 2 − 0", "a: 5 − 0"]);
    let means = |row| values(&made, row).iter().map(|value| value.mean).collect::<Vec<_>>();
    assert_eq!((means(0), means(1)), (vec![2.0, 5.0], vec![6.0, 15.0]));
}

/// Levels that the filter leaves out are not compared, and do not count in the means over the other axis.
#[test]
fn a_contrast_compares_the_levels_that_its_filter_leaves() {
    let axes = r#""a": [0, 2, 5], "b": [1, 3, 7], "seed": [1, 2]"#;
    let table =
        r#"Contrast(value: "all.value", between: ["a", "b"], where: "a != 0 && b != 3", replicate: "seed")"#;
    let made = made(axes, SUMS, table);
    assert_eq!(made.sheets[0].headings, ["a: 5 − 2", "b: 7 − 1", "a × b: (5 − 2) × (7 − 1)"]);
    let means: Vec<f64> = values(&made, 0).iter().map(|value| value.mean).collect();
    // The effects are 3 · (1 + 7)/2, 6 · ((2 + 5)/2 + 1.5) and 3 · 6.
    assert_eq!(means, [12.0, 30.0, 18.0]);
}

const CHOOSE_AXES: &str = r#"
    "f": [(size: 4, drop: 0.1), (size: 3, drop: 0.5), (size: 3, drop: 0.8), (size: 2, drop: 3)],
    "seed": [(v: 90, k: 0.5), (v: 91, k: 1.0), (v: 93, k: 1.5)]
"#;

/// `small` is the value of the seed minus drop · k.
const CHOOSE_NODES: &str = r#"
    "full": Number(value: Axis("seed.v")), "q": Number(value: Axis("f.drop")), "size": Number(value: Axis("f.size")),
    "noisy": Scale(of: "q", by: Axis("seed.k")), "lost": Scale(of: "noisy", by: -1),
    "small": Add(left: "full", right: "lost"),
"#;

fn choice(more: &str) -> (Answer, TableSheets) {
    let table = format!(
        "Choose(minimize: \"size.value\", select: (value: \"small.value\", baseline: \"full.value\"), replicate: \"seed\", {more})"
    );
    let made = made(CHOOSE_AXES, CHOOSE_NODES, &table);
    (made.answers[0].clone(), made)
}

/// The drops are 0.5 · (0.5, 1, 1.5); in scipy 1.17.1, `mean + t.ppf(0.95, 2) * sem` = 0.921464.
#[test]
fn the_smallest_that_surely_loses_little_is_chosen() {
    let (choice, made) = choice("max_drop: 1.0");
    let chosen = &choice.candidates[choice.chosen.unwrap()];
    assert_eq!((chosen.levels[0], chosen.size.mean), (1, 3.0));
    close(chosen.select_drop.unwrap().mean, 0.5);
    close(chosen.select_drop.unwrap().upper_bound().unwrap(), 0.921_464);
    // The other point of this size loses too much. The runner-up is the larger point.
    assert_eq!(choice.candidates[choice.runner_up.unwrap()].levels[0], 0);
    assert_eq!(choice.candidates[choice.smaller.unwrap()].levels[0], 3);
    assert_eq!(choice.closest, None);
    let parts: Vec<&Cell> = made.sheets[0].rows.iter().map(|row| &row[0]).collect();
    assert!(matches!(parts[..], [Cell::Level { .. }, Cell::Level { .. }, Cell::Level { .. }]), "{parts:?}");
    assert!(made.caption.contains("optimistic"), "{}", made.caption);
}

#[test]
fn a_stricter_margin_costs_size_and_one_too_strict_leaves_nothing() {
    let (larger, _) = choice("max_drop: 0.9");
    assert_eq!(larger.candidates[larger.chosen.unwrap()].levels[0], 0);
    let (nothing, _) = choice("max_drop: 0.1");
    assert_eq!((nothing.chosen, nothing.candidates[nothing.closest.unwrap()].levels[0]), (None, 0));
    let (limited, _) = choice("max_drop: 1.0, at_most: {\"size.value\": 2}");
    assert_eq!((limited.chosen, limited.candidates[limited.closest.unwrap()].levels[0]), (None, 3));
    // The point of size 2 is smaller but violates the limit, so it is not offered as the smaller alternative.
    let (coarse, _) = choice("max_drop: 0.9, at_most: {\"4.0 / size.value\": 1.5}");
    assert_eq!((coarse.chosen, coarse.smaller), (larger.chosen, Some(1)));
    let (fine, _) = choice("max_drop: 0.9, at_most: {\"4.0 / size.value\": 1.0}");
    assert_eq!((fine.chosen, fine.smaller), (larger.chosen, None));
}

#[test]
fn without_a_margin_the_smallest_that_may_be_the_best_is_chosen() {
    // The drops are k times 0.1, 0.5, 0.8 and 3. Each other point is worse than the first, but none significantly: t is
    // 3.46 with 2 degrees of freedom, and the level is 5 % divided by three tests.
    let (choice, _) = choice("");
    assert_eq!(choice.candidates[choice.chosen.unwrap()].levels[0], 3);
}

#[test]
fn a_choice_reported_on_what_chose_nothing_is_not_optimistic() {
    // `tested` has the same numbers from another node, as an evaluation on test images would be another node.
    let nodes = format!("{CHOOSE_NODES} \"tested\": Add(left: \"full\", right: \"lost\"),");
    let of = |report: &str| {
        let select = r#"(value: "small.value", baseline: "full.value")"#;
        let table = format!(
            "Choose(minimize: \"size.value\", select: {select}, report: {report}, max_drop: 1, replicate: \"seed\")"
        );
        made(CHOOSE_AXES, &nodes, &table)
    };
    let told = of(r#"(value: "tested.value", baseline: "full.value")"#);
    assert!(
        !told.caption.contains("optimistic") && told.caption.contains("reported on tested.value"),
        "{}",
        told.caption
    );
    assert_eq!(told.sheets[0].headings.len(), 1 + 1 + 5, "{:?}", told.sheets[0].headings);
    // The reported value is in another unit, but comes from the node that the choice used.
    assert!(of(r#""100.0 * small.value""#).caption.contains("optimistic"));
}

/// Sixty points whose sizes are 0.3 % apart and whose values grow with the size. Sizes close to the smallest count as
/// equal, and the best point among those is chosen, in any order of the points.
#[test]
fn sizes_that_are_nearly_the_same_are_one() {
    let levels: Vec<String> = (0..60)
        .map(|at| at * 37 % 60)
        .map(|rank| {
            format!("(size: {}, drop: {})", 1000.0 + 3.0 * f64::from(rank), 0.6 - 0.01 * f64::from(rank))
        })
        .collect();
    let axes = format!(
        r#""f": [{}], "seed": [(v: 90, k: 0.5), (v: 91, k: 1.0), (v: 93, k: 1.5)]"#,
        levels.join(", ")
    );
    let table = r#"Choose(minimize: "size.value", select: (value: "small.value", baseline: "full.value"), replicate: "seed", max_drop: 2.0)"#;
    let choice = made(&axes, CHOOSE_NODES, table).answers.remove(0);
    assert_eq!(choice.candidates[choice.chosen.unwrap()].size.mean, 1009.0);
    assert_eq!(choice.candidates[choice.smaller.unwrap_or(choice.chosen.unwrap())].size.mean, 1009.0);
}

#[test]
fn what_is_no_number_is_never_chosen_nor_tested() {
    let (limited, _) = choice("max_drop: 1.0, at_most: {\"size.value * 0.0 / (size.value * 0.0)\": 1}");
    assert_eq!(limited.chosen, None);
    let axes = r#""a": [0, 2], "seed": [1, 2, 4]"#;
    let nodes = r#"
        "x": Number(value: Axis("a")), "s": Number(value: Axis("seed")), "all": Add(left: "x", right: "s"),
    "#;
    let table = r#"Contrast(value: "1.0 / (all.value - all.value)", between: ["a"], replicate: "seed")"#;
    let value = values(&made(axes, nodes, table), 0)[0];
    assert_eq!((value.adjusted, value.mean.is_nan()), (None, true));
}

/// A point with one seed less is not comparable with the others: its mean may be better by chance.
#[test]
fn a_point_replicated_less_often_is_not_chosen() {
    let text = experiment(CHOOSE_AXES, CHOOSE_NODES)
        .replace("nodes:", r#"only: ["f.size > 2.0 || seed.v > 90"], nodes:"#);
    let table = r#"Choose(minimize: "size.value", select: (value: "small.value", baseline: "full.value"), replicate: "seed", max_drop: 50)"#;
    let text = format!("{}, tables: {{\"t\": {table}}})", text.strip_suffix(')').unwrap());
    let bench = Bench::new();
    bench.events(&text);
    let choice = bench.table(&text, Layout::Grid).unwrap().answers.remove(0);
    assert_eq!(choice.candidates[choice.chosen.unwrap()].size.mean, 3.0);
}

const JUDGE: &str = r#""seed": ["00111111", "10111000", "11111101"]"#;

/// The expected values of `crossed.rs`, from statsmodels and scipy, here computed from records and tables.
#[test]
fn intervals_are_over_what_the_table_says() {
    let nodes = r#""judge": Judge(answers: Axis("seed"))"#;
    let of = |interval: &str| {
        let table = format!(
            "Table(columns: [\"100.0 * judge.accuracy\"], rows: [], replicate: \"seed\", interval: {interval})"
        );
        let made = made(JUDGE, nodes, &table);
        (values(&made, 0)[0], made.caption)
    };
    let (both, caption) = of("Both");
    close(both.mean, 70.833_333);
    close(both.half_width().unwrap(), 41.516_288);
    assert!(caption.contains("over seed and images at once"), "{caption}");
    // In scipy 1.17.1: t.ppf(0.975, 2) * sem([75, 50, 87.5]), and t.ppf(0.975, 7) * sem(means of the images).
    close(of("Seeds").0.half_width().unwrap(), 47.432_288);
    close(of("Images").0.half_width().unwrap(), 23.255_955);
}

/// Expected values from statsmodels 0.15.0: `proportion_confint(6, 8, method="wilson")`.
#[test]
fn one_networks_accuracy_has_wilsons_interval() {
    let nodes = r#""judge": Judge(answers: Axis("seed"))"#;
    let made = made(JUDGE, nodes, r#"Table(columns: ["judge.accuracy"], interval: Images)"#);
    let (low, high) = values(&made, 0)[0].interval.unwrap();
    close(low, 0.409_275);
    close(high, 0.928_521);
}

#[test]
fn networks_that_know_nothing_show_their_range() {
    let axes = r#""seed": ["0000000001", "0000000000"]"#;
    let nodes = r#""judge": Judge(answers: Axis("seed"))"#;
    let made = made(axes, nodes, r#"Table(columns: ["judge.accuracy"], rows: [], replicate: "seed")"#);
    assert!(values(&made, 0)[0].near_chance);
}

#[test]
fn what_is_below_a_margin_beyond_doubt_is_marked() {
    let axes = r#""m": [0, 5], "seed": [1, 2, 4]"#;
    let nodes = r#"
        "a": Number(value: Axis("m")), "b": Number(value: Axis("seed")), "all": Add(left: "a", right: "b"),
    "#;
    let table = r#"Pivot(value: "all.value", rows: ["m"], replicate: "seed", margin: 6)"#;
    let made = made(axes, nodes, table);
    // In scipy 1.17.1, `ttest_1samp([1, 2, 4], 6, alternative="less").pvalue` = 0.026635, times two tests. The other
    // p-value is 0.865148.
    close(values(&made, 0)[0].adjusted.unwrap(), 0.053_271);
    close(values(&made, 1)[0].adjusted.unwrap(), 0.865_148);
}

/// The first two levels make the same values from the same records, so there are two hypotheses, not three.
#[test]
fn points_of_equal_results_are_one_test() {
    let axes = r#""m": [(v: 0, n: 1), (v: 0, n: 2), (v: 5, n: 3)], "seed": [1, 2, 4]"#;
    let nodes = r#"
        "a": Number(value: Axis("m.v")), "b": Number(value: Axis("seed")), "all": Add(left: "a", right: "b"),
    "#;
    let table =
        |value: &str| format!("Pivot(value: \"{value}\", rows: [\"m\"], replicate: \"seed\", margin: 6)");
    let made = |value: &str| made(axes, nodes, &table(value));
    let adjusted = |value: &str, row: usize| values(&made(value), row)[0].adjusted.unwrap();
    close(adjusted("all.value", 0), 0.053_271);
    close(adjusted("all.value", 1), 0.053_271);
    // A value that depends on the axis itself is another hypothesis at each level: three tests.
    close(adjusted("all.value + 0.0 * double(m.n)", 0), 0.079_906);
}

#[test]
fn the_spread_of_draws_is_told_apart() {
    let axes = r#""seed": [1, 2], "draw": [0, 2]"#;
    let nodes = r#"
        "a": Number(value: Axis("seed")), "b": Number(value: Axis("draw")), "all": Add(left: "a", right: "b"),
    "#;
    let table = r#"Table(columns: ["all.value"], rows: [], replicate: "seed", average: ["draw"])"#;
    let made = made(axes, nodes, table);
    assert_eq!(made.sheets[0].headings[1], "all.value: standard deviation over draw");
    close(values(&made, 0)[1].mean, 2.0_f64.sqrt());
    assert_eq!(values(&made, 0)[0].n, 2);
}

#[test]
fn one_training_has_no_confidence() {
    let table = r#"Choose(minimize: "size.value", select: (value: "small.value", baseline: "full.value"), max_drop: 1)"#;
    let axes = CHOOSE_AXES.replace("(v: 90, k: 0.5), ", "").replace(", (v: 93, k: 1.5)", "");
    let made = made(&axes, CHOOSE_NODES, table);
    let choice = made.answers[0].clone();
    // Of the two points of size 3, the one with the smaller drop is chosen.
    assert_eq!(choice.candidates[choice.chosen.unwrap()].levels[0], 1);
    assert!(
        made.caption.contains("in this one training") && !made.caption.contains("confidence"),
        "{}",
        made.caption
    );
}

#[test]
fn an_axis_that_moves_the_value_most_comes_first() {
    // y = 10 a + b + 2 (a b): over a in {0, 1}, b in {0, 1}, c in {0, 1} the values are 0, 1, 10, 13, each twice. By hand,
    // with mean 6: var = (36 + 25 + 16 + 49) / 4 = 31.5; a: (5.5² + 5.5²) / 2 = 30.25; b: 1² = 1; a × b: 31.5 − 31.25 =
    // 0.25; c: 0.
    let made = made(
        r#""a": [0, 1], "b": [0, 1], "c": [0, 1]"#,
        r#""na": Number(value: Axis("a")), "nb": Number(value: Axis("b")), "nc": Number(value: Axis("c"))"#,
        r#"Importance(value: "10.0 * na.value + nb.value + 2.0 * na.value * nb.value + 0.0 * nc.value")"#,
    );
    let sheet = &made.sheets[0];
    let rows: Vec<(String, f64)> = sheet
        .rows
        .iter()
        .map(|row| match &row[..] {
            [Cell::Level { label, .. }, Cell::Value(value)] => (label.clone(), value.mean),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("a", 30.25), ("b", 1.0), ("c", 0.0), ("a × b", 0.25), ("the rest", 0.0)];
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for ((name, share), (axes, variance)) in rows.iter().zip(expected) {
        assert!(name == axes && (share - 100.0 * variance / 31.5).abs() < 1e-10, "{rows:?}");
    }
    assert!(made.caption.contains("share of the variance"), "{}", made.caption);
    // A value that does not vary has no shares.
    let constant = self::made(
        r#""a": [0, 1]"#,
        r#""na": Number(value: Axis("a"))"#,
        r#"Importance(value: "0.0 * na.value + 1.0")"#,
    );
    assert!(constant.sheets[0].rows.is_empty(), "{constant:?}");
}
