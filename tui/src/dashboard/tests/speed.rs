//! The time of a frame and a key with ten thousand tasks.

use std::time::Instant;

use fewbits_engine::event::Event;
use fewbits_engine::reason::Reason;
use fewbits_engine::run_log::LoggedEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::bench::{STUDY, graph, metrics, opened};
use crate::dashboard::app::App;
use crate::dashboard::messages::Update;
use crate::dashboard::screen;
use crate::dashboard::shown_table::TableRequest;
use crate::dashboard::theme::{Depth, Theme};
use crate::dashboard::view_name::ALL;
use fewbits_engine::table::results::Results;

/// The limit of a frame's time: 20 ms in optimized code. Unoptimized code gets ten times as much, and that still
/// reveals work that grows with the number of tasks.
const FRAME_MS: f64 = if cfg!(debug_assertions) { 200.0 } else { 20.0 };

#[test]
fn a_frame_of_ten_thousand_tasks_is_fast() {
    let text = STUDY.replace("Range(0, 2),\n        \"e\"", "Range(0, 129),\n        \"e\"");
    // Without replication every seed is a point of its own.
    let text = text.replace("\"accuracy.accuracy\", replicate: \"seed\")", "\"accuracy.accuracy\")");
    let graph = graph(&text);
    assert!(graph.len() > 9_800, "{}", graph.len());
    let mut app = App::new(Theme { depth: Depth::True, ascii: false }, (200, 60), None);
    app.update(1.0, Update::Opened(Box::new(opened(&graph, 1))));
    let mut results = Results::none(graph.len());
    let mut lines = vec![];
    for task in graph.tasks().skip(1) {
        let (name, metrics) = (graph.name(task), metrics(&graph, task));
        results.learn(task, metrics.clone(), 0.01);
        let at = task.index() as f64 * 0.01;
        lines.push(LoggedEvent {
            at,
            event: Event::Started { task: name.clone(), key: String::new(), reason: Reason::New, on: None },
        });
        lines.push(LoggedEvent {
            at,
            event: Event::Completed { task: name, key: String::new(), metrics, seconds: 0.01 },
        });
    }
    let start = Instant::now();
    app.update(2.0, Update::Happened(lines));
    println!("folding {} tasks: {:?}", graph.len(), start.elapsed());
    for table in 0..3 {
        let wanted = TableRequest { table, other_cost: false };
        let start = Instant::now();
        let made = super::bench::table(&graph, &results, wanted).expect("a table");
        println!("table {table}: {:?}", start.elapsed());
        app.update(3.0, Update::Table(wanted, Ok(std::sync::Arc::new(made))));
    }
    for view in ALL {
        app.show(view);
        let key = super::bench::key_event("Down");
        let mut took = vec![];
        for second in 0..5 {
            let start = Instant::now();
            app.update(10.0 + f64::from(second), Update::Key(key));
            let mut buf = Buffer::empty(Rect::new(0, 0, 200, 60));
            screen::draw(&app, &mut buf);
            took.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        took.sort_by(f64::total_cmp);
        println!("{view:?}: key and frame {:.2} ms (median), {:.2} ms (most)", took[2], took[4]);
        assert!(took[2] < FRAME_MS, "{view:?}: {took:?}");
    }
}
