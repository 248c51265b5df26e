//! Lines, lists and panes in a buffer. Functions here write only to the area they are given.
//! Knows nothing of the content.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cursor::Cursor;
use super::theme::Theme;

/// Writes a line of at most `width` cells at a position; cells outside the buffer are left out.
pub fn put(buf: &mut Buffer, x: u16, y: u16, width: u16, line: Line<'_>) {
    line.render(Rect { x, y, width, height: 1 }.intersection(buf.area), buf);
}

/// Writes lines from the top of an area, as many as fit.
pub fn put_all<'l>(buf: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = Line<'l>>) {
    for (row, line) in (area.y..area.bottom()).zip(lines) {
        put(buf, area.x, row, area.width, line);
    }
}

/// Splits at most `height` lines off the top of an area; returns them and the rest.
#[must_use]
pub fn top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// Splits at most `width` columns off the left of an area; returns them, and the rest after one empty column.
#[must_use]
pub fn left(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    let rest = (area.width - width).saturating_sub(1);
    (Rect { width, ..area }, Rect { x: area.right() - rest, width: rest, ..area })
}

/// Writes a pane's heading on the first line of an area; returns the rest of the area.
pub fn heading(buf: &mut Buffer, area: Rect, text: &str, focus: bool, theme: Theme) -> Rect {
    let (first, rest) = top(area, 1);
    let style = if focus { theme.strong() } else { theme.dim() };
    let mark = if focus { theme.pick("▸ ", "> ") } else { "  " };
    put(buf, first.x, first.y, first.width, Line::from(format!("{mark}{text}")).style(style));
    rest
}

/// Writes the visible part of a list around a cursor. `line` returns the line of an item, and `style` marks the
/// selected one.
pub fn list<'l>(
    buf: &mut Buffer,
    area: Rect,
    cursor: Cursor,
    len: usize,
    style: Option<ratatui::style::Style>,
    line: impl Fn(usize) -> Line<'l>,
) {
    let seen = cursor.window(len, usize::from(area.height));
    for (row, item) in (area.y..area.bottom()).zip(seen) {
        put(buf, area.x, row, area.width, line(item));
        if let Some(style) = style.filter(|_| item == cursor.within(len)) {
            buf.set_style(Rect { y: row, height: 1, ..area }, style);
        }
    }
}

/// Returns the item of a list that is visible at a row.
#[must_use]
pub fn item_at(area: Rect, cursor: Cursor, len: usize, row: u16) -> Option<usize> {
    let seen = cursor.window(len, usize::from(area.height));
    let at = seen.start + usize::from(row.checked_sub(area.y)?);
    (row < area.bottom() && at < seen.end).then_some(at)
}

/// Returns the number of terminal columns that a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Shortens a text to a width by cutting its middle, because names differ at both ends.
#[must_use]
pub fn shorten(text: &str, width: usize, theme: Theme) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let dots = theme.pick("…", "~");
    let keep = width.saturating_sub(1);
    let head = start(text.chars(), keep - keep / 2);
    let tail: String = start(text.chars().rev(), keep / 2).chars().rev().collect();
    if width == 0 { String::new() } else { format!("{head}{dots}{tail}") }
}

/// Shortens a text to a width by cutting its end.
#[must_use]
pub fn cut(text: &str, width: usize, theme: Theme) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let kept = start(text.chars(), width.saturating_sub(1));
    if width == 0 { String::new() } else { format!("{kept}{}", theme.pick("…", "~")) }
}

/// Returns the first letters that fit into a width.
fn start(letters: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or(0);
        used <= width
    };
    letters.take_while(fits).collect()
}

/// Fills a text with spaces up to a width: after it, or before it for numbers.
#[must_use]
pub fn pad(text: &str, width: usize, is_number: bool) -> String {
    let spaces = " ".repeat(width.saturating_sub(text.width()));
    if is_number { spaces + text } else { format!("{text}{spaces}") }
}

/// Shrinks the widest of some widths until their sum is at most `most`, or all are 3.
pub fn shrink(widths: &mut [usize], most: usize) {
    let mut sum: usize = widths.iter().sum();
    while sum > most {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > 3) else { return };
        *widest -= 1;
        sum -= 1;
    }
}

/// Breaks a text into lines of at most `width` characters, at spaces where possible.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![];
    for paragraph in text.lines() {
        let indent = paragraph.len() - paragraph.trim_start_matches(' ').len();
        let mut line = String::new();
        for word in paragraph.split_inclusive(' ') {
            let (used, more) = (line.chars().count(), word.trim_end().chars().count());
            if used + more > width && used > indent {
                lines.push(
                    std::mem::replace(&mut line, " ".repeat(indent.min(width / 2))).trim_end().to_owned(),
                );
            }
            line.push_str(word);
            while line.chars().count() > width {
                let head: String = line.chars().take(width).collect();
                line = line.chars().skip(width).collect();
                lines.push(head);
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Joins spans into a line.
pub fn line<'s>(spans: impl IntoIterator<Item = Span<'s>>) -> Line<'s> {
    Line::from(spans.into_iter().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::theme::Depth;

    #[test]
    fn texts_are_cut_in_the_middle() {
        let theme = Theme { depth: Depth::None, ascii: false };
        let check = |text, width, expected: &str| assert_eq!(shorten(text, width, theme), expected);
        check("net(seed=0)", 20, "net(seed=0)");
        check("net(seed=0)", 7, "net…=0)");
        check("net(seed=0)", 1, "…");
        check("net(seed=0)", 0, "");
        // East Asian letters take two columns each.
        check("漢字漢字", 8, "漢字漢字");
        check("漢字漢字", 7, "漢…字");
        check("漢字漢字", 6, "漢…字");
    }

    #[test]
    fn wide_letters_are_padded_by_their_columns() {
        assert_eq!((pad("漢字", 6, false), pad("漢字", 6, true)), ("漢字  ".to_owned(), "  漢字".to_owned()));
        assert_eq!(pad("long", 2, false), "long");
    }

    #[test]
    fn the_widest_column_shrinks_first() {
        let check = |widths: &[usize], most, expected: &[usize]| {
            let mut widths = widths.to_vec();
            shrink(&mut widths, most);
            assert_eq!(widths, expected);
        };
        check(&[10, 4], 20, &[10, 4]);
        check(&[10, 4], 9, &[5, 4]);
        check(&[10, 4], 2, &[3, 3]);
        check(&[], 0, &[]);
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("  indented words here", 12), ["  indented", "  words here"]);
        assert_eq!(wrap("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(wrap("", 4), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 2));
        put(&mut buf, 3, 1, 10, Line::from("abc"));
        put(&mut buf, 9, 9, 10, Line::from("abc"));
        assert_eq!(buf, Buffer::with_lines(["    ", "   a"]));
        assert_eq!(left(Rect::new(0, 0, 4, 2), 9).1.width, 0);
    }
}
