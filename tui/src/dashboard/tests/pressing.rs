//! Every key of the table in every view, and the effects of keys.

use fewbits_engine::event::{Event, Summary};
use fewbits_engine::run::halt::Halt;
use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::bench::{Bench, RUN, task};
use crate::dashboard::keys::TABLE;
use crate::dashboard::messages::{Leave, PastRun, Request, Update};
use crate::dashboard::view_name::{ALL, View};

#[test]
fn every_key_says_what_it_did_in_every_view() {
    for done in [0, 60, 229] {
        for view in ALL {
            for key in TABLE.iter().flat_map(|binding| binding.keys) {
                let mut bench = Bench::new((100, 30), done);
                bench.app.show(view);
                bench.app.status = ("nothing was said".to_owned(), false);
                bench.press(&[key]);
                let (said, _) = &bench.app.status;
                assert!(!said.is_empty() && said != "nothing was said", "{key} in {view:?}");
                bench.frame();
            }
        }
    }
}

#[test]
fn a_key_that_is_not_in_the_table_says_so() {
    let mut bench = Bench::new((100, 30), 5);
    bench.press(&["#"]);
    assert_eq!(bench.app.status.0, "# does nothing; ? shows the keys");
}

#[test]
fn the_help_lists_every_key() {
    let mut bench = Bench::new((120, 60), 5);
    bench.press(&["?"]);
    let frame = bench.frame();
    for binding in TABLE {
        assert!(frame.contains(binding.words), "{}", binding.words);
    }
    bench.press(&["q"]);
    assert!(!frame.is_empty() && !bench.frame().contains("these keys"), "closed");
    assert!(!bench.asked.iter().any(|ask| matches!(ask, Request::Leave(_))), "q closed the keys only");
}

#[test]
fn views_turn_in_a_circle() {
    let mut bench = Bench::new((100, 30), 5);
    let mut seen = vec![];
    for _ in 0..7 {
        seen.push(bench.app.view);
        bench.press(&["Tab"]);
    }
    assert_eq!(seen[..6], ALL);
    assert_eq!(seen[6], View::Run);
    bench.press(&["Shift-Tab", "Shift-Tab", "Shift-Tab"]);
    assert_eq!(bench.app.view, View::Task);
}

#[test]
fn columns_of_a_list_can_be_hidden_and_moved() {
    let mut bench = Bench::new((120, 30), 229);
    bench.press(&["3", "v"]);
    let heading = |bench: &Bench, name: &str| {
        let frame = bench.frame();
        frame.lines().skip(2).find(|line| line.contains("rounding")).and_then(|line| line.find(name))
    };
    let rounding = heading(&bench, "rounding").expect("a column");
    bench.press(&["h", "<"]);
    assert!(bench.app.status.0.contains("to the left"), "{:?}", bench.app.status);
    let before = bench.frame();
    bench.press(&["x"]);
    assert!(bench.app.status.0.ends_with(": hidden") && bench.frame() != before, "{:?}", bench.app.status);
    assert!(bench.frame().contains("1 column hidden, X shows them"), "{}", bench.frame());
    bench.press(&["X"]);
    assert_eq!(heading(&bench, "rounding"), Some(rounding), "{}", bench.frame());
    // `s` sorts by the column at the cursor, `x` never hides the last value.
    bench.press(&["x", "x", "x", "x", "x", "x", "x", "x"]);
    assert!(bench.frame().contains("hidden"), "{}", bench.frame());
    bench.press(&["s"]);
    assert!(bench.app.status.0.starts_with("sorted by"), "{:?}", bench.app.status);
    bench.press(&["v", "x"]);
    assert!(!bench.frame().contains("hidden"), "another list starts with its own columns");
}

#[test]
fn a_filter_takes_the_end_of_a_heading_and_names_unknown_columns() {
    let mut bench = Bench::new((120, 30), 229);
    bench.press(&["3", "v", "/"]);
    bench.type_text("accuracy>0.9 && e=2");
    bench.press(&["Enter"]);
    let frame = bench.frame();
    assert!(frame.contains("only accuracy>0.9 && e=2") && !frame.contains("nothing matches"), "{frame}");
    // A further term begins behind a space.
    bench.press(&["/"]);
    bench.type_text("foo=3");
    bench.press(&["Enter"]);
    let frame = bench.frame();
    assert!(frame.contains("there is no column foo; Esc drops the filter. Columns: "), "{frame}");
}

