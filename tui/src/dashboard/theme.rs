//! Colours and glyphs, as far as the terminal supports them. A task status is always shown as a glyph or a word; colour
//! only repeats it.
//! Knows nothing of the views.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;

use super::task_status::TaskStatus;

/// The colours that a terminal supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// No colours: bold, dim and reversed only.
    None,
    /// The sixteen colours whose values the terminal chooses.
    Ansi,
    /// The palette of 256 colours.
    Indexed,
    /// 24-bit colours.
    True,
}

/// The colours and glyphs to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// The supported colours.
    pub depth: Depth,
    /// Whether only ASCII characters are used.
    pub ascii: bool,
}

/// The colours from low to high values: six steps of viridis (van der Walt and Smith, 2015), dark to light.
const HEAT: [(u8, u8, u8); 6] =
    [(68, 1, 84), (65, 68, 135), (42, 120, 142), (34, 168, 132), (122, 209, 81), (253, 231, 37)];
/// The colours from low to high values, for terminals with sixteen colours.
const HEAT_ANSI: [Color; 5] = [Color::Blue, Color::Magenta, Color::Cyan, Color::Green, Color::Yellow];
const CURVES: [Color; 6] =
    [Color::Cyan, Color::Magenta, Color::Green, Color::Yellow, Color::Blue, Color::Red];

impl Theme {
    /// Chooses the colours of a terminal from its environment variables `TERM` and `COLORTERM`.
    #[must_use]
    pub fn for_terminal(colored: bool, term: &str, colorterm: &str, ascii: bool) -> Self {
        let depth = match (colored, colorterm, term) {
            (false, _, _) => Depth::None,
            // The terminals of DEC have no colours, and programs that stand for them may show the codes.
            (_, _, term) if term.starts_with("vt") => Depth::None,
            (_, "truecolor" | "24bit", _) => Depth::True,
            (_, _, term) if term.contains("256color") => Depth::Indexed,
            _ => Depth::Ansi,
        };
        // The Linux console has neither block elements nor Braille.
        Self { depth, ascii: ascii || term == "linux" }
    }

    fn color(self, color: Color) -> Style {
        if self.depth == Depth::None { Style::new() } else { Style::new().fg(color) }
    }

    /// Returns the style of headings and of the focused pane.
    #[must_use]
    pub fn strong(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of less important text.
    #[must_use]
    #[expect(clippy::unused_self, reason = "all styles are asked of the theme")]
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Returns the style of failures and problems.
    #[must_use]
    pub fn bad(self) -> Style {
        self.color(Color::Red)
    }

    /// Returns the style of success.
    #[must_use]
    pub fn good(self) -> Style {
        self.color(Color::Green)
    }

    /// Returns the style of items that need attention.
    #[must_use]
    pub fn notice(self) -> Style {
        self.color(Color::Magenta)
    }

    /// Returns the style of a value that an edit changed.
    #[must_use]
    pub fn changed(self) -> Style {
        self.color(Color::Magenta).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// Returns the style of the row or tab under the cursor.
    #[must_use]
    #[expect(clippy::unused_self, reason = "all styles are asked of the theme")]
    pub fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Returns the style of the n-th curve; colours repeat after six curves.
    #[must_use]
    pub fn curve(self, n: usize) -> Style {
        self.color(CURVES[n % CURVES.len()])
    }

    /// Returns the style of a task status.
    #[must_use]
    pub fn status(self, status: TaskStatus) -> Style {
        match status {
            TaskStatus::Done => self.good(),
            TaskStatus::Failed => self.bad(),
            TaskStatus::Running | TaskStatus::Saving => self.notice(),
            TaskStatus::Waiting | TaskStatus::Cached | TaskStatus::Skipped => self.dim(),
        }
    }

    /// Returns the glyph of a task status.
    #[must_use]
    pub fn glyph(self, status: TaskStatus) -> &'static str {
        match (status, self.ascii) {
            (TaskStatus::Waiting, false) => "·",
            (TaskStatus::Cached, false) => "≡",
            (TaskStatus::Running, false) => "▶",
            (TaskStatus::Saving, false) => "↓",
            (TaskStatus::Done, false) => "✓",
            (TaskStatus::Failed, false) => "✗",
            (TaskStatus::Skipped, false) => "⊘",
            (TaskStatus::Waiting, true) => ".",
            (TaskStatus::Cached, true) => "=",
            (TaskStatus::Running, true) => ">",
            (TaskStatus::Saving, true) => "v",
            (TaskStatus::Done, true) => "+",
            (TaskStatus::Failed, true) => "x",
            (TaskStatus::Skipped, true) => "-",
        }
    }

    /// Returns the glyph, or its plain form in ASCII mode.
    #[must_use]
    pub fn pick(self, glyph: &'static str, plain: &'static str) -> &'static str {
        if self.ascii { plain } else { glyph }
    }

