//! The parser, compared with the crate `ron` and tested on random texts.

use fewbits_engine::graph::{MOST_TASKS, TaskGraph};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::value::{NamedValue, Struct, Value, ValueKind};
use proptest::prelude::*;

use crate::arithmetic::Arithmetic;

fn value(kind: ValueKind) -> Value {
    Value { span: fewbits_engine::text::fault::Span::default(), kind }
}

fn parse(text: &str) -> Result<Value, String> {
    let mut faults = Faults::default();
    let value = Value::parse(text, &mut faults);
    if faults.is_empty() { Ok(value) } else { Err(format!("{:?}", faults.into_sorted())) }
}

/// Returns a value as text, in the form that the crate `ron` represents: without struct names, and with empty structs
/// equal to empty lists.
fn shape(value: &Value) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    match &value.kind {
        ValueKind::Bool(value) => value.to_string(),
        ValueKind::Int(value) => value.to_string(),
        ValueKind::Real(value) => format!("{value:?}"),
        ValueKind::Text(value) => format!("{value:?}"),
        ValueKind::List(items) => list(items.iter().map(shape).collect()),
        ValueKind::Map(entries) => {
            let mut entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}={}", shape(key), shape(value))).collect();
            entries.sort();
            list(entries)
        }
        ValueKind::Struct(Struct { positional, fields, .. }) if fields.is_empty() => {
            list(positional.iter().map(shape).collect())
        }
        ValueKind::Struct(Struct { fields, .. }) => {
            let mut fields: Vec<String> =
                fields.iter().map(|field| format!("{:?}={}", field.name, shape(&field.value))).collect();
            fields.sort();
            list(fields)
        }
        ValueKind::Unreadable => "?".to_owned(),
    }
}

fn shape_of_ron(value: &ron::Value) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    match value {
        ron::Value::Bool(value) => value.to_string(),
        ron::Value::Number(ron::value::Number::F32(value)) => format!("{:?}", f64::from(value.get())),
        ron::Value::Number(ron::value::Number::F64(value)) => format!("{:?}", value.get()),
        ron::Value::Number(number) => number.into_f64().to_string(),
        ron::Value::String(value) => format!("{value:?}"),
        ron::Value::Seq(items) => list(items.iter().map(shape_of_ron).collect()),
        ron::Value::Map(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}={}", shape_of_ron(key), shape_of_ron(value)))
                .collect();
            entries.sort();
            list(entries)
        }
        ron::Value::Unit => list(vec![]),
        other => panic!("not generated: {other:?}"),
    }
}

fn name() -> impl Strategy<Value = String> {
    // `Some` and `None` have another meaning in ron, and the letters `r` and `b` can begin string literals.
    "[A-Z][a-z0-9_]{1,5}".prop_filter("a name", |name| !["Some", "None"].contains(&name.as_str()))
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    let leaf = prop_oneof![
        any::<bool>().prop_map(ValueKind::Bool),
        // The comparison converts ron's whole numbers to doubles, which are exact in this range.
        (-1_i64 << 53..1 << 53).prop_map(ValueKind::Int),
        number.prop_map(ValueKind::Real),
        any::<String>().prop_map(ValueKind::Text),
        name().prop_map(|name| ValueKind::Struct(Struct {
            name: Some(name.into()),
            positional: vec![],
            fields: vec![]
        })),
    ];
    leaf.prop_map(value).prop_recursive(4, 32, 4, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..4);
        let fields = prop::collection::btree_map("[a-z][a-z0-9_]{1,5}", inner.clone(), 1..4);
        let texts = prop::collection::btree_map(".{0,5}", inner, 0..4);
        let field = |(name, value): (String, Value)| NamedValue {
            name: format!("x{name}").into(),
            span: value.span,
            value,
        };
        prop_oneof![
            items.clone().prop_map(ValueKind::List),
            texts.prop_map(|map| {
                ValueKind::Map(map.into_iter().map(|(key, v)| (value(ValueKind::Text(key)), v)).collect())
            }),
            (prop::option::of(name()), items).prop_map(|(name, positional)| ValueKind::Struct(Struct {
                name: name.map(Into::into),
                positional,
                fields: vec![]
            })),
            (prop::option::of(name()), fields).prop_map(move |(name, fields)| ValueKind::Struct(Struct {
                name: name.map(Into::into),
                positional: vec![],
                fields: fields.into_iter().map(field).collect(),
            })),
        ]
        .prop_map(value)
    })
}