#[test]
fn curves_of_other_runs_lie_over_those_of_the_shown_one() {
    let mut bench = Bench::new((120, 30), 229);
    bench.press(&["2"]);
    let alone = bench.frame();
    assert!(!alone.contains("from other runs"), "{alone}");
    bench.press(&["6", "j", "Space"]);
    assert!(bench.app.status.0.contains("has the curves of run"), "{:?}", bench.app.status);
    assert!(bench.frame().contains("  curves"), "{}", bench.frame());
    bench.press(&["2"]);
    let both = bench.frame();
    assert!(both.contains("from other runs") && both != alone, "{both}");
    bench.press(&["j"]);
    assert!(bench.frame().contains("the marked runs lack this training"), "{}", bench.frame());
    bench.press(&["6", "Space", "2"]);
    assert!(!bench.frame().contains("from other runs"), "{}", bench.frame());
}

#[test]
fn leaving_a_run_asks_what_becomes_of_it() {
    let check = |keys: &[&str], halt: Option<Halt>, after: Option<Leave>| {
        let mut bench = Bench::new((100, 30), 5);
        bench.press(keys);
        let halts = bench
            .asked
            .iter()
            .filter_map(|ask| if let Request::Halt(halt) = ask { Some(*halt) } else { None });
        assert_eq!(halts.max(), halt, "{keys:?}");
        bench.tell(Update::Ended(Summary::default()));
        let mut leaves = bench
            .asked
            .iter()
            .filter_map(|ask| if let Request::Leave(leave) = ask { Some(*leave) } else { None });
        assert_eq!(leaves.next_back(), after, "{keys:?}");
    };
    check(&["q", "a"], Some(Halt::AfterRunning), Some(Leave::Over));
    check(&["q", "n"], Some(Halt::Now), Some(Leave::Over));
    check(&["q", "d"], Some(Halt::Now), Some(Leave::Detach));
    check(&["q", "Esc"], None, None);
    check(&["q", "x", "q"], None, None);
    check(&["Ctrl-C"], Some(Halt::Now), Some(Leave::Over));
    // Without a pressed key, the dashboard closes when the run ends.
    check(&[], None, Some(Leave::Over));
}

#[test]
fn lines_go_on_at_once() {
    let mut bench = Bench::new((100, 30), 5);
    bench.press(&["q", "l"]);
    assert_eq!(bench.asked.last(), Some(&Request::Leave(Leave::Lines)));
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let mut bench = Bench::new((100, 30), 5);
    bench.press(&["Ctrl-C", "Ctrl-C"]);
    assert_eq!(bench.asked.last(), Some(&Request::Abort));
}

#[test]
fn a_run_of_another_process_is_left_without_a_question() {
    let mut bench = Bench::new((100, 30), 5);
    bench.app.own = None;
    bench.press(&["q"]);
    assert_eq!(bench.asked.last(), Some(&Request::Leave(Leave::Over)));
    assert!(!bench.asked.iter().any(|ask| matches!(ask, Request::Halt(_))));
}

#[test]
fn a_run_that_is_over_waits_for_who_used_a_key() {
    let mut bench = Bench::new((100, 30), 229);
    bench.press(&["3"]);
    bench.finish();
    bench.tell(Update::Ended(Summary::default()));
    assert!(bench.app.status.0.contains("q leaves"), "{:?}", bench.app.status);
    bench.press(&["q"]);
    assert_eq!(bench.asked.last(), Some(&Request::Leave(Leave::Over)));
}

#[test]
fn a_filter_leaves_what_it_says() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["5", "/"]);
    bench.type_text("node=small e=2 rounding=STOCHASTIC seed<1");
    bench.press(&["Enter"]);
    let frame = bench.frame();
    assert!(frame.contains("6 of 229 tasks with node=small e=2"), "{frame}");
    bench.press(&["Esc"]);
    assert!(bench.frame().contains("229 tasks"));
    // Esc in the prompt restores the filter before.
    bench.press(&["/"]);
    bench.type_text("state=failed");
    assert!(bench.frame().contains("0 of 229 tasks"));
    bench.press(&["Esc"]);
    assert!(bench.frame().contains("229 tasks"));
}

#[test]
fn sorting_puts_the_largest_on_top_and_turns() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["3", "s"]);
    let first = |bench: &Bench| {
        let frame = bench.frame();
        let row = frame.lines().nth(5).unwrap_or_default();
        row.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(first(&bench), "0.5 Stochastic 3 2", "{}", bench.frame());
    bench.press(&["S"]);
    assert_eq!(first(&bench), "0.0 Nearest 1 0", "{}", bench.frame());
    assert_eq!(bench.app.status.0, "smallest on top");
}

