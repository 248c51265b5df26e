//! Properties that hold for every small graph and every edit.

use std::collections::BTreeSet;

use fewbits_engine::event::Event;
use fewbits_engine::plan::TaskState;
use fewbits_store::Key;
use proptest::prelude::*;

use crate::bench::{Bench, experiment};

/// A node of a random graph: its kind, its two possible inputs, and a number.
type Draft = (u8, usize, usize, i64);

/// Returns the text of an experiment with these nodes over two axes; each node reads earlier ones.
fn text(drafts: &[Draft], rows: usize) -> String {
    let mut nodes = String::from(r#""n0": Number(value: 1.5), "#);
    let mut readable = vec![0];
    for (at, (kind, left, right, number)) in drafts.iter().enumerate() {
        let (at, number) = (at + 1, number.rem_euclid(4));
        let input = |pick: usize| format!("\"n{}\"", readable[pick % readable.len()]);
        let (left, right) = (input(*left), input(*right));
        let node = match kind % 7 {
            0 => format!("Number(value: {number})"),
            1 => format!("Scale(of: {left}, by: Axis(\"x\"))"),
            2 => format!("Add(left: {left}, right: {right})"),
            3 => format!("Round(of: {left}, to: {})", number + 1),
            4 => format!("Learn(of: {left}, steps: {number})"),
            5 => format!("Fail(of: {left}, when: {})", 8 * number),
            _ => format!("Show(of: {left}, offset: Axis(\"y\"))"),
        };
        if kind % 7 != 6 {
            readable.push(at);
        }
        nodes.push_str(&format!("\"n{at}\": {node}, "));
    }
    let x = (0..=rows).map(|row| row.to_string()).collect::<Vec<_>>().join(", ");
    // Two further nodes ensure that both axes are used.
    let used = r#""ux": Number(value: Axis("x")), "uy": Number(value: Axis("y"))"#;
    experiment(&format!(r#""x": [{x}], "y": [0, 1]"#), &format!("{nodes}{used}"))
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    prop::collection::vec((0_u8..7, 0_usize..8, 0_usize..8, 0_i64..4), 1..7)
}

/// Returns the names of the tasks that started.
fn started(events: &[Event]) -> BTreeSet<String> {
    let name = |event: &Event| match event {
        Event::Started { task, .. } => Some(task.clone()),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 14, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any earlier run and any edit, a run does as planned.
    #[test]
    fn plan_and_run_agree(before in drafts(), edits in drafts(), at in 0_usize..6, rows in 0_usize..3, lose in any::<bool>()) {
        let bench = Bench::new();
        bench.events(&text(&before, 1));
        if lose {
            bench.damage_objects();
            bench.lose_objects();
        }
        let mut after = before.clone();
        let at = at % after.len();
        after.splice(at.., edits.into_iter().take(2).chain(before[at..].iter().skip(1).copied()));
        let edited = text(&after, rows);
        let (cached, run, touched) = bench.plan(&edited, |graph, plan, _| {
            let of = |wanted: &dyn Fn(&TaskState) -> bool| -> BTreeSet<String> {
                graph.tasks().filter(|task| wanted(&plan.planned(*task).state)).map(|task| graph.name(task)).collect()
            };
            let keys = |task| Some((graph.name(task), plan.planned(task).key?.to_string()));
            let keys: BTreeSet<(String, String)> = graph.tasks().filter_map(keys).collect();
            (of(&|state| *state == TaskState::Cached), of(&|state| matches!(state, TaskState::Run | TaskState::Lost)), keys)
        });
        let (events, summary) = bench.run(&edited);
        let (started, summary) = (started(&events), summary.unwrap());
        prop_assert!(started.is_disjoint(&cached), "{edited}\nplanned as cached: {:?}", started.intersection(&cached));
        prop_assert!(run.is_subset(&started), "{edited}\nplanned to run: {:?}", run.difference(&started));
        prop_assert_eq!(summary.ran + summary.failed, started.len());
        for event in &events {
            if let Event::Started { task, key, .. } = event
                && let Some((_, planned)) = touched.iter().find(|(name, _)| name == task)
            {
                prop_assert_eq!(key, planned);
            }
        }
        // In the next run only failing tasks are left. A task that shares its key with a failing task is skipped with
        // it if both keys are known at once, and fails by itself if its own key becomes known later.
        let [ran, _, failed, skipped] = bench.summary(&edited);
        prop_assert_eq!([ran, failed + skipped], [0, summary.failed + summary.skipped]);
        prop_assert_eq!(bench.ops.live.now(), 0);
    }

    /// Keys and results equal those of a fresh store with one job, for any number of jobs and any earlier runs.
    #[test]
    fn jobs_and_history_change_no_result(before in drafts(), drafts in drafts()) {
        let text_of = |drafts: &[Draft]| text(drafts, 2);
        let one = Bench::new();
        one.events(&text_of(&drafts));
        let expected = one.results(&text_of(&drafts));
        for jobs in [2, 8] {
            let mut bench = Bench::new();
            bench.jobs = jobs;
            bench.events(&text_of(&before));
            bench.events(&text_of(&drafts));
            prop_assert_eq!(&bench.results(&text_of(&drafts)), &expected);
            prop_assert_eq!(bench.ops.live.now(), 0);
        }
    }
}

/// The key of a task must never change. If this test fails, no existing store has cache hits any more.
#[test]
fn the_key_of_a_task_is_pinned() {
    let text = experiment(r#""x": [2.5]"#, r#""n": Number(value: 3), "s": Scale(of: "n", by: Axis("x"))"#);
    let bench = Bench::new();
    bench.events(&text);
    let (key, metrics) = &bench.results(&text)["s(x=2.5)"];
    assert_eq!(metrics["value"], 7.5);
    let input = fewbits_store::Digest::hash(&3_f64.to_le_bytes());
    let preimage =
        format!(r#"{{"inputs":{{"of.value":"{input}"}},"op":"scale","params":{{"by":2.5}},"version":1}}"#);
    assert_eq!(*key, Key::derive(&preimage).to_string());
    assert_eq!(key, "a8eaa1f5243a08b0d74cd76e5bb48ccc282c77a18372450713d2c0d68929ff9c");
}