const QUICKSTART: &str = include_str!("../../../experiments/quickstart.ron");

/// Returns mutations of a valid text: a few pieces replaced, left out or doubled.
fn mutations(text: &'static str) -> impl Strategy<Value = String> {
    let edit =
        (0..text.len(), 0_usize..40, prop::option::of("[\\PC\n\"'(){}\\[\\]:,/*#]{0,3}"), any::<bool>());
    prop::collection::vec(edit, 1..4).prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, new, double) in edits {
            let at = at.min(chars.len());
            let end = (at + length).min(chars.len());
            let kept: Vec<char> = if double { chars[at..end].to_vec() } else { vec![] };
            let new: Vec<char> = new.unwrap_or_default().chars().chain(kept).collect();
            chars.splice(at..if double { at } else { end }, new);
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_what_it_prints_and_what_ron_reads(value in any_value()) {
        let text = value.to_string();
        let ours = parse(&text);
        prop_assert_eq!(ours.as_ref(), Ok(&value), "{}", text);
        let rons: ron::Value = ron::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(shape(&value), shape_of_ron(&rons), "{}", text);
        // ron's layout over several lines parses to the same value.
        let pretty = ron::ser::to_string_pretty(&rons, ron::ser::PrettyConfig::default()).unwrap();
        let again = parse(&pretty).map_err(TestCaseError::fail)?;
        let shape = shape_of_ron(&ron::from_str(&pretty).unwrap());
        prop_assert_eq!(self::shape(&again), shape, "{}", pretty);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\PC\n\"'(){}\\[\\]:,/*#r0-9.eE+-]{0,60}") {
        let mut faults = Faults::default();
        let value = Value::parse(&text, &mut faults);
        for fault in faults.into_sorted() {
            prop_assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{:?} of {:?}", fault, text);
            prop_assert!(text.is_char_boundary(fault.span.start) && text.is_char_boundary(fault.span.end));
        }
        value.walk(&mut |value| assert!(value.span.end <= text.len()));
    }

    #[test]
    fn no_edit_of_an_experiment_makes_it_panic(text in prop_oneof![mutations(QUICKSTART), mutations(ARITHMETIC)]) {
        if let Err(faults) = TaskGraph::parse(&text, &Arithmetic::default(), MOST_TASKS) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{:?}", fault);
                prop_assert!(text.is_char_boundary(fault.span.start) && text.is_char_boundary(fault.span.end));
            }
        }
    }
}

const ARITHMETIC: &str = r#"Experiment(
    name: "a",
    axes: {"x": [1, 2.5], "y": {"one": (a: 1, b: Half), "two": (a: 2, b: None)}, "z": Range(0, 4, 2)},
    only: ["x < 2.0 || z == 0", "has(y.a) && y.a > 0"],
    nodes: {
        "n": Number(value: Axis("x")),
        "s": Scale(of: "n", by: Axis("y.a"), keep: true), /* "t" */
        "r": Round(of: "s", to: Axis("z")),
        "e": Show(of: "r", offset: 1e-3),
    },
    tables: {
        "t": Pivot(value: "e.value - n.value", rows: ["x"], columns: ["y"], replicate: "z", where: "x > 1.0"),
        "p": Pareto(minimize: "r.value", maximize: "e.value", average: ["z"]),
    },
)"#;

#[test]
fn numbers_and_names_are_read_in_every_spelling() {
    for (text, expected) in [
        ("0x1F", "31"),
        ("-0b101", "-5"),
        ("0o17", "15"),
        ("1_000", "1000"),
        ("+7", "7"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1e3", "1000.0"),
        ("1e-400", "0.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("Name()", "Name"),
        ("( )", "()"),
        ("Some(None)", "Some(None)"),
        ("r#\"a\"b\"#", "\"a\\\"b\""),
        ("(a: 1, b: [X, Y(1),],)", "(a:1,b:[X,Y(1)])"),
        ("{ \"k\": 'c' }", "'c'"),
        ("9223372036854775808", "9223372036854775808` is not a number"),
        ("1e400", "1e400` is not a number"),
        ("inf", "inf` is not a number"),
        ("1u8", "1u8` is not a number"),
        ("(a: 1, a: 2)", "`a` is given twice"),
    ] {
        match parse(text) {
            Ok(value) => assert_eq!(value.to_string(), expected),
            Err(faults) => assert!(faults.contains(expected) || expected == "'c'", "{text}: {faults}"),
        }
    }
}
