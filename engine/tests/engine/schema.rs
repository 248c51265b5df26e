//! The schema of the arithmetic ops and of the engine's own readers.

use fewbits_engine::schema::{FieldSchema, Schema};
use fewbits_engine::text::note::Need;

use crate::arithmetic::Arithmetic;

fn row(field: &FieldSchema) -> String {
    let need = match &field.need {
        Need::Required => "required".to_owned(),
        Need::Default(text) => format!("= {text}"),
        Need::Otherwise(words) => format!("else {words}"),
    };
    format!("{}: {} ({}) {need}", field.name, field.value, field.must)
}

#[test]
fn every_field_is_told_with_what_holds_without_it() {
    let schema = Schema::describe(&Arithmetic::default());
    let check = |name: &str, expected: &[&str]| {
        let mut variants = schema.choices.iter().flat_map(|choice| &choice.variants);
        let found = variants.find(|variant| variant.name == name).expect(name);
        assert_eq!(found.fields.iter().map(row).collect::<Vec<_>>(), expected, "{name}");
    };
    check("Number", &["value: a number () required", "keep: `true` or `false` () else false"]);
    // The reader of `Learn` returns early if `steps` or `seed` cannot be read, and the schema has all its fields
    // anyway.
    check(
        "Learn",
        &[
            "of: a text (the name of a node that gives a number) required",
            "keep: `true` or `false` () else true",
            "steps: a whole number (a whole number of at least 0) = 3",
            "seed: a whole number () = 0",
            "stop_at: a whole number () = None",
        ],
    );
    check("Length", &["of: a value () required", "keep: `true` or `false` () else false"]);
    check(
        "Experiment",
        &[
            "name: a text () required",
            "about: a text () = \"\"",
            "axes: a map, `{\"axis\": …}` () else ",
            "only: a list of constraints () else ",
            "nodes: a map, `{\"node\": …}` () required",
            "tables: a map, `{\"table\": …}` () else ",
            "show: a list of tables, `[\"drop\", \"pareto\"]` () else the first five tables",
        ],
    );
}

#[test]
fn a_name_keeps_what_it_means() {
    let kept = |name: &str| {
        let mut schema = Schema::describe(&Arithmetic::default());
        schema.keep(name);
        let variants = schema.choices.iter().flat_map(|choice| &choice.variants);
        variants.map(|variant| (variant.name.clone(), variant.fields.len())).collect::<Vec<_>>()
    };
    assert_eq!(kept("steps"), [("Learn".to_owned(), 1)]);
    assert_eq!(kept("Learn"), [("Learn".to_owned(), 5)]);
    assert_eq!(
        kept("kind of table").iter().filter(|(_, fields)| *fields > 1).count(),
        kept("kind of table").len()
    );
    assert_eq!(kept("nothing"), []);
}
