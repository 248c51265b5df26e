//! Reading axes, constraints and parameters: their types in expressions, their labels, and their faults.

use fewbits_engine::graph::{MOST_TASKS, TaskGraph};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use fewbits_engine::text::value::Value;
use fewbits_engine::text::variant::choice;

use crate::arithmetic::Arithmetic;

/// Checks the labels that a constraint allows on an axis, or the message of the fault.
fn check(axis: &str, only: &str, expected: &str) {
    let only = if only.is_empty() { String::new() } else { format!("{only:?}") };
    let text = format!(
        "Experiment(name: \"test\", axes: {{\"x\": {axis}}}, only: [{only}], nodes: {{\"n\": Length(of: Axis(\"x\"))}})"
    );
    let found = match TaskGraph::parse(&text, &Arithmetic::default(), MOST_TASKS) {
        Ok(graph) => {
            let label = |task| graph.point(task).map(|(_, label)| label.to_owned()).collect::<String>();
            graph.tasks().map(label).collect::<Vec<_>>().join(" ")
        }
        Err(faults) => faults[0].message.clone(),
    };
    assert!(
        found == expected || expected.starts_with('…') && found.contains(expected.trim_matches('…')),
        "{axis} {only}: {found}"
    );
}

#[test]
fn an_axis_has_the_type_of_its_values() {
    let mixed = "…it mixes whole and decimal numbers…";
    for (axis, only, expected) in [
        ("[1, 2, 3]", "x + 1 > 2", "2 3"),
        ("[1, 2, 3]", "x + 1.0 > 2.0", mixed),
        ("[1, 2.5]", "x + 1.0 > 2.0", "2.5"),
        ("[1, 2.5]", "x > 1.0", "2.5"),
        ("[1, 2.5]", "x + 1 > 2", mixed),
        ("[Near, Far]", "x == 'Far'", "Far"),
        ("[Near, Far()]", "x == 'Far'", "Far"),
        ("[\"a b\", \"c\"]", "x.size() > 1", "a b"),
        ("[true, false]", "!x", "false"),
        ("[[1, 2], [3]]", "x.size() == 2", "[1,2]"),
        ("[Float(e: 2, m: 1), Posit(n: 4), Bare]", "x.kind != 'Posit'", "Float(e:2,m:1) Bare"),
        ("[Float(e: 2, m: 1), Posit(n: 4), Bare]", "has(x.e) && x.e > 1", "Float(e:2,m:1)"),
        ("[Float(e: 2, m: 1), Posit(n: 4)]", "x.e > 1", "…has no field `e`…"),
        (
            "[(lr: 0.1, inner: (k: Deep)), (lr: 0.2, inner: (k: Flat))]",
            "x.inner.k == 'Deep'",
            "(lr:0.1,inner:(k:Deep))",
        ),
        ("[1, 2]", "x", "…not true or false…"),
        ("[1, 2]", "y > 1", "there is no axis `y`"),
        ("[1, 2]", "1 < 2", "this constraint names no axis"),
        ("[1, 2]", "x >", "…not an expression…"),
    ] {
        check(axis, only, expected);
    }
}

#[test]
fn an_axis_is_a_list_a_range_or_a_map_of_labels() {
    for (axis, expected) in [
        ("Range(0, 3)", "0 1 2 3"),
        ("Range(-4, 5, 3)", "-4 -1 2 5"),
        ("Range(3, 3)", "3"),
        ("Range(9223372036854775806, 9223372036854775807)", "9223372036854775806 9223372036854775807"),
        ("{\"one\": 1, \"two\": (a: 2)}", "one two"),
        ("[-0.0, 1e21, \"text\", Name, None]", "-0.0 1e21 text Name None"),
        ("Range(3, 0)", "this range ends at 0, below its beginning 3"),
        ("Range(0, 3, 0)", "the step of a range must be at least 1, not 0"),
        ("Range(0)", "a range is `Range(first, last)` or `Range(first, last, step)`"),
        ("Range(-9223372036854775808, 9223372036854775807)", "…more than the 1000000 that an axis may have…"),
        ("[]", "axis `x` has no value"),
        ("[1, 2, 1]", "axis `x` has the value 1 twice"),
        ("[A, A()]", "axis `x` has the value A twice"),
        ("[\"1\", 1]", "axis `x` has the label `1` twice"),
        ("{\"a\": 1, \"a\": 2}", "axis `x` has the label `a` twice"),
        ("3", "…expected a list…"),
    ] {
        check(axis, "", expected);
    }
}

