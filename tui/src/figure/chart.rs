//! Charts: points and curves between two axes.
//! Knows nothing of the origin of the values.

use maud::{Markup, html};

use super::COLORS;
use super::axis::FigureAxis;
use super::svg::{Figure, px, text};

/// The margins for labels around the plot, in pixels: left, top, right, bottom.
const ROOM: (f64, f64, f64, f64) = (64.0, 12.0, 14.0, 44.0);

/// The width of a digit, in pixels.
const DIGIT: f64 = 6.8;

/// Holds the content of a chart.
pub struct Chart {
    /// The horizontal axis.
    pub x: ChartAxis,
    /// The vertical axis.
    pub y: ChartAxis,
    /// The series, drawn in this order.
    pub series: Vec<ChartSeries>,
}

/// An axis of a chart before it is fitted to values.
pub struct ChartAxis {
    /// The label.
    pub label: String,
    /// The scale.
    pub scale: AxisScale,
}

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisScale {
    /// Linear.
    Linear,
    /// Linear, with ticks at whole numbers.
    Whole,
    /// Logarithmic; values of 0 or less are left out.
    Logarithmic,
    /// Logarithmic, from the largest value to the smallest: for errors, of which smaller is better.
    Error,
}

impl ChartAxis {
    fn fit(&self, values: impl Iterator<Item = f64> + Clone, most: usize) -> FigureAxis {
        match self.scale {
            AxisScale::Linear => FigureAxis::fit(values, false, most),
            AxisScale::Whole => {
                let span = values
                    .clone()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
                // With at most one tick per whole number, no tick is between two of them.
                FigureAxis::fit(values, false, most.min((span.1 - span.0) as usize + 1))
            }
            AxisScale::Logarithmic => FigureAxis::fit_decades(values),
            AxisScale::Error => FigureAxis::fit_decades(values).reversed(),
        }
    }
}

/// Holds points that share a colour and a name.
pub struct ChartSeries {
    /// The name in the legend. Without a name, the series is grey and not in the legend.
    pub name: Option<String>,
    /// The points.
    pub points: Vec<Dot>,
    /// The marks of its points.
    pub marks: SeriesMarks,
}

/// The marks of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesMarks {
    /// A line, without dots and names.
    Line,
    /// Dots.
    Dots,
    /// Faint dots, in the colour of the next series that is not faint.
    FaintDots,
    /// A line without dots, in a band of the points' intervals.
    LineInBand,
    /// A line with dots.
    Curve,
    /// A line with dots, in a band of the points' intervals.
    CurveInBand,
}

impl SeriesMarks {
    fn has_line(self) -> bool {
        matches!(self, Self::Line | Self::LineInBand | Self::Curve | Self::CurveInBand)
    }

    fn has_dots(self) -> bool {
        !matches!(self, Self::Line | Self::LineInBand)
    }

    fn has_band(self) -> bool {
        matches!(self, Self::LineInBand | Self::CurveInBand)
    }

    /// Returns whether the interval of each point is drawn as a bar.
    fn has_bars(self) -> bool {
        !self.has_band()
    }
}

/// Holds one point.
pub struct Dot {
    pub x: f64,
    pub y: f64,
    /// The ends of the vertical interval.
    pub interval: Option<(f64, f64)>,
    /// The tooltip; may be empty.
    pub tip: String,
    /// The name beside the dot, drawn where there is room.
    pub name: Option<String>,
}

/// A chart with fitted axes and its size in pixels.
struct ChartFrame<'c> {
    chart: &'c Chart,
    x: FigureAxis,
    y: FigureAxis,
    width: f64,
    height: f64,
}

impl Chart {
    /// Draws the chart with this size in pixels.
    #[must_use]
    pub fn draw(&self, width: f64, height: f64) -> Figure {
        let dots = || self.series.iter().flat_map(|series| &series.points);
        let ys: Vec<f64> = dots()
            .flat_map(|dot| {
                let (low, high) = dot.interval.unwrap_or((dot.y, dot.y));
                [dot.y, low, high]
            })
            .collect();
        let ys = ys.iter().copied();
        let frame = ChartFrame {
            chart: self,
            x: self.x.fit(dots().map(|dot| dot.x), 7),
            y: self.y.fit(ys, 6),
            width,
            height: height - self.legend_height(width),
        };
        let content = html! {
            (frame.axes())
            @for (at, series) in self.series.iter().enumerate() { (frame.series(series, self.color(at))) }
            (frame.names())
            (self.legend(width, frame.height))
        };
        Figure { width, height, label: format!("{} against {}", self.y.label, self.x.label), content }
    }

