//! The grids of a pivot as heat maps: their positions on the screen, and the look of a cell. The labels of rows stay
//! while the cells scroll.
//! Knows nothing of keys.

use fewbits_engine::table::sheet::Cell;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::Line;

use super::difference::{difference, is_compared};
use super::selected_table::shown_table;
use crate::dashboard::app::App;
use crate::dashboard::paint::{cut, pad, put, shorten, shrink, width as columns_of};
use crate::dashboard::shown_table::{ShownSheet, ShownTable};
use crate::dashboard::view_state::CellPosition;
use crate::ui::plain::printable;

/// The number of cells of the screen in a cell of the grid beside its text: the cursor's brackets, the level, and a
/// space before the next cell.
const FRAME: u16 = 4;
/// The widest heading that widens the cells below it.
const WIDE_HEADING: u16 = 14;

/// Draws the visible grids.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(map) = Map::new(app, area) else { return };
    for index in 0..map.shown.sheets.len() {
        let (x, line) = map.place(index);
        if line + i32::from(map.tall) >= 0 && line <= i32::from(area.height) {
            map.draw_grid(index, x, line, buf);
        }
    }
}

/// Returns the cell at a position on the screen.
#[must_use]
pub fn cell_at(app: &App, area: Rect, at: Position) -> Option<CellPosition> {
    let map = Map::new(app, area)?;
    map.shown.sheets.iter().enumerate().find_map(|(index, shown)| {
        let (x, line) = map.place(index);
        let row = i32::from(at.y) - i32::from(area.y) - line - map.head_lines();
        let column = usize::from(at.x.checked_sub(x + map.label)? / map.cell) + map.skip;
        let inside = row >= 0 && (row as usize) < shown.sheet.rows.len() && column < columns(shown);
        inside.then_some((index, row as usize, column))
    })
}

/// Returns the number of columns of values.
#[must_use]
pub fn columns(shown: &ShownSheet) -> usize {
    shown.sheet.headings.len() - shown.sheet.axes
}

/// The layout of the grids. Lines are counted from the top of the first grid.
struct Map<'a> {
    app: &'a App,
    shown: &'a ShownTable,
    area: Rect,
    /// Whether there is room for intervals beside the means.
    with_intervals: bool,
    /// The widths of the columns of axes in characters; a space follows each.
    axes: Vec<usize>,
    /// The widths, in terminal columns, of the axes together, of a cell, and of a grid with the space after it.
    label: u16,
    cell: u16,
    grid: u16,
    /// The number of lines of a column's heading.
    heads: u16,
    /// The first visible column of each grid and the number of visible columns, for grids wider than the area.
    skip: usize,
    fit: usize,
    /// The number of grids side by side, the height of a row of grids in lines, and the first visible line.
    beside: usize,
    tall: u16,
    first: i32,
}

