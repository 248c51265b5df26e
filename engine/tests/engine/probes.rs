//! Probes: tasks that no file names, for ops that read a number from each of them.

use fewbits_engine::plan::{Planner, TaskState};
use fewbits_engine::reason::Reason;
use fewbits_engine::why::Explainer;

use crate::bench::{Bench, experiment};

fn nodes(among: &str) -> String {
    format!(
        r#""a": Number(value: Axis("value")), "p": Pick(of: "a", among: {among}, most: Axis("most")), "s": Show(of: "p")"#
    )
}

const AXES: &str = r#""value": [1, 2], "most": [5, 9]"#;

/// Returns the events of a run without those of inputs that are made again.
fn events(bench: &Bench, text: &str) -> Vec<String> {
    bench.events(text).into_iter().filter(|line| !line.ends_with("rebuilt")).collect()
}

#[test]
fn a_probe_runs_once_whatever_the_parameters_that_it_does_not_have() {
    let bench = Bench::new();
    let text = experiment(AXES, &nodes("[3, 4]"));
    let mut ran = events(&bench, &text);
    ran.sort();
    let expected = [
        "a(value=1) = 1",
        "a(value=2) = 2",
        "p(value=1,most=5) = 4",
        "p(value=1,most=9) = 4",
        "p(value=2,most=5) = 0",
        "p(value=2,most=9) = 8",
        "p.probe(value=1,Probe=3) = 3",
        "p.probe(value=1,Probe=4) = 4",
        "p.probe(value=2,Probe=3) = 6",
        "p.probe(value=2,Probe=4) = 8",
    ];
    ran.retain(|line| !line.starts_with("s("));
    assert_eq!(ran, expected);
    assert_eq!(bench.events(&text), [""; 0]);
    // Another limit runs the choice alone, without one of its probes: their numbers are in their records.
    let mut ran = bench.events(&text.replace("[5, 9]", "[5, 7, 9]"));
    ran.retain(|line| !line.starts_with("a("));
    let expected = [
        "p(value=1,most=7) = 4",
        "s(value=1,most=7) reused",
        "p(value=2,most=7) = 6",
        "s(value=2,most=7) = 6",
    ];
    assert_eq!(ran, expected);
    // One factor more adds its own probes.
    let ran = events(&bench, &text.replace("[3, 4]", "[3, 4, 5]"));
    let probes: Vec<&String> = ran.iter().filter(|line| line.starts_with("p.probe")).collect();
    assert_eq!(probes, ["p.probe(value=1,Probe=5) = 5", "p.probe(value=2,Probe=5) = 10"]);
}

#[test]
fn equal_numbers_of_probes_stop_the_change() {
    let bench = Bench::new();
    let text =
        experiment("", &nodes("[3, 4]").replace("Axis(\"value\")", "2").replace("Axis(\"most\")", "7"));
    bench.events(&text);
    // The number differs, but rounded down the probes do not.
    let ran = bench.events(&text.replace("value: 2", "value: 2.1"));
    assert_eq!(ran, ["a = 2.1", "p.probe(Probe=3) = 6", "p.probe(Probe=4) = 8", "p = 6", "s reused"]);
}