    /// Returns the colour of a series: grey without a name, else the next of [`COLORS`]; a faint series
    /// has that of the next other one.
    fn color(&self, at: usize) -> &'static str {
        if self.series[at].marks == SeriesMarks::FaintDots {
            let next =
                (at + 1..self.series.len()).find(|&next| self.series[next].marks != SeriesMarks::FaintDots);
            return next.map_or("#888888", |next| self.color(next));
        }
        if self.series[at].name.is_none() {
            return "#888888";
        }
        let before = self.series[..at].iter().filter(|series| series.name.is_some()).count();
        COLORS[before % COLORS.len()]
    }

    fn named(&self) -> impl Iterator<Item = (usize, &str)> {
        self.series.iter().enumerate().filter_map(|(at, series)| Some((at, series.name.as_deref()?)))
    }

    /// Returns the position of each name of the legend: pixels from the left, and line.
    fn places(&self, width: f64) -> Vec<(f64, f64)> {
        let (mut x, mut line) = (ROOM.0, 0.0);
        let place = |(_, name): (usize, &str)| {
            let wide = 26.0 + 6.6 * name.chars().count() as f64;
            if x > ROOM.0 && x + wide > width {
                (x, line) = (ROOM.0, line + 1.0);
            }
            x += wide;
            (x - wide, line)
        };
        self.named().map(place).collect()
    }

    fn legend_height(&self, width: f64) -> f64 {
        self.places(width).last().map_or(0.0, |(_, line)| (line + 1.0) * 16.0)
    }

    fn legend(&self, width: f64, top: f64) -> Markup {
        html! {
            @for ((at, name), (x, line)) in self.named().zip(self.places(width)) {
                @let y = top + 8.0 + 16.0 * line;
                circle cx=(px(x + 5.0)) cy=(px(y - 4.0)) r="4" fill=(self.color(at)) {}
                (text(x + 14.0, y, "start", name))
            }
        }
    }
}