    /// Returns the marker that curves are drawn with.
    #[must_use]
    pub fn marker(self) -> Marker {
        if self.ascii { Marker::Dot } else { Marker::Braille }
    }

    /// Returns the full and the empty part of a progress bar of `width` cells, of which `share` (0 to 1) is full.
    #[must_use]
    pub fn bar(self, share: f64, width: usize) -> (String, String) {
        let full = ((share.clamp(0.0, 1.0) * width as f64) as usize).min(width);
        let (on, off) = (self.pick("█", "#"), self.pick("░", "."));
        (on.repeat(full), off.repeat(width - full))
    }

    /// Returns the style of a heat map cell whose value lies at `share` (0 to 1) between the smallest and the largest.
    #[must_use]
    pub fn heat(self, share: f64) -> Style {
        let share = share.clamp(0.0, 1.0);
        let step = |steps: usize| ((share * steps as f64) as usize).min(steps - 1);
        match self.depth {
            Depth::None => Style::new(),
            Depth::Ansi => Style::new().bg(HEAT_ANSI[step(HEAT_ANSI.len())]).fg(Color::Black),
            Depth::Indexed | Depth::True => {
                let (red, green, blue) = blend(share);
                // A light background gets dark text; relative luminance decides.
                let light = 2 * u32::from(red) + 7 * u32::from(green) + u32::from(blue) > 1300;
                let text = if light { Color::Black } else { Color::White };
                let ground = match self.depth {
                    Depth::True => Color::Rgb(red, green, blue),
                    _ => Color::Indexed(nearest(red, green, blue)),
                };
                Style::new().bg(ground).fg(text)
            }
        }
    }

    /// Returns a glyph for `share` (0 to 1), for heat maps without colours.
    #[must_use]
    pub fn level(self, share: f64) -> &'static str {
        const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const PLAIN: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
        let step = ((share.clamp(0.0, 1.0) * 8.0) as usize).min(7);
        if self.ascii { PLAIN[step] } else { BARS[step] }
    }
}

fn blend(share: f64) -> (u8, u8, u8) {
    let place = share * (HEAT.len() - 1) as f64;
    let (from, part) =
        ((place as usize).min(HEAT.len() - 2), place - place.floor().min(HEAT.len() as f64 - 2.0));
    let ((r0, g0, b0), (r1, g1, b1)) = (HEAT[from], HEAT[from + 1]);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    (mix(r0, r1), mix(g0, g1), mix(b0, b1))
}

/// Returns the nearest colour of the 6×6×6 cube in the palette of 256.
fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    let step = |value: u8| (u16::from(value) * 5 + 127) / 255;
    (16 + 36 * step(red) + 6 * step(green) + step(blue)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_the_terminal_has() {
        let check = |colored, term, colorterm, depth| {
            assert_eq!(
                Theme::for_terminal(colored, term, colorterm, false).depth,
                depth,
                "{term} {colorterm}"
            );
        };
        check(true, "xterm-256color", "truecolor", Depth::True);
        check(true, "tmux-256color", "", Depth::Indexed);
        check(true, "xterm", "", Depth::Ansi);
        check(false, "xterm-256color", "truecolor", Depth::None);
        assert!(Theme::for_terminal(true, "linux", "", false).ascii);
    }

    #[test]
    fn heat_runs_from_dark_to_light() {
        assert_eq!(blend(0.0), HEAT[0]);
        assert_eq!(blend(1.0), HEAT[5]);
        assert_eq!(nearest(255, 255, 255), 231);
        assert_eq!(nearest(0, 0, 0), 16);
        let theme = Theme { depth: Depth::None, ascii: true };
        assert_eq!((theme.level(0.0), theme.level(1.0), theme.level(f64::NAN)), ("0", "7", "0"));
        assert_eq!(theme.bar(0.5, 4), ("##".to_owned(), "..".to_owned()));
    }
}