impl<'a> Map<'a> {
    fn new(app: &'a App, area: Rect) -> Option<Self> {
        let shown = shown_table(app)?;
        let sheets = &shown.sheets;
        let axis_count = sheets.first()?.sheet.axes;
        let across = sheets.iter().map(columns).max().unwrap_or(0) as u16;
        let mut axes: Vec<usize> = (0..axis_count)
            .map(|axis| {
                let of = |shown: &ShownSheet| shown.widths[axis].max(columns_of(&shown.sheet.headings[axis]));
                sheets.iter().map(of).max().unwrap_or(0)
            })
            .collect();
        let headings = sheets.iter().flat_map(|shown| &shown.sheet.headings[axis_count..]);
        let parts = headings.clone().flat_map(|heading| heading.split(", "));
        let heads = headings.map(|heading| heading.split(", ").count()).max().unwrap_or(1).min(4) as u16;
        let heading = widest(parts).min(WIDE_HEADING);
        let wide = |texts: &dyn Fn(&ShownSheet) -> u16| sheets.iter().map(texts).max().unwrap_or(0);
        let full = wide(&|shown| widest_cell(shown, &shown.texts));
        let narrow = if is_compared(app) {
            wide(&|shown| differences(app, shown).max(widest_cell(shown, &shown.means)))
        } else {
            wide(&|shown| widest_cell(shown, &shown.means))
        };
        let natural = |axes: &[usize]| axes.iter().map(|width| width + 1).sum::<usize>().min(1_000) as u16;
        let cell_of = |text: u16| text.max(heading) + FRAME;
        let total = |text: u16| natural(&axes).saturating_add(cell_of(text).saturating_mul(across));
        let with_intervals = !is_compared(app) && total(full) <= area.width;
        let cell = cell_of(if with_intervals { full } else { narrow }).clamp(FRAME, area.width.max(FRAME));
        // The labels of rows are cut before a value is: they take at most half of the width, unless the values leave more.
        let left = area.width.saturating_sub(cell.saturating_mul(across));
        let most = left.max(area.width / 2).min(area.width.saturating_sub(cell));
        shrink(&mut axes, usize::from(most).saturating_sub(axis_count));
        let label = natural(&axes);
        let titles = widest(sheets.iter().map(|shown| shown.sheet.title.as_str()));
        let grid = label.saturating_add(cell.saturating_mul(across)).max(titles.min(60)).saturating_add(3);
        let beside = usize::from(area.width.saturating_add(3) / grid.max(1)).clamp(1, sheets.len());
        let most = sheets.iter().map(|shown| shown.sheet.rows.len()).max().unwrap_or(0).min(10_000) as u16;
        let tall = most + 2 + heads;
        let lines = sheets.len().div_ceil(beside) as i32 * i32::from(tall);
        let (sheet, row, column) = app.tables_view.cell;
        let fit = usize::from(area.width.saturating_sub(label) / cell).max(1);
        let skip = (column + 1).saturating_sub(fit);
        let at = (sheet / beside) as i32 * i32::from(tall) + row as i32 + 1 + i32::from(heads);
        let height = i32::from(area.height);
        let first = (at - height / 2).min(lines - height).max(0);
        Some(Self {
            app,
            shown,
            area,
            with_intervals,
            axes,
            label,
            cell,
            grid,
            heads,
            skip,
            fit,
            beside,
            tall,
            first,
        })
    }

    /// Returns the number of lines above the rows of a grid: its title and its headings.
    fn head_lines(&self) -> i32 {
        1 + i32::from(self.heads)
    }

    /// Returns the position of a grid: its terminal column, and its line below the top of the area.
    fn place(&self, sheet: usize) -> (u16, i32) {
        let column = self.area.x + (sheet % self.beside) as u16 * self.grid;
        (column, (sheet / self.beside) as i32 * i32::from(self.tall) - self.first)
    }

    /// Returns the terminal row of a line; `None` if the line is not visible.
    fn row(&self, line: i32) -> Option<u16> {
        (0..i32::from(self.area.height)).contains(&line).then(|| self.area.y + line as u16)
    }

    /// Writes a text at a position, cut at the right edge of the area.
    fn write(&self, x: u16, y: u16, width: u16, line: Line<'_>, buf: &mut Buffer) {
        put(buf, x, y, width.min(self.area.right().saturating_sub(x)), line);
    }

    /// Returns the terminal column of a column of values.
    fn start(&self, x: u16, column: usize) -> u16 {
        x + self.label + (column - self.skip) as u16 * self.cell
    }

    fn draw_grid(&self, index: usize, x: u16, line: i32, buf: &mut Buffer) {
        let (theme, shown) = (self.app.theme, &self.shown.sheets[index]);
        let sheet = &shown.sheet;
        if let Some(y) = self.row(line) {
            let title = cut(&printable(&sheet.title), usize::from(self.grid) - 1, theme);
            self.write(x, y, self.grid - 1, Line::from(title).style(theme.strong()), buf);
        }
        for at in 0..self.heads {
            if let Some(y) = self.row(line + 1 + i32::from(at)) {
                self.draw_headings(shown, at, (x, y), buf);
            }
        }
        for row in 0..sheet.rows.len() {
            let Some(y) = self.row(line + self.head_lines() + row as i32) else { continue };
            self.draw_labels(x, y, |axis| shown.texts[row][axis].clone(), Line::from, buf);
            for column in (0..columns(shown)).skip(self.skip).take(self.fit) {
                self.draw_cell(index, row, column, (self.start(x, column), y), buf);
            }
        }
    }

