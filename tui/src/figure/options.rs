//! The options of a figure that a person asks for.

use fewbits_engine::dense::AxisId;

/// The options of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureOptions {
    /// The width in pixels; charts alone have one.
    pub width: Option<f64>,
    /// The height in pixels.
    pub height: Option<f64>,
    /// Whether the axis of sizes, or of the values of curves, is logarithmic.
    pub is_logarithmic: bool,
    /// The number of epochs over which curves are averaged; 1 draws them as they are.
    pub smoothing: usize,
    /// The axes that curves are grouped by; `None` lets the figure choose.
    pub group_by: Option<Vec<AxisId>>,
    /// The title above the figure.
    pub title: Option<String>,
}

impl Default for FigureOptions {
    fn default() -> Self {
        Self { width: None, height: None, is_logarithmic: false, smoothing: 1, group_by: None, title: None }
    }
}

impl FigureOptions {
    /// Returns the size of a chart, given its usual size.
    #[must_use]
    pub fn size(&self, (width, height): (f64, f64)) -> (f64, f64) {
        (self.width.unwrap_or(width), self.height.unwrap_or(height))
    }

    /// Returns whether an option is for curves alone.
    #[must_use]
    pub fn are_for_curves(&self) -> bool {
        self.smoothing > 1 || self.group_by.is_some()
    }

    /// Returns whether an option is for charts alone.
    #[must_use]
    pub fn are_for_charts(&self) -> bool {
        self.width.is_some() || self.height.is_some() || self.is_logarithmic || self.are_for_curves()
    }
}
