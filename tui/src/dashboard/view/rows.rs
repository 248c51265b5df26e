//! A table as a list: one row per point, with its axes and then its values, each with its interval. The columns of axes
//! stay while the values scroll.
//! Knows nothing of keys.

use std::ops::Range;

use fewbits_engine::table::sheet::Cell;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::difference::{difference, is_compared};
use super::selected_table::{listing, shown_table, why_empty};
use crate::dashboard::app::App;
use crate::dashboard::paint::{
    cut, item_at, line, list, pad, put, put_all, shorten, shrink, top, width, wrap,
};
use crate::dashboard::shown_table::ListedRows;
use crate::render::table::heading_lines;
use crate::ui::plain::printable;

/// The number of characters for a difference beside a value.
const DIFFERENCE: usize = 18;
/// The smallest width of a column of values.
const NARROW: usize = 8;
/// The widest heading that widens a column of values where not all columns fit.
const WIDE_HEADING: usize = 24;

/// The columns of a list, each with its width in characters; two spaces follow every column.
struct Columns<'a> {
    app: &'a App,
    listing: ListedRows<'a>,
    widths: Vec<usize>,
    /// The headings, broken into lines.
    headings: Vec<Vec<String>>,
    /// The visible columns: those of axes, then some of values.
    visible: Vec<usize>,
    /// Whether columns of values are left out on the left and on the right.
    more: [bool; 2],
    /// The column under the cursor.
    cursor: Option<usize>,
}

/// An item of the list at a position on the screen.
pub enum ListItem {
    /// The heading of a column.
    Heading(usize),
    /// A row, by its index in the list.
    Row(usize),
}

/// Draws the list.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(columns) = Columns::new(app, area) else { return };
    let (head, body) = top(area, columns.head_height());
    put_all(buf, head, columns.head());
    columns.mark_more(head, buf);
    let rows = &columns.listing.rows;
    if rows.is_empty() {
        let why = shown_table(app).map(|shown| why_empty(shown, &app.tables_view.filter)).unwrap_or_default();
        let lines = wrap(&printable(&why), usize::from(body.width)).into_iter();
        put_all(buf, body, lines.map(|text| Line::from(text).style(app.theme.dim())));
    }
    list(buf, body, app.tables_view.cursor, rows.len(), Some(app.theme.cursor()), |at| columns.row(rows[at]));
}

/// Returns the item at a position on the screen.
#[must_use]
pub fn item(app: &App, area: Rect, at: Position) -> Option<ListItem> {
    let columns = Columns::new(app, area)?;
    let (head, body) = top(area, columns.head_height());
    if head.contains(at) {
        return columns.at(usize::from(at.x - head.x)).map(ListItem::Heading);
    }
    item_at(body, app.tables_view.cursor, columns.listing.rows.len(), at.y).map(ListItem::Row)
}

impl<'a> Columns<'a> {
    fn new(app: &'a App, area: Rect) -> Option<Self> {
        let listing = listing(app)?;
        let sheet = &listing.shown.sheet;
        let headings: Vec<Vec<String>> = sheet.headings.iter().map(|text| heading_lines(text)).collect();
        let more = if is_compared(app) { DIFFERENCE } else { 0 };
        let width = |column: usize, widest: usize| {
            let is_value = column >= sheet.axes;
            // One more column is for the mark of the sorted column.
            let heading = headings[column].iter().map(|line| width(line) + 1).max().unwrap_or(0);
            let heading = if is_value { heading.min(widest) } else { heading };
            let cells = listing.shown.widths[column] + if is_value { more } else { 0 };
            cells.max(heading).max(if is_value { NARROW } else { 1 })
        };
        let all = |widest: usize| -> Vec<usize> {
            (0..sheet.headings.len()).map(|column| width(column, widest)).collect()
        };
        let room = usize::from(area.width);
        // A heading is cut before it takes the room of values.
        let mut widths = all(usize::MAX);
        if widths.iter().map(|width| width + 2).sum::<usize>() > room + 2 {
            widths = all(WIDE_HEADING);
        }
        let order = &app.tables_view.columns;
        let (axes, values): (Vec<usize>, Vec<usize>) =
            order.visible(listing.shown.column_count()).into_iter().partition(|&column| column < sheet.axes);
        let cursor = order.cursor(listing.shown.column_count());
        let center = values.iter().position(|&column| Some(column) == cursor).unwrap_or(0);
        // Labels of axes are cut before a value is: they take at most half of the width, unless the values leave more.
        let all: usize = values.iter().map(|&column| widths[column] + 2).sum();
        let least = values.get(center).map_or(0, |&column| widths[column].min(room / 2) + 2);
        let most = room.saturating_sub(all).max(room / 2).min(room.saturating_sub(least));
        let mut labels: Vec<usize> = axes.iter().map(|&column| widths[column]).collect();
        shrink(&mut labels, most.saturating_sub(2 * axes.len()));
        for (&column, width) in axes.iter().zip(labels) {
            widths[column] = width;
        }
        let left = room.saturating_sub(axes.iter().map(|&column| widths[column] + 2).sum());
        // The value under the cursor is visible, whatever the room.
        if let Some(&column) = values.get(center) {
            widths[column] = widths[column].min(left.max(1));
        }
        let shown =
            window(&values.iter().map(|&column| widths[column] + 2).collect::<Vec<_>>(), center, left);
        let more = [shown.start > 0, shown.end < values.len()];
        let visible = axes.into_iter().chain(values[shown].iter().copied()).collect();
        Some(Self { app, listing, widths, headings, visible, more, cursor })
    }