#[test]
fn a_plan_and_its_reasons_name_probes() {
    let bench = Bench::new();
    let text =
        experiment("", &nodes("[3, 4]").replace("Axis(\"value\")", "2").replace("Axis(\"most\")", "7"));
    bench.events(&text);
    bench.plan(&text.replace("[3, 4]", "[3, 5]"), |graph, plan, store| {
        let states: Vec<(String, &TaskState)> =
            graph.tasks().map(|task| (graph.name(task), &plan.planned(task).state)).collect();
        let of = |name: &str| states.iter().find(|(of, _)| of == name).map(|(_, state)| (*state).clone());
        assert_eq!(of("p.probe(Probe=3)"), Some(TaskState::Cached));
        assert_eq!(of("p.probe(Probe=5)"), Some(TaskState::Run));
        assert_eq!(of("p"), Some(TaskState::Waiting));
        let planner = Planner::new(graph, &*bench.ops, store);
        let explainer = Explainer::new(graph, plan, &planner, &*bench.ops, store);
        let task = graph.find("p").unwrap();
        assert_eq!(explainer.reason(task).unwrap(), Reason::Waiting { task: "p.probe(Probe=5)".to_owned() });
    });
    // The preimage names the probe by its label, and its digest.
    bench.events(&text.replace("[3, 4]", "[3, 5]"));
    bench.plan(&text, |graph, plan, store| {
        let planner = Planner::new(graph, &*bench.ops, store);
        let task = graph.find("p").unwrap();
        let preimage = planner.preimage(task, |input| Some(plan.planned(input))).unwrap();
        let text = format!("{preimage:?}");
        assert!(text.contains("probe.3") && text.contains("probe.4") && !text.contains("probe.5"), "{text}");
    });
}

#[test]
fn a_failed_probe_skips_the_choice_alone() {
    let bench = Bench::new();
    let [ran, _, failed, skipped] = bench.summary(&experiment(AXES, &nodes("[3, -1]")));
    // Two numbers and two probes; two probes below 0; four choices and what shows them.
    assert_eq!((ran, failed, skipped), (4, 2, 8));
    assert_eq!(bench.summary(&experiment(AXES, &nodes("[3, 4]"))), [9, 5, 0, 0]);
}

#[test]
fn too_many_probes_are_too_many_tasks() {
    let bench = Bench::new();
    let text =
        experiment("", &nodes("[3, 4]").replace("Axis(\"value\")", "2").replace("Axis(\"most\")", "7"));
    let faults = fewbits_engine::graph::TaskGraph::parse(&text, &*bench.ops, 4).err().unwrap();
    assert!(faults[0].message.contains("this experiment has 5 tasks, more than the 4 allowed"), "{faults:?}");
}

/// Constraints over one axis leave out levels; the probes of a level are those of its number.
#[test]
fn probes_keep_to_the_points_that_constraints_leave() {
    let bench = Bench::new();
    let text = experiment(r#""value": [7, 1, 2], "most": [9]"#, &nodes("[3, 4]"));
    let text = text.replace("nodes:", "only: [\"value != 7\"], nodes:");
    let ran = events(&bench, &text);
    assert!(
        ran.contains(&"p.probe(value=2,Probe=4) = 8".to_owned())
            && ran.iter().all(|line| !line.contains("value=7")),
        "{ran:?}"
    );
    let results = bench.results(&text);
    assert_eq!(results["p.probe(value=2,Probe=3)"].1["value"], 6.0);
    // The long table has the file's axes and nodes alone.
    let long = bench.long(&text).to_string();
    assert!(!long.contains("Probe") && long.contains("p.value"), "{long}");
    // Many combinations, of which constraints leave one.
    let axes: Vec<String> = (0..10).map(|at| format!(r#""x{at}": Range(0, 99)"#)).collect();
    let only: Vec<String> = (0..10).map(|at| format!(r#""x{at} == 5""#)).collect();
    let sum = (0..10).map(|at| format!(r#""n{at}": Number(value: Axis("x{at}")),"#)).collect::<String>();
    let adds = (1..10).map(|at| {
        format!(
            r#""s{at}": Add(left: "{}", right: "n{at}"),"#,
            if at == 1 { "n0".to_owned() } else { format!("s{}", at - 1) }
        )
    });
    let text = experiment(
        &axes.join(", "),
        &format!("{sum}{}\"p\": Pick(of: \"s9\", among: [1, 2], most: 99)", adds.collect::<String>()),
    );
    let text = text.replace("nodes:", &format!("only: [{}], nodes:", only.join(", ")));
    // One number, nine sums, two probes and the choice.
    assert_eq!(bench.summary(&text)[0], 1 + 9 + 2 + 1);
}