impl ChartFrame<'_> {
    /// Returns the horizontal pixel of a value; `None` if it is outside the axis.
    fn across(&self, x: f64) -> Option<f64> {
        Some(ROOM.0 + self.x.share(x)? * (self.width - ROOM.0 - ROOM.2))
    }

    fn down(&self, y: f64) -> Option<f64> {
        Some(self.height - ROOM.3 - self.y.share(y)? * (self.height - ROOM.1 - ROOM.3))
    }

    fn axes(&self) -> Markup {
        let (left, right) = (ROOM.0, self.width - ROOM.2);
        let (top, bottom) = (ROOM.1, self.height - ROOM.3);
        let (middle, center) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        html! {
            g stroke="currentColor" stroke-opacity="0.15" {
                @for (place, _) in &self.y.ticks {
                    @if let Some(y) = self.down(self.y.value(*place)) { line x1=(px(left)) x2=(px(right)) y1=(px(y)) y2=(px(y)) {} }
                }
                @for (place, _) in &self.x.ticks {
                    @if let Some(x) = self.across(self.x.value(*place)) { line x1=(px(x)) x2=(px(x)) y1=(px(top)) y2=(px(bottom)) {} }
                }
            }
            @for (place, label) in &self.y.ticks {
                @if let Some(y) = self.down(self.y.value(*place)) { (text(left - 6.0, y + 4.0, "end", label)) }
            }
            @for (place, label) in &self.x.ticks {
                @if let Some(x) = self.across(self.x.value(*place)) { (text(x, bottom + 16.0, self.anchor(x, label), label)) }
            }
            (text(middle, bottom + 34.0, "middle", &self.chart.x.label))
            g transform=(format!("rotate(-90 14 {})", px(center))) { (text(14.0, center, "middle", &self.chart.y.label)) }
        }
    }

    /// Returns the text anchor of a label on the horizontal axis: its middle, or its end if the right edge would cut
    /// it.
    fn anchor(&self, x: f64, label: &str) -> &'static str {
        let half = label.len() as f64 * DIGIT / 2.0;
        if x + half > self.width { "end" } else { "middle" }
    }

    fn series(&self, series: &ChartSeries, color: &str) -> Markup {
        let places: Vec<(f64, f64, &Dot)> = series
            .points
            .iter()
            .filter_map(|dot| Some((self.across(dot.x)?, self.down(dot.y)?, dot)))
            .collect();
        let line: Vec<String> = places.iter().map(|(x, y, _)| format!("{},{}", px(*x), px(*y))).collect();
        let radius = if series.marks == SeriesMarks::FaintDots { "2.5" } else { "3.5" };
        let opacity = if series.marks == SeriesMarks::FaintDots { "0.35" } else { "1" };
        html! {
            @if series.marks.has_line() {
                polyline points=(line.join(" ")) fill="none" stroke=(color) stroke-width="1.6" {}
            }
            @if series.marks.has_band() { polygon points=(self.band(&places)) fill=(color) fill-opacity="0.15" {} }
            @for (x, _, dot) in places.iter().filter(|_| series.marks.has_bars()) {
                @if let Some((low, high)) = dot.interval
                    && let (Some(low), Some(high)) = (self.down(low), self.down(high)) {
                    line x1=(px(*x)) x2=(px(*x)) y1=(px(low)) y2=(px(high)) stroke=(color) stroke-opacity="0.5" {}
                }
            }
            @if series.marks.has_dots() {
                g fill=(color) fill-opacity=(opacity) {
                    @for (x, y, dot) in &places {
                        circle.dot cx=(px(*x)) cy=(px(*y)) r=(radius) role="img" aria-label=(dot.tip.replace('\n', "; "))
                            tabindex=[(series.marks != SeriesMarks::FaintDots).then_some("0")] {
                            @if !dot.tip.is_empty() { title { (dot.tip) } }
                        }
                    }
                }
            }
        }
    }

    /// Returns the outline of the intervals of some dots: the upper ends, then the lower ends backwards.
    fn band(&self, places: &[(f64, f64, &Dot)]) -> String {
        let end = |(x, y, dot): &(f64, f64, &Dot), upper: bool| {
            let end = dot.interval.map(|(low, high)| if upper { high } else { low });
            format!("{},{}", px(*x), px(end.and_then(|end| self.down(end)).unwrap_or(*y)))
        };
        let upper = places.iter().map(|place| end(place, true));
        let lower = places.iter().rev().map(|place| end(place, false));
        upper.chain(lower).collect::<Vec<_>>().join(" ")
    }

    /// Draws the names of dots, each at one of four places beside its dot, where it covers no other name, no named dot
    /// and no edge; other names are left out.
    fn names(&self) -> Markup {
        let named = self.chart.series.iter().filter(|series| series.marks.has_dots());
        let dots = || named.clone().flat_map(|series| &series.points).filter(|dot| dot.name.is_some());
        let place = |dot: &Dot| Some((self.across(dot.x)?, self.down(dot.y)?));
        let mut taken: Vec<[f64; 4]> =
            dots().filter_map(place).map(|(x, y)| [x - 4.0, y - 4.0, x + 4.0, y + 4.0]).collect();
        let mut drawn = vec![];
        for dot in dots() {
            let (Some((x, y)), Some(name)) = (place(dot), &dot.name) else { continue };
            let wide = DIGIT * name.chars().count() as f64;
            let places =
                [(7.0, 14.0, "start"), (7.0, -7.0, "start"), (-7.0, -7.0, "end"), (-7.0, 14.0, "end")];
            let free = places.into_iter().find_map(|(right, down, anchor)| {
                let left = if anchor == "start" { x + right } else { x + right - wide };
                let area = [left, y + down - 10.0, left + wide, y + down + 3.0];
                let inside = area[0] >= ROOM.0
                    && area[2] <= self.width - ROOM.2
                    && area[1] >= ROOM.1
                    && area[3] <= self.height - ROOM.3;
                let overlaps = |other: &[f64; 4]| {
                    area[0] < other[2] && other[0] < area[2] && area[1] < other[3] && other[1] < area[3]
                };
                (inside && !taken.iter().any(overlaps)).then_some((area, x + right, y + down, anchor))
            });
            if let Some((area, x, y, anchor)) = free {
                taken.push(area);
                drawn.push((x, y, anchor, name));
            }
        }
        html! { @for (x, y, anchor, name) in drawn { (text(x, y, anchor, name)) } }
    }
}
