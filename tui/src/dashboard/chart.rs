//! Axes with ticks at round values, and curves drawn between them.
//! Knows nothing of what is measured.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line as Stroke, Points};

use super::paint::put;
use super::theme::Theme;

/// An axis: where it begins and ends, and its ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The least value, or its logarithm.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Whether places are logarithms.
    pub log: bool,
    /// Values with ticks, as places on the axis, and their text.
    pub ticks: Vec<(f64, String)>,
}

/// A line through points.
pub struct Curve {
    /// The points, ascending in x.
    pub points: Vec<(f64, f64)>,
    /// Its colour.
    pub style: Style,
    /// Whether only the points are drawn.
    pub dotted: bool,
}

/// A plot in an area: maps values to cells.
pub struct Plot {
    /// The area inside the axes.
    pub inside: Rect,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
}

impl Axis {
    /// Makes an axis for these values with at most `most` ticks. On a logarithmic axis only positive values count.
    #[must_use]
    pub fn fit(values: impl Iterator<Item = f64>, log: bool, most: usize) -> Self {
        let place = |value: f64| if log { value.log10() } else { value };
        let usable = values.map(place).filter(|place| place.is_finite());
        let (low, high) = usable
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // A single value gets room around it.
        let room = if high - low > 1e-12 * high.abs().max(1.0) { 0.0 } else { high.abs().max(1.0) * 0.05 };
        let (low, high) = (low - room, high + room);
        let step = if log {
            (high - low).max(1.0).ceil() / (most.max(2) - 1) as f64
        } else {
            nice(high - low, most)
        };
        let step = if log { step.ceil().max(1.0) } else { step };
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let count = ((last - first) as usize).min(50);
        let ticks =
            (0..=count).map(|at| (first + at as f64) * step).map(|place| (place, label(place, step, log)));
        Self { low: first * step, high: last * step, log, ticks: ticks.collect() }
    }

    /// Returns where a value lies between the ends of the axis, from 0 to 1; none if it cannot be shown.
    #[must_use]
    pub fn share(&self, value: f64) -> Option<f64> {
        let place = if self.log { value.log10() } else { value };
        let share = (place - self.low) / (self.high - self.low);
        (place.is_finite() && (-1e-9..=1.0 + 1e-9).contains(&share)).then(|| share.clamp(0.0, 1.0))
    }
}

/// The smallest of 1, 2, 5 times a power of ten that cuts a span into at most so many ticks.
fn nice(span: f64, most: usize) -> f64 {
    let raw = span / (most.max(2) - 1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= raw * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

fn label(place: f64, step: f64, log: bool) -> String {
    if log {
        let value = 10_f64.powf(place);
        return if (1e-3..1e5).contains(&value) { format!("{value}") } else { format!("1e{place:.0}") };
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let place = if place.abs() < step / 2.0 { 0.0 } else { place };
    if place.abs() >= 1e6 { format!("{place:.1e}") } else { format!("{place:.decimals$}") }
}

impl Plot {
    /// Draws the axes in an area and returns the plot inside; none where there is no room for one.
    #[must_use]
    pub fn frame(area: Rect, x: Axis, y: Axis, theme: Theme, buf: &mut Buffer) -> Option<Self> {
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
            let share = (place - self.y.low) / (self.y.high - self.y.low);
            let row = top + height - 1 - (share * f64::from(height - 1)).round() as u16;
            let at = (left - 1).saturating_sub(text.len() as u16);
            put(buf, at.max(left - gutter), row, gutter - 1, Line::from(text.as_str()).style(theme.dim()));
        }
        let mut free = left - 1;
        for (place, text) in &self.x.ticks {
            let share = (place - self.x.low) / (self.x.high - self.x.low);
            let column = left + (share * f64::from(width - 1)).round() as u16;
            let size = text.len() as u16;
            let start = column.saturating_sub(size / 2).max(left - 1).min(left + width - size.min(width));
            // A label that would touch the one before is left out.
            if start >= free {
                put(buf, start, top + height + 1, size, Line::from(text.as_str()).style(theme.dim()));
                put(buf, column, top + height, 1, Line::from(theme.pick("┴", "+")).style(theme.dim()));
                free = start + size + 1;
            }
        }
    }

    /// Returns the cell of a point, if it is inside.
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
            // A canvas clears what it covers, so each is laid over the others.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_values_around_the_data() {
        let check = |values: &[f64], most, expected: &[&str]| {
            assert_eq!(texts(&Axis::fit(values.iter().copied(), false, most)), expected, "{values:?}");
        };
        check(&[0.1, 0.93], 6, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(&[2.0, 8.0], 4, &["2", "4", "6", "8"]);
        check(&[1.0, 20.0], 5, &["0", "5", "10", "15", "20"]);
        check(&[-0.03, 0.02], 6, &["-0.03", "-0.02", "-0.01", "0.00", "0.01", "0.02"]);
        check(&[], 3, &["0.0", "0.5", "1.0"]);
        check(&[f64::NAN, f64::INFINITY], 3, &["0.0", "0.5", "1.0"]);
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten() {
        let axis = Axis::fit([0.02, 3.0, 0.0, -1.0].into_iter(), true, 6);
        assert_eq!(texts(&axis), ["0.01", "0.1", "1", "10"]);
        assert_eq!(axis.share(0.0), None);
        assert!((axis.share(1.0).unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_value_gets_room() {
        let axis = Axis::fit([0.5].into_iter(), false, 4);
        assert!(axis.low < 0.5 && axis.high > 0.5, "{axis:?}");
    }
}
