//! The expansion of axes, constraints and nodes to tasks, and the names of tasks.

use fewbits_engine::dense::{AxisId, DenseId, PointId};
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::graph::points::{Points, TooMany};
use proptest::prelude::*;

use crate::arithmetic::Arithmetic;
use crate::bench::{Bench, experiment};

const NODES: &str =
    r#""n": Number(value: Axis("x")), "s": Scale(of: "n", by: Axis("y")), "t": Show(of: "s")"#;

fn names(text: &str) -> Vec<String> {
    let graph = Bench::new().graph(text);
    graph.tasks().map(|task| graph.name(task)).collect()
}

#[test]
fn a_node_has_a_task_for_each_point_of_its_axes_that_no_constraint_leaves_out() {
    let check = |only: &str, expected: &[&str]| {
        let text = experiment(r#""y": [3, 4], "x": {"one": 1, "two": 2}"#, NODES);
        let text = text.replace("nodes:", &format!("only: [{only}], nodes:"));
        assert_eq!(names(&text), expected, "{only}");
    };
    let all = ["n(x=one)", "n(x=two)"];
    let scaled = ["s(y=3,x=one)", "s(y=3,x=two)", "s(y=4,x=one)", "s(y=4,x=two)"];
    let shown = ["t(y=3,x=one)", "t(y=3,x=two)", "t(y=4,x=one)", "t(y=4,x=two)"];
    check("", &[&all[..], &scaled, &shown].concat());
    check(r#""x + y < 6""#, &[&all[..], &scaled[..3], &shown[..3]].concat());
    check(r#""x == 2""#, &["n(x=two)", scaled[1], scaled[3], shown[1], shown[3]]);
    check(r#""x == 2", "y == 4""#, &["n(x=two)", scaled[3], shown[3]]);
    let text = experiment(r#""y": [3, 4], "x": {"one": 1, "two": 2}"#, NODES);
    let text = text.replace("nodes:", "only: [\"x + y > 100\"], nodes:");
    let faults = TaskGraph::parse(&text, &Arithmetic::default(), 100).err().expect("faults");
    assert_eq!(faults[0].message, "this constraint is false for every combination of `y`, `x`");
}

#[test]
fn a_value_of_an_axis_may_name_axes_above_it() {
    let axes = r#""x": [3, 4], "set": {"half": (by: 0.5, of: Axis("x")), "whole": (by: 1, of: 7)}"#;
    let graph = Bench::new().graph(&experiment(axes, r#""n": Number(value: Axis("set.of"))"#));
    let made = graph.tasks().map(|task| format!("{} {}", graph.name(task), graph.resolved_op(task).params));
    // Tasks that do not depend on `x` have the same parameters, so they share a key.
    let expected = [
        r#"n(x=3,set=half) {"value":3}"#,
        r#"n(x=3,set=whole) {"value":7}"#,
        r#"n(x=4,set=half) {"value":4}"#,
        r#"n(x=4,set=whole) {"value":7}"#,
    ];
    assert_eq!(made.collect::<Vec<_>>(), expected);
    // A node spans the axes that its field uses: `set.of` uses `x`, and `set.by` does not.
    let nodes = r#""n": Number(value: Axis("set.by")), "m": Number(value: Axis("set.of"))"#;
    assert_eq!(
        names(&experiment(axes, nodes)),
        [
            "n(set=half)",
            "n(set=whole)",
            "m(x=3,set=half)",
            "m(x=3,set=whole)",
            "m(x=4,set=half)",
            "m(x=4,set=whole)"
        ]
    );
}

#[test]
fn a_task_is_found_by_any_unambiguous_part_of_its_name() {
    let axes = r#""x": [1, 2], "y": {"half scaled": 0.5, "f(2)": 2}"#;
    let graph = Bench::new().graph(&experiment(axes, NODES));
    let find = |text: &str| graph.find(text).map(|task| graph.name(task));
    for task in graph.tasks() {
        assert_eq!(graph.find(&graph.name(task)), Ok(task), "{}", graph.name(task));
    }
    for (text, expected) in [
        ("n(x=1)", "n(x=1)"),
        ("n x=1", "there is no task `n x=1`: there is no node `n x=1`; valid here: `n`, `s`, `t`"),
        ("s(y=f(2), x=1)", "s(x=1,y=f(2))"),
        ("s( x = 1  y=f(2) )", "s(x=1,y=f(2))"),
        ("s(y=half scaled, x=1)", "s(x=1,y=half scaled)"),
        ("s(y=\"half scaled\" x=1)", "s(x=1,y=half scaled)"),
        ("s(y=third, x=1)", "axis `y` has no value `third`; it has `half scaled`, `f(2)`"),
        ("s(x)", "`x`: expected `axis=value`, as in `s(e=3)`"),
        (
            "s(x=1",
            "`s(x=1` means 2 tasks, `s(x=1,y=half scaled)` and `s(x=1,y=f(2))` among them: name `y` as well",
        ),
        ("n", "`n` means 2 tasks, `n(x=1)` and `n(x=2)` among them: name `x` as well"),
        ("s(z=1)", "node `s` has no axis `z`; did you mean `x`?"),
        ("s(x=3)", "axis `x` has no value `3`; it has `1`, `2`"),
        ("q", "there is no task `q`: there is no node `q`; did you mean `n`?"),
    ] {
        assert_eq!(find(text).unwrap_or_else(|error| error.to_string()), expected, "{text}");
    }
}

#[test]
fn too_many_tasks_are_counted_and_refused() {
    let text = experiment(r#""x": Range(1, 100), "y": Range(1, 100)"#, NODES);
    let most = |most| TaskGraph::parse(&text, &Arithmetic::default(), most).map(|graph| graph.len());
    assert_eq!(most(20_100), Ok(20_100));
    let faults = most(20_099).unwrap_err();
    assert!(faults[0].message.contains("20100 tasks"), "{faults:?}");
}

/// Products of axes that are too large to enumerate: the points that the constraints allow are found without
/// enumerating the product, or its size is reported.
#[test]
fn large_products_are_counted_or_refused_at_once() {
    let faults = |axes: &str, only: &str, nodes: &str| -> Vec<String> {
        let text = experiment(axes, nodes).replace("nodes:", &format!("only: [{only}], nodes:"));
        let started = std::time::Instant::now();
        let read = TaskGraph::parse(&text, &Arithmetic::default(), 1000);
        // The work takes half a second in optimized code, and the tests are not optimized.
        assert!(started.elapsed().as_secs() < 60, "{only}: {:?}", started.elapsed());
        read.err().into_iter().flatten().map(|fault| fault.message).collect()
    };
    let axes = r#""a": Range(1, 100000), "b": Range(1, 100000), "c": Range(1, 100000)"#;
    let sum = r#""n": Number(value: Axis("a")), "m": Add(left: "n", right: "o"), "o": Number(value: Axis("b")),
        "p": Add(left: "m", right: "q"), "q": Number(value: Axis("c"))"#;
    assert_eq!(faults(axes, r#""b < 0""#, sum), ["this constraint is false for every value of `b`"]);
    let many = "this experiment has 1000010000300000 tasks, more than the 1000 allowed";
    assert_eq!(faults(axes, "", sum), [many]);
    assert_eq!(faults(axes, r#""a < 4", "b < 4", "c < 4""#, sum), [""; 0]);
    let apart = r#""a > 5", "a < 3""#;
    let leaves = "`only` leaves no combination of `a` for node `n`";
    assert_eq!(faults(axes, apart, sum)[0], leaves);
    // A node with too many points does not hide the fault of a later node without points.
    let before = r#""o": Number(value: Axis("b")), "n": Number(value: Axis("a"))"#;
    let too_many = "this experiment has 100000 tasks, more than the 1000 allowed";
    let two = r#""a": Range(1, 100000), "b": Range(1, 100000)"#;
    let mut both = faults(two, apart, before);
    both.sort_unstable();
    assert_eq!(both, [leaves, too_many]);
    // Constraints on single axes make this product small, although its number of combinations exceeds 64 bits.
    let four =
        r#""a": Range(1, 100000), "b": Range(1, 100000), "c": Range(1, 100000), "d": Range(1, 100000)"#;
    let sum_of_four = format!(r#"{sum}, "r": Add(left: "p", right: "s"), "s": Number(value: Axis("d"))"#);
    let small = r#""a < 3", "b < 3", "c > 99998", "d == 7""#;
    assert_eq!(faults(four, small, &sum_of_four), [""; 0]);
    let table = sum_of_four.clone()
        + r#"}, tables: {"t": Table(rows: ["a", "b", "c", "d"], columns: {"v": "p.value + s.value"})"#;
    assert_eq!(faults(four, small, &table), [""; 0]);
    // Each constraint is over two axes. Together they leave few points, in any order of the constraints.
    let axes = r#""a": Range(1, 200), "b": Range(1, 200), "c": Range(1, 200)"#;
    let few = r#""a == c", "b == c", "a > 10""#;
    let tasks = faults(axes, few, sum);
    assert_eq!(tasks, ["this experiment has 38780 tasks, more than the 1000 allowed"]);
    // The levels of an unconstrained axis are not enumerated.
    let loose = faults(axes, r#""a + b > 390""#, sum);
    // 55 pairs of `a` and `b` give 55 tasks, and 11,000 tasks together with `c`. The nodes with one axis add 3 · 200.
    assert_eq!(loose, ["this experiment has 11655 tasks, more than the 1000 allowed"]);
    let axes = r#""a": Range(1, 120), "b": Range(1, 120), "c": Range(1, 120), "d": Range(1, 120)"#;
    let sum = format!(r#"{sum}, "r": Add(left: "p", right: "s"), "s": Number(value: Axis("d"))"#);
    let all = r#""a + b >= 0", "b + c >= 0", "c + d >= 0""#;
    let told = faults(axes, all, &sum);
    assert!(told[0].starts_with("the axes of node `r` have 207360000 combinations"), "{told:?}");
}

/// Returns the indices of the axes whose bits are set.
fn axes_of(bits: u8) -> Vec<usize> {
    (0..4).filter(|axis| bits >> axis & 1 == 1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Compares the enumeration with the filtered product of all levels.
    #[test]
    fn points_are_those_of_the_product_that_every_constraint_allows(
        sizes in prop::array::uniform4(1_usize..4),
        limits in prop::collection::vec((1_u8..16, 0_i64..7), 0..4),
        asked in 0_u8..16,
        within in 0_u8..16,
    ) {
        let axes: Vec<String> = (0..4).map(|at| format!("\"a{at}\": Range(0, {})", sizes[at] - 1)).collect();
        let sum = |bits: u8| axes_of(bits).iter().map(|at| format!("a{at}")).collect::<Vec<_>>().join(" + ");
        let only: Vec<String> = limits.iter().map(|(bits, most)| format!("\"{} <= {most}\"", sum(*bits))).collect();
        let nodes: Vec<String> = (0..4).map(|at| format!("\"n{at}\": Number(value: Axis(\"a{at}\"))")).collect();
        let text = experiment(&axes.join(", "), &nodes.join(", "))
            .replace("nodes:", &format!("only: [{}], nodes:", only.join(", ")));
        let graph = Bench::new().graph(&text);
        let spec = &graph.experiment;
        let ids = |bits| axes_of(bits).into_iter().map(AxisId::from_index).collect::<Vec<_>>();
        let enumerate = |bits: u8, most| Points::enumerate(&ids(bits), &spec.axes, &spec.only, most);
        let levels = |points: &Points, point: PointId| -> Vec<Option<usize>> {
            (0..4).map(|axis| points.level(point, AxisId::from_index(axis))).collect()
        };

        let mut expected = vec![vec![]];
        for (axis, &size) in sizes.iter().enumerate() {
            let choices = if asked >> axis & 1 == 1 { (0..size).map(Some).collect() } else { vec![None] };
            expected = expected
                .into_iter()
                .flat_map(|start: Vec<Option<usize>>| choices.iter().map(move |c| [&start[..], &[*c]].concat()))
                .collect();
        }
        expected.retain(|point| {
            limits.iter().all(|(bits, most)| {
                let values: Option<Vec<usize>> = axes_of(*bits).iter().map(|&axis| point[axis]).collect();
                values.is_none_or(|values| values.iter().sum::<usize>() as i64 <= *most)
            })
        });
        let points = enumerate(asked, usize::MAX).unwrap();
        let found: Vec<_> = points.ids().map(|point| levels(&points, point)).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert!(enumerate(asked, found.len()).is_ok());
        if let Some(fewer) = found.len().checked_sub(1) {
            prop_assert_eq!(enumerate(asked, fewer).unwrap_err(), TooMany::Points(found.len() as u128));
        }

        // Each point projects to a point over fewer axes, which has the same levels on those.
        let fewer = enumerate(asked & within, usize::MAX).unwrap();
        for (point, found) in points.ids().zip(&found) {
            let below = fewer.project(&points, point).unwrap();
            for axis in axes_of(asked & within) {
                prop_assert_eq!(fewer.level(below, AxisId::from_index(axis)), found[axis]);
            }
        }
    }
}