    /// Marks where columns are left out, on the last line of the headings: at the left of the values, and at the right
    /// edge.
    fn mark_more(&self, head: Rect, buf: &mut Buffer) {
        let axes = self.visible.iter().filter(|&&column| column < self.listing.shown.sheet.axes);
        let left: usize = axes.map(|&column| self.widths[column] + 2).sum();
        let marks = [
            (head.x + (left as u16).saturating_sub(1), "◂", "<"),
            (head.right().saturating_sub(1), "▸", ">"),
        ];
        for ((x, mark, ascii), is_more) in marks.into_iter().zip(self.more) {
            if is_more && !head.is_empty() {
                let mark = Line::from(self.app.theme.pick(mark, ascii)).style(self.app.theme.notice());
                put(buf, x, head.bottom() - 1, 1, mark);
            }
        }
    }

    fn head_height(&self) -> u16 {
        self.headings.iter().map(Vec::len).max().unwrap_or(1).min(4) as u16
    }

    /// Returns the column at a horizontal position.
    fn at(&self, x: usize) -> Option<usize> {
        let mut start = 0;
        self.visible.iter().copied().find(|&column| {
            start += self.widths[column] + 2;
            x < start
        })
    }

    fn head(&self) -> Vec<Line<'static>> {
        let (theme, state) = (self.app.theme, &self.app.tables_view);
        let arrow = if state.descending { theme.pick("▼", "v") } else { theme.pick("▲", "^") };
        let height = usize::from(self.head_height());
        let heading = |at: usize| {
            let cell = |&column: &usize| {
                let lines = &self.headings[column];
                let blank = height.saturating_sub(lines.len());
                let is_last = at + 1 == height;
                let mark = if is_last && state.sort == Some(column) { arrow } else { "" };
                let text = at.checked_sub(blank).and_then(|line| lines.get(line)).map_or("", String::as_str);
                let text = cut(text, self.widths[column].saturating_sub(width(mark)), theme);
                let text = printable(&self.pad(column, &format!("{text}{mark}")));
                let style = if self.cursor == Some(column) { theme.cursor() } else { theme.dim() };
                [Span::styled(text, style), Span::raw("  ")]
            };
            line(self.visible.iter().flat_map(cell))
        };
        (0..height).map(heading).collect()
    }

    fn row(&self, row: usize) -> Line<'static> {
        let shown = self.listing.shown;
        let theme = self.app.theme;
        let cell = |&column: &usize| {
            let width = self.widths[column];
            let text = match &shown.sheet.rows[row][column] {
                Cell::Missing => theme.pick("…", "..").to_owned(),
                Cell::Level { .. } => shorten(&shown.texts[row][column], width, theme),
                Cell::Absent | Cell::Failed | Cell::Value(_) => shown.texts[row][column].clone(),
            };
            let beside =
                column.checked_sub(shown.sheet.axes).and_then(|at| difference(self.app, shown, row, at));
            let text = beside.map_or(text.clone(), |beside| format!("{text}  {beside}"));
            let text = printable(&(self.pad(column, &cut(&text, width, theme)) + "  "));
            let is_changed =
                column.checked_sub(shown.sheet.axes).is_some_and(|at| self.app.is_changed(shown, row, at));
            if is_changed { Span::styled(text, theme.changed()) } else { Span::raw(text) }
        };
        self.visible.iter().map(cell).collect()
    }

    fn pad(&self, column: usize, text: &str) -> String {
        let is_number = column >= self.listing.shown.sheet.axes;
        pad(text, self.widths[column], is_number)
    }
}

/// Returns the columns that fit into `room` beside the one at `center`: those before it first, then those behind it.
fn window(widths: &[usize], center: usize, room: usize) -> Range<usize> {
    let Some(mut used) = widths.get(center).copied() else { return 0..0 };
    let (mut first, mut end) = (center, center + 1);
    // The two spaces behind the last column need no room.
    while first > 0 && used + widths[first - 1] <= room + 2 {
        first -= 1;
        used += widths[first];
    }
    while end < widths.len() && used + widths[end] <= room + 2 {
        used += widths[end];
        end += 1;
    }
    first..end
}
