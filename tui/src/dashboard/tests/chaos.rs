//! Random updates, in any order and at any screen size: no update causes a panic, and the counts add up.

use std::collections::BTreeMap;

use fewbits_engine::event::{Event, Summary};
use fewbits_engine::reason::Reason;
use fewbits_engine::table::error::TableError;
use proptest::prelude::*;
use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::bench::{Bench, graph, key_event, opened};
use crate::dashboard::keys::TABLE;
use crate::dashboard::messages::{TableFailure, Update};
use crate::dashboard::shown_table::TableRequest;
use crate::dashboard::theme::{Depth, Theme};

/// A random update.
#[derive(Clone, Debug)]
enum Thing {
    Key(usize),
    Typed(char),
    Mouse(u16, u16, bool),
    Size(u16, u16),
    Happens(f64, Event),
    Gone,
    Reopened,
    Broken,
    Ends,
}

fn task() -> impl Strategy<Value = String> {
    let small = (0..2, 0..3, 1..4, 0..3, any::<bool>(), any::<bool>()).prop_map(|(d, s, e, m, r, node)| {
        let (dropout, rounding) =
            (if d == 0 { "0.0" } else { "0.5" }, if r { "Nearest" } else { "Stochastic" });
        let node = if node { "small" } else { "accuracy" };
        format!("{node}(dropout={dropout},seed={s},e={e},m={m},rounding={rounding})")
    });
    let net = (0..3, any::<bool>())
        .prop_map(|(s, net)| format!("{}(dropout=0.5,seed={s})", if net { "net" } else { "full" }));
    prop_oneof![4 => small, 2 => net, 1 => Just("mnist".to_owned()), 1 => Just("nobody(x=1)".to_owned())]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => -2.0..2.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(1e300), 1 => Just(0.0)]
}

fn metrics() -> impl Strategy<Value = BTreeMap<String, f64>> {
    let name = prop_oneof![
        Just("accuracy"),
        Just("bits_per_weight"),
        Just("train_loss"),
        Just("train_accuracy"),
        Just("loss\u{1b}[31m"),
    ];
    prop::collection::btree_map(name.prop_map(str::to_owned), number(), 0..5)
}