    /// Draws a line of the headings; the last line has the names of the axes.
    fn draw_headings(&self, shown: &ShownSheet, at: u16, (x, y): (u16, u16), buf: &mut Buffer) {
        let (theme, sheet) = (self.app.theme, &shown.sheet);
        let dim = |text: String| Line::from(text).style(theme.dim());
        if at + 1 == self.heads {
            self.draw_labels(x, y, |axis| printable(&sheet.headings[axis]), dim, buf);
            self.mark_more(shown, (x, y), buf);
        }
        for column in (0..columns(shown)).skip(self.skip).take(self.fit) {
            let parts: Vec<&str> = sheet.headings[sheet.axes + column].split(", ").collect();
            let blank = usize::from(self.heads).saturating_sub(parts.len());
            let Some(text) = usize::from(at).checked_sub(blank).and_then(|at| parts.get(at)) else {
                continue;
            };
            let text = shorten(&printable(text), usize::from(self.cell) - 1, theme);
            let text = dim(text).right_aligned();
            self.write(self.start(x, column), y, self.cell - 1, text, buf);
        }
    }

    /// Marks where columns are left out: at the left of the cells, and at the right edge of the area.
    fn mark_more(&self, shown: &ShownSheet, (x, y): (u16, u16), buf: &mut Buffer) {
        let theme = self.app.theme;
        let sides = [
            (self.skip > 0, (x + self.label).saturating_sub(1), theme.pick("◂", "<")),
            (
                self.skip + self.fit < columns(shown),
                self.area.right().saturating_sub(1),
                theme.pick("▸", ">"),
            ),
        ];
        for (_, x, mark) in sides.into_iter().filter(|(is_more, ..)| *is_more) {
            put(buf, x, y, 1, Line::from(mark).style(theme.notice()));
        }
    }

    /// Draws a text for each axis.
    fn draw_labels<'l>(
        &self,
        x: u16,
        y: u16,
        text: impl Fn(usize) -> String,
        line: impl Fn(String) -> Line<'l>,
        buf: &mut Buffer,
    ) {
        let mut start = x;
        for (axis, &width) in self.axes.iter().enumerate() {
            let width_on_screen = width.min(1_000) as u16;
            self.write(start, y, width_on_screen, line(shorten(&text(axis), width, self.app.theme)), buf);
            start = start.saturating_add(width_on_screen + 1);
        }
    }

    fn draw_cell(&self, index: usize, row: usize, column: usize, (x, y): (u16, u16), buf: &mut Buffer) {
        let (theme, shown) = (self.app.theme, &self.shown.sheets[index]);
        let at = shown.sheet.axes + column;
        let cell = &shown.sheet.rows[row][at];
        let here = self.app.tables_view.cell == (index, row, column);
        if matches!(cell, Cell::Absent) && !here {
            return;
        }
        let share = match (cell, shown.range) {
            (Cell::Value(value), Some((low, high))) if high > low => Some((value.mean - low) / (high - low)),
            (Cell::Value(_), _) => Some(1.0),
            (Cell::Absent | Cell::Missing | Cell::Failed | Cell::Level { .. }, _) => None,
        };
        let text = match cell {
            Cell::Missing => theme.pick("…", "..").to_owned(),
            _ => difference(self.app, shown, row, column).unwrap_or_else(|| {
                let texts = if self.with_intervals { &shown.texts } else { &shown.means };
                texts[row][at].clone()
            }),
        };
        let (open, close) = if here { ("[", "]") } else { (" ", " ") };
        let width = usize::from(self.cell).saturating_sub(3);
        let level = share.map_or(" ", |share| theme.level(share));
        let mut style = share.map_or(theme.dim(), |share| theme.heat(share));
        if self.app.is_changed(shown, row, column) {
            style = style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
        }
        if here {
            style = style.add_modifier(Modifier::BOLD | Modifier::REVERSED);
        }
        let line = Line::from(format!("{open}{level}{}{close}", pad(&text, width, true))).style(style);
        self.write(x, y, self.cell, line, buf);
    }
}

/// Returns the width of the widest text, at most 200.
fn widest<'t>(texts: impl Iterator<Item = &'t str>) -> u16 {
    texts.map(columns_of).max().unwrap_or(0).min(200) as u16
}

/// Returns the width of the widest of these texts of values.
fn widest_cell(shown: &ShownSheet, texts: &[Vec<String>]) -> u16 {
    widest(texts.iter().flat_map(|row| &row[shown.sheet.axes..]).map(String::as_str))
}

/// Returns the width of the widest difference.
fn differences(app: &App, shown: &ShownSheet) -> u16 {
    let cells =
        (0..shown.sheet.rows.len()).flat_map(|row| (0..columns(shown)).map(move |column| (row, column)));
    let widths = cells.filter_map(|(row, column)| difference(app, shown, row, column));
    widths.map(|text| columns_of(&text)).max().unwrap_or(0).min(200) as u16
}
