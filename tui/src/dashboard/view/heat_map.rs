//! The grids of a pivot as heat maps: their positions on the screen, and the look of a cell.
//! Knows nothing of keys.

use fewbits_engine::dense::AxisId;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::table::{Table, TableKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::Line;

use super::tradeoff::{shown, table, text};
use crate::dashboard::app::App;
use crate::dashboard::paint::put;
use crate::dashboard::tables::{PivotGrid, ShownTable, mean};
use crate::ui::plain::printable;

/// The position of a cell: its grid, row and column.
pub type CellPosition = (usize, usize, usize);

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
    map.shown.sheets.iter().enumerate().find_map(|(index, sheet)| {
        let (x, line) = map.place(index);
        let row = i32::from(at.y) - i32::from(area.y) - line - 2;
        let column = usize::from(at.x.checked_sub(x + map.label)? / map.cell) + map.skip;
        let inside = row >= 0 && (row as usize) < sheet.rows.len() && column < sheet.columns.len();
        inside.then_some((index, row as usize, column))
    })
}

/// The layout of the grids. Lines are counted from the top of the first grid.
struct Map<'a> {
    app: &'a App,
    experiment: &'a Experiment,
    shown: &'a ShownTable,
    area: Rect,
    corner: String,
    /// The widths, in terminal columns, of a row's label, of a cell, and of a grid with the space after it.
    label: u16,
    cell: u16,
    grid: u16,
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
        let (experiment, shown) = (app.study.as_ref()?.experiment(), shown(app)?);
        let first = shown.sheets.first()?;
        let (offset, depth) = (first.title.len(), first.rows.first().map_or(0, Vec::len));
        let all = |of: fn(&PivotGrid) -> &Vec<Vec<usize>>| shown.sheets.iter().flat_map(of);
        let corner = corner(experiment, table(app)?);
        let rows = all(|sheet| &sheet.rows).map(|levels| join(experiment, shown, offset, levels));
        let label = widest(rows).max(corner.chars().count() as u16) + 1;
        let columns =
            all(|sheet| &sheet.columns).map(|levels| join(experiment, shown, offset + depth, levels));
        let values = (0..shown.groups.points.len()).map(|at| text(app, shown, at, 0));
        let cell = (widest(columns).max(widest(values)) + 4).clamp(4, area.width.max(4));
        let titles = widest(shown.sheets.iter().map(|sheet| title(experiment, shown, &sheet.title)));
        let across = shown.sheets.iter().map(|sheet| sheet.columns.len()).max().unwrap_or(0) as u16;
        let grid = label.saturating_add(cell.saturating_mul(across)).max(titles.min(60)).saturating_add(3);
        let beside = usize::from(area.width.saturating_add(3) / grid.max(1)).clamp(1, shown.sheets.len());
        let tall =
            shown.sheets.iter().map(|sheet| sheet.rows.len()).max().unwrap_or(0).min(10_000) as u16 + 3;
        let lines = shown.sheets.len().div_ceil(beside) as i32 * i32::from(tall);
        let (sheet, row, column) = app.tradeoff.cell;
        let fit = usize::from(area.width.saturating_sub(label) / cell).max(1);
        let skip = (column + 1).saturating_sub(fit);
        let at = (sheet / beside) as i32 * i32::from(tall) + row as i32 + 2;
        let height = i32::from(area.height);
        let first = (at - height / 2).min(lines - height).max(0);
        Some(Self { app, experiment, shown, area, corner, label, cell, grid, skip, fit, beside, tall, first })
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

    fn draw_grid(&self, index: usize, x: u16, line: i32, buf: &mut Buffer) {
        let (theme, sheet) = (self.app.theme, &self.shown.sheets[index]);
        let (offset, depth) = (sheet.title.len(), sheet.rows.first().map_or(0, Vec::len));
        if let Some(y) = self.row(line) {
            let title = printable(&title(self.experiment, self.shown, &sheet.title));
            self.write(x, y, self.grid - 1, Line::from(title).style(theme.strong()), buf);
        }
        let start = |column: usize| x + self.label + (column - self.skip) as u16 * self.cell;
        if let Some(y) = self.row(line + 1) {
            self.write(x, y, self.label, Line::from(self.corner.as_str()).style(theme.dim()), buf);
            for (column, levels) in sheet.columns.iter().enumerate().skip(self.skip).take(self.fit) {
                let text = printable(&join(self.experiment, self.shown, offset + depth, levels));
                let text = Line::from(text).right_aligned().style(theme.dim());
                self.write(start(column), y, self.cell - 1, text, buf);
            }
        }
        for (row, levels) in sheet.rows.iter().enumerate() {
            let Some(y) = self.row(line + 2 + row as i32) else { continue };
            let label = printable(&join(self.experiment, self.shown, offset, levels));
            self.write(x, y, self.label, Line::from(label), buf);
            for column in (0..sheet.columns.len()).skip(self.skip).take(self.fit) {
                if let Some(point) = sheet.cell(row, column) {
                    let here = self.app.tradeoff.cell == (index, row, column);
                    self.draw_cell(point, here, (start(column), y), buf);
                }
            }
        }
    }

    fn draw_cell(&self, point: usize, here: bool, (x, y): (u16, u16), buf: &mut Buffer) {
        let theme = self.app.theme;
        let mean = mean(&self.shown.groups.points[point], 0);
        let share = mean
            .zip(self.shown.range(0))
            .map(|(mean, (low, high))| if high > low { (mean - low) / (high - low) } else { 1.0 });
        let (open, close) = if here { ("[", "]") } else { (" ", " ") };
        let text = text(self.app, self.shown, point, 0);
        let width = usize::from(self.cell).saturating_sub(3);
        let level = share.map_or(" ", |share| theme.level(share));
        let mut style = share.map_or(theme.dim(), |share| theme.heat(share));
        if here {
            style = style.add_modifier(Modifier::BOLD | Modifier::REVERSED);
        }
        let line = Line::from(format!("{open}{level}{text:>width$}{close}")).style(style);
        self.write(x, y, self.cell, line, buf);
    }
}

fn widest(texts: impl Iterator<Item = String>) -> u16 {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).min(200) as u16
}

/// Returns the labels of some levels, the first of which belongs to the points' axis number `from`.
fn join(experiment: &Experiment, shown: &ShownTable, from: usize, levels: &[usize]) -> String {
    let of = shown.groups.axes.iter().skip(from).zip(levels);
    of.map(|(&axis, &level)| experiment.axes[axis].levels[level].label.as_str()).collect::<Vec<_>>().join(" ")
}

fn title(experiment: &Experiment, shown: &ShownTable, levels: &[usize]) -> String {
    let of = shown.groups.axes.iter().zip(levels).map(|(&axis, &level)| (&experiment.axes[axis], level));
    of.map(|(axis, level)| format!("{}={}", axis.name, axis.levels[level].label))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the names of the axes along the rows and along the columns.
fn corner(experiment: &Experiment, table: &Table) -> String {
    let TableKind::Pivot { rows, columns, .. } = &table.kind else { return String::new() };
    let names = |axes: &[AxisId]| experiment.axis_names(axes).join(" ");
    format!("{}\\{}", names(rows), names(columns))
}
