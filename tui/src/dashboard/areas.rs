//! The areas of the screen.

use ratatui::layout::Rect;

use super::paint::top;

/// The parts of the screen.
pub struct Areas {
    /// The tabs.
    pub tabs: Rect,
    /// The view.
    pub body: Rect,
    /// The notice; empty without one.
    pub notice: Rect,
    /// The status line.
    pub status: Rect,
    /// The key hints; empty on a low screen.
    pub hints: Rect,
}

/// Divides a screen of `width` columns and `height` rows. The notice has as many of its lines as fit in half of the room.
#[must_use]
pub fn areas((width, height): (u16, u16), notice: usize) -> Areas {
    let (tabs, rest) = top(Rect::new(0, 0, width, height), 1);
    let below = match rest.height {
        0 | 1 => 0,
        2..=7 => 1,
        _ => 2,
    };
    let (middle, below) = top(rest, rest.height - below);
    let noticed = notice.min(usize::from(middle.height / 2)) as u16;
    let (body, notice) = top(middle, middle.height - noticed);
    let (status, hints) = top(below, 1);
    Areas { tabs, body, notice, status, hints }
}