#[test]
fn a_pinned_cell_is_what_others_differ_from() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["3", "p", "Right"]);
    let frame = bench.frame();
    assert!(frame.contains("differences from dropout=0.0 rounding=Nearest e=1 m=0"), "{frame}");
    // The difference is (0.97 − 1/8) − (0.97 − 1/4) = 1/8.
    assert!(frame.contains("+0.1250"), "{frame}");
    bench.press(&["Left", "p"]);
    assert!(!bench.frame().contains("differences"), "{}", bench.frame());
}

#[test]
fn a_past_run_is_what_tables_differ_from() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["6", "Down", "p"]);
    let frame = bench.frame();
    assert!(frame.contains("net: epochs: 3 → 4   in 6 tasks"), "{frame}");
    bench.press(&["3", "t"]);
    let frame = bench.frame();
    assert!(frame.contains("differences from run 20270114-120000-000"), "{frame}");
    assert!(frame.contains("+0.0050"), "{frame}");
}

#[test]
fn a_row_is_copied_with_its_names() {
    let check = |keys: &[&str], expected: &str| {
        let mut bench = Bench::new((120, 40), 229);
        bench.press(keys);
        let Some(Request::Copy(text)) = bench.asked.last() else {
            panic!("{keys:?}: {:?}", bench.app.status)
        };
        assert!(text.starts_with(expected), "{text}");
    };
    check(&["3", "c"], "dropout=0.0\trounding=Nearest\te=1\tm=0\taccuracy.accuracy=0.72");
    check(&["4", "c"], "dropout=0.5\te=1\tm=0\trounding=Stochastic\tsmall.bits_per_weight=2.001");
    check(&["5", "Down", "c"], "task=net(dropout=0.0,seed=0)\tstate=done\tkey=");
    check(&["6", "c"], &format!("run={RUN}\texperiment=study"));
    check(&["1", "Down", "c"], "node=net\ttasks=6\tdone=6");
}

#[test]
fn a_task_says_why_it_ran() {
    let mut bench = Bench::new((120, 40), 30);
    bench.press(&["1", "Down", "Enter"]);
    assert_eq!(bench.app.view, View::Task);
    let frame = bench.frame();
    assert!(frame.contains("it ran because it differs from the same task in the last"), "{frame}");
    assert!(frame.contains("epochs: 3 → 4"), "{frame}");
    // Enter on a cell of a table opens the tasks behind it.
    bench.press(&["3", "Enter"]);
    assert!(bench.frame().contains("3 of 229 tasks with node=accuracy dropout=0.0"), "{}", bench.frame());
}

#[test]
fn a_failure_is_named_with_what_it_takes_along() {
    let mut bench = Bench::new((120, 40), 7);
    let net = bench.graph.name(task(&bench.graph, 1, 5));
    bench.happen(9.0, Event::Failed { task: net.clone(), error: "loss is not finite in epoch 2".to_owned() });
    for (node, point) in [(2, 5), (3, 90), (4, 90)] {
        let task = bench.graph.name(task(&bench.graph, node, point));
        bench.happen(9.1, Event::Skipped { task, because: net.clone() });
    }
    let frame = bench.frame();
    assert!(frame.contains("net(dropout=0.5,seed=2) failed: loss is not finite in epoch 2"), "{frame}");
    assert!(frame.contains("3 skipped: net(dropout=0.5,seed=2) failed"), "{frame}");
    assert!(frame.contains("✗ 1 failed") && frame.contains("⊘ 3 skipped"), "{frame}");
    bench.press(&["5", "/"]);
    bench.type_text("state=failed");
    bench.press(&["Enter"]);
    assert!(bench.frame().contains("error: loss is not finite"), "{}", bench.frame());
}

#[test]
fn the_way_back_leads_to_where_a_view_was_opened_from() {
    let mut bench = Bench::new((120, 40), 30);
    bench.press(&["2", "Enter", "Esc"]);
    assert_eq!(bench.app.view, View::Training);
    bench.press(&["5", "Esc"]);
    assert_eq!(bench.app.view, View::Task, "opened by its own key, there is no way back");
}

#[test]
fn a_filter_turns_a_heat_map_into_the_list_that_it_leaves() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["3"]);
    assert!(bench.frame().contains("dropout=0.0, rounding=Nearest"), "{}", bench.frame());
    bench.press(&["/"]);
    bench.type_text("e=2 m=1 rounding=nearest");
    bench.press(&["Enter"]);
    let frame = bench.frame();
    assert_eq!(frame.lines().filter(|line| line.contains("  Nearest  ")).count(), 2, "{frame}");
    bench.press(&["Esc"]);
    assert!(bench.frame().contains("dropout=0.0, rounding=Nearest"));
}

