//! `check`, `plan` and `why`: the tasks that a run would execute, and the reasons.

use crate::fixture::{Bench, TINY};

#[test]
fn check_counts_the_tasks() {
    let bench = Bench::with(TINY);
    let told = bench.stdout(["check", "x.ron"]);
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    let wanted = [
        "tiny: 13 tasks from 5 nodes, 2 tables",
        "mnist: 1 task",
        "net: 2 tasks over seed",
        "full: 2 tasks over seed",
        "small: 4 tasks over seed, e",
        "accuracy: 4 tasks over seed, e",
    ];
    assert_eq!(lines, wanted);
    assert!(!bench.path("store").exists(), "check made a store");
}

#[test]
fn a_constraint_leaves_out_tasks_and_what_depends_on_them() {
    let bench = Bench::with(TINY);
    bench.edit("    nodes:", "    only: [\"e == 3 || seed == 0\"],\n    nodes:");
    let told = bench.run_well();
    assert_eq!(told.count("tasks"), 11);
    assert!(told.tasks("completed").iter().all(|task| !task.contains("seed=1,e=2")));
}

#[test]
fn the_plan_says_what_is_new_and_what_changed() {
    let bench = Bench::with(TINY);
    let plan = || bench.stdout(["plan", "x.ron"]);
    let first = plan();
    assert!(first.contains("13 tasks: 0 cached, 1 to run, 12 waiting"), "{first}");
    assert!(first.contains("mnist: 1 task to run: new"), "{first}");
    assert!(first.contains("net: 2 tasks waiting for mnist"), "{first}");
    assert!(!bench.path("store").exists(), "plan made a store");
    bench.run_well();
    assert_eq!(
        plan(),
        "tiny: 13 tasks: 13 cached, 0 to run, 0 waiting for results that decide whether they run\n"
    );
    bench.edit("epochs: 1", "epochs: 2");
    let changed = plan();
    assert!(changed.contains("13 tasks: 1 cached, 2 to run, 10 waiting"), "{changed}");
    assert!(changed.contains("net: 2 tasks to run: epochs: 1 → 2"), "{changed}");
    bench.edit("m: 2", "m: 1");
    bench.edit("epochs: 2", "epochs: 1");
    let changed = plan();
    assert!(changed.contains("small: 4 tasks to run: format."), "{changed}");
    assert!(changed.contains("m: 2 → 1"), "{changed}");
    assert!(bench.stdout(["plan", "x.ron", "--all"]).contains("    small(seed=1,e=3)\n"));
}

#[test]
fn plan_and_run_agree() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("test: 100", "test: 60");
    let plan = bench.stdout(["plan", "x.ron"]);
    let told = bench.run_well();
    let planned = told.of("planned")[0];
    let counts = ["cached", "run", "waiting"].map(|name| planned[name].as_u64().expect(name));
    let [cached, run, waiting] = counts;
    assert!(
        plan.starts_with(&format!("tiny: 13 tasks: {cached} cached, {run} to run, {waiting} waiting")),
        "{plan}"
    );
}

#[test]
fn why_names_the_field_that_changed() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let why = |task: &str| bench.fewbits(["why", "x.ron", task]);
    let cached = why("net(seed=0)");
    assert_eq!(cached.code, Some(0), "{cached:?}");
    assert!(cached.stdout.starts_with("task    net(seed=0)\nkey     "), "{}", cached.stdout);
    assert!(cached.stdout.contains("state   cached\n"), "{}", cached.stdout);
    assert!(cached.stdout.contains("\"batch\": 50"), "{}", cached.stdout);
    bench.edit("batch: 50", "batch: 40");
    let changed = why("net(seed=0)").stdout;
    assert!(changed.contains("it differs from the same task in the last run\n"), "{changed}");
    assert!(changed.contains("batch: 50 → 40\n"), "{changed}");
    let waiting = why("accuracy(seed=0,e=2)").stdout;
    assert!(waiting.contains("state   waiting for small"), "{waiting}");
    // A task without a namesake is compared with the most similar stored result.
    bench.edit("batch: 40", "batch: 50");
    bench.edit("\"e\": [2, 3]", "\"e\": [2, 3, 5]");
    let nearest = why("small(seed=1 e=5)").stdout;
    assert!(nearest.contains("it differs from the nearest stored result of the same op\n"), "{nearest}");
}

#[test]
fn why_finds_a_task_by_any_part_of_its_name_or_key() {
    let bench = Bench::with(TINY);
    let told = bench.run_well();
    let event =
        told.of("completed").into_iter().find(|event| event["task"] == "small(seed=1,e=3)").expect("a task");
    let key = event["key"].as_str().expect("a key");
    for name in [
        "small(seed=1,e=3)",
        "small(e=3 seed=1)",
        "small( e=3, seed=1 )",
        &key[..8],
        key,
        &key[..6].to_uppercase(),
    ] {
        let found = bench.stdout(["why", "x.ron", name]);
        assert!(found.starts_with(&format!("task    small(seed=1,e=3)\nkey     {key}\n")), "{name}: {found}");
    }
    assert!(bench.stdout(["why", "x.ron", "mnist"]).starts_with("task    mnist\n"));
}

#[test]
fn why_says_what_is_wrong_with_a_name() {
    let bench = Bench::with(TINY);
    let check = |name: &str, words: &[&str]| {
        let told = bench.fewbits(["why", "x.ron", name]);
        assert_eq!(told.code, Some(2), "{name}: {told:?}");
        assert!(words.iter().all(|word| told.stderr.contains(word)), "{name}: {}", told.stderr);
        assert!(told.stderr.starts_with("fewbits: ") && told.stderr.lines().count() == 1, "{}", told.stderr);
    };
    check("small(e=2)", &["means 2 tasks", "small(seed=0,e=2)", "small(seed=1,e=2)", "name `seed` as well"]);
    check("small", &["means 4 tasks", "name `seed`, `e` as well"]);
    check("smal(e=2)", &["no node `smal`", "did you mean `small`?"]);
    check("small(f=2)", &["no axis `f`", "did you mean `e`?"]);
    check("net(e=2)", &["no axis `e`", "only `seed` is valid here"]);
    check("small(e=9,seed=0)", &["axis `e` has no value `9`"]);
    check("small(3)", &["expected `axis=value`"]);
    check("0123456789", &["no task `0123456789`"]);
}