fn event() -> impl Strategy<Value = Event> {
    let text = "[ -~\\n\\u{1b}é漢🎉]{0,300}";
    prop_oneof![
        task().prop_map(|task| Event::Started { task, key: "ab".to_owned(), reason: Reason::New, on: None }),
        (task(), any::<u64>(), any::<u64>(), metrics())
            .prop_map(|(task, done, total, metrics)| Event::Progressed { task, done, total, metrics }),
        task().prop_map(|task| Event::Computed { task }),
        (task(), task()).prop_map(|(task, because)| Event::Postponed { task, because }),
        (task(), metrics(), number()).prop_map(|(task, metrics, seconds)| Event::Completed {
            task,
            key: String::new(),
            metrics,
            seconds
        }),
        (task(), prop::option::of(task())).prop_map(|(task, same_as)| Event::Reused {
            task,
            key: String::new(),
            same_as
        }),
        (task(), number()).prop_map(|(task, seconds)| Event::Rebuilt { task, seconds }),
        (task(), text).prop_map(|(task, error)| Event::Failed { task, error }),
        (task(), task()).prop_map(|(task, because)| Event::Skipped { task, because }),
        text.prop_map(|message| Event::Warned { message }),
        Just(Event::Draining),
        Just(Event::Interrupted),
        (0..5_usize, 0..5_usize, number()).prop_map(|(ran, failed, seconds)| {
            Event::Finished(Summary { tasks: 229, ran, failed, seconds, ..Summary::default() })
        }),
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    let keys = TABLE.iter().map(|binding| binding.keys.len()).sum::<usize>();
    prop_oneof![
        8 => (0..keys).prop_map(Thing::Key),
        2 => prop_oneof![any::<char>(), Just('='), Just('e'), Just('2')].prop_map(Thing::Typed),
        2 => (0..310_u16, 0..70_u16, any::<bool>()).prop_map(|(x, y, click)| Thing::Mouse(x, y, click)),
        2 => prop_oneof![(1..300_u16, 1..60_u16), (0..6_u16, 0..6_u16)].prop_map(|(w, h)| Thing::Size(w, h)),
        8 => (number(), event()).prop_map(|(at, event)| Thing::Happens(at, event)),
        1 => Just(Thing::Gone),
        1 => Just(Thing::Reopened),
        1 => Just(Thing::Broken),
        1 => Just(Thing::Ends),
    ]
}

fn feed(bench: &mut Bench, thing: Thing) {
    match thing {
        Thing::Key(at) => {
            let key = TABLE.iter().flat_map(|binding| binding.keys).nth(at).expect("a key");
            bench.tell(Update::Key(key_event(key)));
        }
        Thing::Typed(c) => bench.type_text(&c.to_string()),
        Thing::Mouse(column, row, click) => {
            let kind =
                if click { MouseEventKind::Down(MouseButton::Left) } else { MouseEventKind::ScrollDown };
            bench.tell(Update::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
        }
        Thing::Size(width, height) => bench.tell(Update::Size(width, height)),
        Thing::Happens(at, event) => bench.happen(at, event),
        Thing::Gone => bench.tell(Update::Gone),
        Thing::Reopened => {
            let opened = opened(&bench.graph, 20);
            bench.tell(Update::Opened(Box::new(opened)));
        }
        Thing::Broken => {
            let wanted = TableRequest { table: 2, other_cost: false };
            // A table's name comes from a file, and may hold control characters.
            let error = TableError::TooManyRows { table: "mixed\u{1b}[2J".to_owned(), most: 7 };
            bench.tell(Update::Table(wanted, Err(TableFailure::Results(error))));
        }
        Thing::Ends => bench.tell(Update::Ended(Summary::default())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_counts_add_up(
        done in 0..229_usize,
        ascii in any::<bool>(),
        depth in 0..4_usize,
        things in prop::collection::vec(thing(), 1..60),
    ) {
        let mut bench = Bench::new((80, 24), done);
        let depth = [Depth::None, Depth::Ansi, Depth::Indexed, Depth::True][depth];
        bench.app.theme = Theme { depth, ascii };
        for thing in things {
            feed(&mut bench, thing);
            let buf = bench.buffer();
            for cell in buf.content() {
                prop_assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
            }
            let run = bench.app.run.as_ref().expect("a study");
            let total = run.total();
            prop_assert_eq!(total.tasks, 229);
            let ended = total.done + total.cached + total.failed + total.skipped;
            prop_assert_eq!(ended + total.running + total.saving + total.waiting(), total.tasks);
            prop_assert_eq!(run.jobs.running(), total.running);
        }
    }
}

#[test]
fn every_size_can_be_drawn() {
    let sizes: Vec<(u16, u16)> = (1..=30)
        .flat_map(|w| (1..=12).map(move |h| (w, h)))
        .chain((1..=300).step_by(7).map(|w| (w, 25)))
        .collect();
    for view in ["1", "2", "3", "4", "5", "6", "?", "q"] {
        let mut bench = Bench::new((80, 24), 229);
        bench.press(&["6", "Down", "p", "3", "p", view]);
        for &size in &sizes {
            bench.tell(Update::Size(size.0, size.1));
            bench.frame();
        }
    }
}

#[test]
fn an_empty_experiment_and_one_without_tables_can_be_drawn() {
    let text = r#"Experiment(name: "bare", nodes: { "mnist": Dataset(source: Mnist10k) })"#;
    let bare = graph(text);
    let mut bench = Bench::new((80, 24), 0);
    bench.tell(Update::Opened(Box::new(opened(&bare, 0))));
    for view in ["1", "2", "3", "4", "5", "6"] {
        bench.press(&[view, "Down", "Enter", "c", "p", "s", "t"]);
        bench.frame();
    }
}