/// Reads `Sample(count, rate, name, list, maybe, mode)` as an op's reader would; returns the values and the faults.
fn read(text: &str) -> (String, Vec<String>) {
    let mut faults = Faults::default();
    let value = Value::parse(text, &mut faults);
    let mut read = vec![];
    if let Some(mut fields) = Fields::open(&value, "Sample", &mut faults) {
        let mut add = |read_one: Option<String>| read.push(read_one.unwrap_or("?".to_owned()));
        add(fields.whole("count", 1..=9, None, &mut faults).map(|v| v.to_string()));
        add(fields
            .such_that("rate", Some(0.5), "below 1", |rate| *rate < 1.0, &mut faults)
            .map(|v: f64| format!("{v:?}")));
        add(fields.optional("name", String::new(), &mut faults));
        add(fields.optional("list", vec![7_i64], &mut faults).map(|v| format!("{v:?}")));
        add(fields.optional("maybe", None, &mut faults).map(|v: Option<bool>| format!("{v:?}")));
        let mode = fields
            .take("mode")
            .map(|value| choice(value, "a mode", &[("Slow", 1), ("Fast", 2)], &mut faults));
        add(mode.unwrap_or(Some(0)).map(|v| v.to_string()));
        fields.finish(&mut faults);
    }
    let faults = faults.into_sorted().into_iter();
    let text = |fault: fewbits_engine::text::fault::Fault| {
        if fault.hint.is_empty() { fault.message } else { format!("{}; {}", fault.message, fault.hint) }
    };
    (read.join(" "), faults.map(text).collect())
}

#[test]
fn parameters_are_read_in_every_spelling() {
    for (text, expected) in [
        ("Sample(count: 3)", "3 0.5  [7] None 0"),
        ("Sample(3)", "3 0.5  [7] None 0"),
        (
            "Sample(count: 1, rate: 0, name: \"n\", list: [], maybe: true, mode: Fast)",
            "1 0.0 n [] Some(true) 2",
        ),
        ("Sample(mode: Slow(), maybe: Some(false), count: 0x9, rate: -0.0)", "9 0.0  [7] Some(false) 1"),
        ("Sample(maybe: None, count: 2)", "2 0.5  [7] None 0"),
        ("(count: 2)", "2 0.5  [7] None 0"),
    ] {
        assert_eq!(read(text), (expected.to_owned(), vec![]), "{text}");
    }
}

#[test]
fn every_fault_of_parameters_is_reported_with_what_to_do() {
    for (text, expected) in [
        ("Sample", &["`Sample` needs `count`; add `count: …`"][..]),
        ("Sample(conut: 3)", &["`Sample` has no field `conut`; did you mean `count`?"]),
        ("Sample(count: 10)", &["`count` of `Sample` must be a whole number from 1 to 9, not 10"]),
        ("Sample(count: 1.0)", &["expected a whole number, found a decimal number"]),
        ("Sample(10)", &["`count` of `Sample` must be a whole number from 1 to 9, not 10"]),
        ("Sample(3, 4)", &["`Sample` takes one value without a name; give each its name: `name: value`"]),
        ("Sample(count: 1, rate: 1.5)", &["`rate` of `Sample` must be below 1, not 1.5"]),
        ("Sample(count: 1, name: Bare)", &["expected a text, found `Bare`; write it in quotes: \"Bare\""]),
        (
            "Sample(count: 1, list: [1, X, \"a\"])",
            &["expected a whole number, found `X`", "expected a whole number, found a text"],
        ),
        (
            "Sample(count: 1, mode: \"Fast\")",
            &["expected a mode, found a text; names of variants stand without quotes: `Fast`"],
        ),
        ("Sample(count: 1, mode: Fats)", &["there is no mode `Fats`; did you mean `Fast`?"]),
        ("Sample(count: 1, mode: Fast(1))", &["`Fast` takes no value; remove it"]),
        (
            "Sample(count: 0, maybe: 1, extra: 2)",
            &[
                "`count` of `Sample` must be a whole number from 1 to 9, not 0",
                "expected `true` or `false`, found a whole number",
                "`Sample` has no field `extra`; valid here: `count`, `list`, `maybe`, `mode`, `name`, `rate`",
            ],
        ),
        ("[1]", &["expected `Sample(…)`, found a list"]),
    ] {
        assert_eq!(read(text).1, expected, "{text}");
    }
}
