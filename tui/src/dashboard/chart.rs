//! Charts in the terminal: axes, and curves between them.
//! Knows nothing of the values that it draws.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line as Stroke, Points};

use super::paint::put;
use super::theme::Theme;
use crate::figure::axis::FigureAxis;

/// A curve through points.
pub struct Curve {
    /// The points, in ascending order of x.
    pub points: Vec<(f64, f64)>,
    /// The curve's colour.
    pub style: Style,
    /// Whether only the points are drawn, without lines between them.
    pub dotted: bool,
}

/// The area of a plot, which maps values to cells.
pub struct PlotArea {
    /// The area inside the axes.
    pub inside: Rect,
    /// The horizontal axis.
    pub x: FigureAxis,
    /// The vertical axis.
    pub y: FigureAxis,
}

impl PlotArea {
    /// Draws the axes in an area and returns the plot inside; `None` if the area is too small.
    #[must_use]
    pub fn frame(area: Rect, x: FigureAxis, y: FigureAxis, theme: Theme, buf: &mut Buffer) -> Option<Self> {
        let gutter = y.ticks.iter().map(|(_, text)| text.len()).max().unwrap_or(0) as u16 + 1;
        if area.width < gutter + 8 || area.height < 4 {
            return None;
        }
        let inside =
            Rect { x: area.x + gutter, y: area.y, width: area.width - gutter, height: area.height - 2 };
        let plot = Self { inside, x, y };
        plot.draw_axes(gutter, theme, buf);
        Some(plot)
    }

    fn draw_axes(&self, gutter: u16, theme: Theme, buf: &mut Buffer) {
        let Rect { x: left, y: top, width, height } = self.inside;
        let (wall, floor, corner) = (theme.pick("│", "|"), theme.pick("─", "-"), theme.pick("└", "+"));
        for row in top..top + height {
            put(buf, left - 1, row, 1, Line::from(wall).style(theme.dim()));
        }
        for column in left..left + width {
            put(buf, column, top + height, 1, Line::from(floor).style(theme.dim()));
        }
        put(buf, left - 1, top + height, 1, Line::from(corner).style(theme.dim()));
        for (place, text) in &self.y.ticks {
            let row = top + height - 1 - (self.y.share_of(*place) * f64::from(height - 1)).round() as u16;
            let at = (left - 1).saturating_sub(text.len() as u16);
            put(buf, at.max(left - gutter), row, gutter - 1, Line::from(text.as_str()).style(theme.dim()));
        }
        let mut free = left - 1;
        for (place, text) in &self.x.ticks {
            let column = left + (self.x.share_of(*place) * f64::from(width - 1)).round() as u16;
            let size = text.len() as u16;
            let start = column.saturating_sub(size / 2).max(left - 1).min(left + width - size.min(width));
            // A label that would touch the label before it is left out.
            if start >= free {
                put(buf, start, top + height + 1, size, Line::from(text.as_str()).style(theme.dim()));
                put(buf, column, top + height, 1, Line::from(theme.pick("┴", "+")).style(theme.dim()));
                free = start + size + 1;
            }
        }
    }

    /// Returns the cell of a point; `None` if the point is outside the axes.
    #[must_use]
    pub fn cell(&self, x: f64, y: f64) -> Option<(u16, u16)> {
        let (x, y) = (self.x.share(x)?, self.y.share(y)?);
        let column = self.inside.x + (x * f64::from(self.inside.width - 1)).round() as u16;
        let row =
            self.inside.y + self.inside.height - 1 - (y * f64::from(self.inside.height - 1)).round() as u16;
        Some((column, row))
    }

    fn draw_dots(&self, curve: &Curve, theme: Theme, buf: &mut Buffer) {
        for &(x, y) in &curve.points {
            if let Some((column, row)) = self.cell(x, y) {
                put(buf, column, row, 1, Line::from(theme.pick("•", "o")).style(curve.style));
            }
        }
    }

    /// Draws curves.
    pub fn draw(&self, curves: &[Curve], theme: Theme, buf: &mut Buffer) {
        for curve in curves {
            if curve.dotted {
                self.draw_dots(curve, theme, buf);
                continue;
            }
            let points: Vec<(f64, f64)> = curve
                .points
                .iter()
                .filter_map(|&(x, y)| Some((self.x.share(x)?, self.y.share(y)?)))
                .collect();
            let color = curve.style.fg.unwrap_or_default();
            let canvas = Canvas::default().marker(theme.marker()).x_bounds([0.0, 1.0]).y_bounds([0.0, 1.0]);
            let canvas = canvas.paint(|context| {
                context.draw(&Points { coords: &points, color });
                for pair in points.windows(2) {
                    context.draw(&Stroke {
                        x1: pair[0].0,
                        y1: pair[0].1,
                        x2: pair[1].0,
                        y2: pair[1].1,
                        color,
                    });
                }
            });
            // A canvas clears its whole area, so each curve is drawn on its own canvas and copied over the others.
            let mut layer = Buffer::empty(self.inside);
            canvas.render(self.inside, &mut layer);
            for position in self.inside.positions() {
                if let (Some(from), Some(to)) = (layer.cell(position), buf.cell_mut(position))
                    && from.symbol() != " "
                    && from.symbol() != "\u{2800}"
                {
                    let symbol = if theme.ascii { "*" } else { from.symbol() };
                    to.set_symbol(symbol).set_style(curve.style);
                }
            }
        }
    }
}
