//! The table of all keys. The dashboard looks actions up in it, and the help shows it.
//! Does not know how an action is carried out.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::cursor::Motion;
use super::view_name::View;

/// The action of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Show the next view.
    NextView,
    /// Show the previous view.
    PreviousView,
    /// Show this view.
    Show(View),
    /// Move the cursor in the focused list.
    Go(Motion),
    /// Move one column or pane to the left.
    Left,
    /// Move one column or pane to the right.
    Right,
    /// Open the item under the cursor.
    Open,
    /// Go back: close the overlay, clear the filter or return to the view before.
    Back,
    /// Type a filter.
    Filter,
    /// Sort by the column under the cursor, or in the next order.
    Sort,
    /// Reverse the sort order.
    Reverse,
    /// Hide the column under the cursor.
    HideColumn,
    /// Show all columns, in the order of the table.
    ResetColumns,
    /// Move the column under the cursor to the left.
    ShiftLeft,
    /// Move the column under the cursor to the right.
    ShiftRight,
    /// Mark or unmark the item under the cursor.
    Mark,
    /// Pin the item under the cursor as the baseline of comparisons.
    Pin,
    /// Copy the row under the cursor.
    Copy,
    /// Switch between a linear and a logarithmic axis.
    LogAxis,
    /// Show the next table of the experiment.
    NextTable,
    /// Show the previous table of the experiment.
    PreviousTable,
    /// Switch between heat map and list.
    Layout,
    /// Switch between bits per weight and bytes.
    Cost,
    /// Run the edit that waits, or the newest version again.
    Newest,
    /// Run the version before again.
    Before,
    /// Pin the version before as the baseline of comparisons.
    PinBefore,
    /// Show the keys.
    Help,
    /// Leave the dashboard.
    Quit,
    /// Stop the run; a second time, exit at once.
    Interrupt,
    /// Suspend the process.
    Suspend,
    /// Redraw the whole frame.
    Redraw,
}

/// One row of the table.
pub struct Binding {
    /// The names of the keys, as the help shows them.
    pub keys: &'static [&'static str],
    /// Their action.
    pub action: Action,
    /// The action in words.
    pub words: &'static str,
}

const fn key(keys: &'static [&'static str], action: Action, words: &'static str) -> Binding {
    Binding { keys, action, words }
}

/// All key bindings.
pub const TABLE: &[Binding] = &[
    key(&["Tab"], Action::NextView, "next view"),
    key(&["Shift-Tab"], Action::PreviousView, "previous view"),
    key(&["1"], Action::Show(View::Run), "the run: progress, nodes, log"),
    key(&["2"], Action::Show(View::Training), "training curves"),
    key(&["3"], Action::Show(View::Tables), "the file's tables"),
    key(&["4"], Action::Show(View::Pareto), "accuracy against size"),
    key(&["5"], Action::Show(View::Task), "everything about one task"),
    key(&["6"], Action::Show(View::Runs), "past runs: replay, compare"),
    key(&["Up", "k"], Action::Go(Motion::Up), "up"),
    key(&["Down", "j"], Action::Go(Motion::Down), "down"),
    key(&["Left", "h"], Action::Left, "column or pane to the left"),
    key(&["Right", "l"], Action::Right, "column or pane to the right"),
    key(&["PgUp", "Ctrl-U"], Action::Go(Motion::PageUp), "a page up"),
    key(&["PgDn", "Ctrl-D"], Action::Go(Motion::PageDown), "a page down"),
    key(&["g", "Home"], Action::Go(Motion::First), "to the top"),
    key(&["G", "End"], Action::Go(Motion::Last), "to the end; a log follows again"),
    key(&["Enter"], Action::Open, "open the item at the cursor"),
    key(&["Esc", "Backspace"], Action::Back, "back; clears a filter"),
    key(&["/"], Action::Filter, "filter: e=3 rounding=stochastic, m>=2, state=failed, a name"),
    key(&["s"], Action::Sort, "sort by the column at the cursor; tasks: by the next order"),
    key(&["S"], Action::Reverse, "sort the other way round"),
    key(&["x"], Action::HideColumn, "hide the column at the cursor"),
    key(&["X"], Action::ResetColumns, "show all columns again"),
    key(&["<"], Action::ShiftLeft, "move the column to the left"),
    key(&[">"], Action::ShiftRight, "move the column to the right"),
    key(&["Space"], Action::Mark, "mark: the trainings or runs whose curves are shown"),
    key(&["p"], Action::Pin, "pin as baseline: a cell, a point, a past run"),
    key(&["c"], Action::Copy, "copy the row"),
    key(&["y"], Action::LogAxis, "logarithmic axis"),
    key(&["t"], Action::NextTable, "next table"),
    key(&["T"], Action::PreviousTable, "previous table"),
    key(&["v"], Action::Layout, "heat map or list"),
    key(&["b"], Action::Cost, "bits per weight or bytes"),
    key(&["r"], Action::Newest, "with --watch: the edit that waits; after u, the newest one"),
    key(&["u"], Action::Before, "with --watch: the version before again; drops a waiting edit"),
    key(&["B"], Action::PinBefore, "with --watch: the version before as baseline"),
    key(&["?"], Action::Help, "these keys"),
    key(&["q"], Action::Quit, "leave; while running, asks how the run goes on"),
    key(&["Ctrl-C"], Action::Interrupt, "stop the run; again: at once"),
    key(&["Ctrl-Z"], Action::Suspend, "to the shell; fg comes back"),
    key(&["Ctrl-L"], Action::Redraw, "draw anew"),
];