#[test]
fn a_grid_wider_than_the_screen_follows_the_cursor() {
    let mut bench = Bench::new((26, 20), 229);
    bench.press(&["3", "Right", "Right"]);
    let frame = bench.frame();
    assert!(frame.contains('[') && frame.contains(']'), "{frame}");
}

#[test]
fn the_question_goes_when_the_run_does() {
    let mut bench = Bench::new((100, 30), 229);
    bench.press(&["q"]);
    bench.finish();
    bench.tell(Update::Ended(Summary::default()));
    assert!(!bench.frame().contains("The run goes on"), "{}", bench.frame());
}

#[test]
fn the_mouse_selects_and_scrolls() {
    let click = |bench: &mut Bench, column: u16, row: u16| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        bench.tell(Update::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    };
    // Returns the position of a text on the screen.
    let find = |bench: &Bench, text: &str| {
        let frame = bench.frame();
        let at = frame.lines().enumerate().find_map(|(row, line)| {
            let before = line.split_once(text)?.0;
            Some((before.chars().count() as u16, row as u16))
        });
        at.unwrap_or_else(|| panic!("{text}\n{frame}"))
    };
    let mut bench = Bench::new((120, 40), 229);
    let tab = find(&bench, "Tables");
    click(&mut bench, tab.0, tab.1);
    assert_eq!(bench.app.view, View::Tables);
    let cell = find(&bench, "0.9388");
    click(&mut bench, cell.0, cell.1);
    assert!(
        bench.app.status.0.starts_with("dropout=0.0 rounding=Nearest e=2 m=2: "),
        "{:?}",
        bench.app.status
    );
    bench.press(&["4"]);
    let point = find(&bench, "●");
    click(&mut bench, point.0 + 1, point.1);
    let first = bench.app.status.0.clone();
    assert!(first.contains("rounding=Stochastic"), "{first}");
    bench.press(&["5"]);
    let task = find(&bench, "full(dropout=0.5,seed=1)");
    click(&mut bench, task.0, task.1);
    assert_eq!(bench.app.status.0, "full(dropout=0.5,seed=1)");
    let wheel =
        MouseEvent { kind: MouseEventKind::ScrollDown, column: 3, row: 9, modifiers: KeyModifiers::NONE };
    bench.tell(Update::Mouse(wheel));
    assert_eq!(bench.app.status.0, "full(dropout=0.5,seed=2)");
}

#[test]
fn the_list_of_runs_is_kept_fresh_while_it_is_shown() {
    let mut bench = Bench::new((100, 30), 10);
    let asked = |bench: &mut Bench| -> Vec<bool> {
        let asked = std::mem::take(&mut bench.asked).into_iter();
        asked.filter_map(|ask| if let Request::Runs(fresh) = ask { Some(fresh) } else { None }).collect()
    };
    bench.press(&["6"]);
    assert_eq!(asked(&mut bench), [true]);
    bench.press(&["1", "2"]);
    assert_eq!(asked(&mut bench), [false]);
    bench.press(&["6", "Down"]);
    let before = bench.app.past.clone().expect("runs");
    let newer = PastRun { id: "20270116-080000-000".to_owned(), ..before[0].clone() };
    bench.tell(Update::Runs([vec![newer], before.clone()].concat()));
    bench.press(&["c"]);
    let copied =
        bench.asked.iter().any(|ask| matches!(ask, Request::Copy(row) if row.contains(&before[1].id)));
    assert!(copied, "the cursor stays at its run: {:?}", bench.asked);
}

#[test]
fn chords_edit_the_filter_and_never_type_a_letter() {
    let mut bench = Bench::new((120, 40), 229);
    bench.press(&["3", "/"]);
    bench.type_text("e=2  m=1 ");
    let shows =
        |bench: &Bench, text: &str| assert!(bench.frame().contains(text), "{text}: {}", bench.frame());
    bench.press(&["Ctrl-W"]);
    shows(&bench, "filter: e=2  _");
    bench.press(&["Ctrl-A"]);
    shows(&bench, "filter: _e=2");
    bench.press(&["Ctrl-E", "Ctrl-G", "Ctrl-X"]);
    shows(&bench, "filter: e=2  _");
    bench.press(&["Ctrl-U"]);
    shows(&bench, "filter: _");
    bench.type_text("m=2");
    bench.press(&["Enter"]);
    shows(&bench, "only m=2");
}
