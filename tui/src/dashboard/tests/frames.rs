//! Snapshots of every view at four sizes.

use insta::assert_snapshot;

use super::bench::Bench;
use crate::dashboard::theme::{Depth, Theme};

const SIZES: [(u16, u16); 4] = [(120, 40), (80, 24), (60, 20), (40, 10)];

/// Compares the frame after these keys with its snapshot, at each size.
fn check(name: &str, done: usize, keys: &[&str]) {
    for size in SIZES {
        let mut bench = Bench::new(size, done);
        bench.press(keys);
        assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), bench.frame());
    }
}

#[test]
fn the_run() {
    check("run", 30, &["Down", "Down"]);
}

#[test]
fn training() {
    check("training", 10, &["2", "Space", "Down", "Space"]);
}

#[test]
fn the_tables_as_heat_maps() {
    check("tradeoff-map", 229, &["3", "Right", "p", "Down"]);
}

#[test]
fn the_tables_as_lists() {
    check("tradeoff-list", 100, &["3", "s", "Down"]);
}

#[test]
fn the_front() {
    check("pareto", 229, &["4", "Down", "Down"]);
}

#[test]
fn a_task() {
    check("task", 30, &["5", "Down", "Down"]);
}

#[test]
fn past_runs() {
    check("runs", 30, &["6", "Down", "p"]);
}

#[test]
fn the_keys() {
    check("help", 5, &["?"]);
}

#[test]
fn what_becomes_of_the_run() {
    check("quit", 20, &["q"]);
}

#[test]
fn a_filter_being_typed() {
    let mut bench = Bench::new((80, 24), 229);
    bench.press(&["3", "v", "/"]);
    bench.type_text("e=2 rounding=stochastic");
    assert_snapshot!("filter-80x24", bench.frame());
}

#[test]
fn ascii_has_ascii_only() {
    for view in ["1", "2", "3", "4", "5", "6", "?"] {
        let mut bench = Bench::new((100, 30), 60);
        bench.app.theme = Theme { depth: Depth::Ansi, ascii: true };
        bench.press(&[view]);
        let frame = bench.frame();
        let strange: String = frame.chars().filter(|c| !c.is_ascii()).collect();
        assert_eq!(strange, "", "{view}:\n{frame}");
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    for view in ["1", "2", "3", "4", "5", "6"] {
        let mut bench = Bench::new((120, 40), 60);
        bench.press(&[view]);
        for cell in bench.buffer().content() {
            use ratatui::style::Color;
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{view}: {}", cell.symbol());
        }
    }
}