/// Returns the action of a key; `None` if the key has none.
#[must_use]
pub fn action(key: KeyEvent) -> Option<Action> {
    let name = name(key)?;
    TABLE.iter().find(|binding| binding.keys.contains(&name.as_str())).map(|binding| binding.action)
}

/// Returns the name of an action's first key, as the help shows it; empty if it has no key.
#[must_use]
pub fn keys_of(action: Action) -> &'static str {
    TABLE.iter().find(|binding| binding.action == action).map_or("", |binding| binding.keys[0])
}

/// Returns the name of a key in the table; `None` for a key that no binding can name.
#[must_use]
pub fn name(key: KeyEvent) -> Option<String> {
    let plain = match key.code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => c.to_uppercase().to_string(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Tab => "Tab".to_owned(),
        KeyCode::BackTab => return Some("Shift-Tab".to_owned()),
        KeyCode::Enter => "Enter".to_owned(),
        KeyCode::Esc => "Esc".to_owned(),
        KeyCode::Backspace => "Backspace".to_owned(),
        KeyCode::Up => "Up".to_owned(),
        KeyCode::Down => "Down".to_owned(),
        KeyCode::Left => "Left".to_owned(),
        KeyCode::Right => "Right".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        KeyCode::Home => "Home".to_owned(),
        KeyCode::End => "End".to_owned(),
        _ => return None,
    };
    Some(if key.modifiers.contains(KeyModifiers::CONTROL) { format!("Ctrl-{plain}") } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_once() {
        let all: Vec<&str> = TABLE.iter().flat_map(|binding| binding.keys).copied().collect();
        for (at, key) in all.iter().enumerate() {
            assert!(!all[..at].contains(key), "{key}");
        }
    }

    #[test]
    fn keys_are_found_by_what_the_terminal_sends() {
        let check = |code, modifiers, expected| {
            assert_eq!(action(KeyEvent::new(code, modifiers)), expected, "{code:?}");
        };
        check(KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Action::Interrupt));
        check(KeyCode::Char('c'), KeyModifiers::NONE, Some(Action::Copy));
        check(KeyCode::Char('G'), KeyModifiers::SHIFT, Some(Action::Go(Motion::Last)));
        check(KeyCode::BackTab, KeyModifiers::SHIFT, Some(Action::PreviousView));
        check(KeyCode::Char('#'), KeyModifiers::NONE, None);
        check(KeyCode::F(1), KeyModifiers::NONE, None);
    }
}
