//! The options of a figure that a person asks for.

/// The options of a figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FigureOptions {
    /// The width in pixels; charts alone have one.
    pub width: Option<f64>,
    /// The height in pixels.
    pub height: Option<f64>,
    /// Whether the axis of sizes, or of the values of curves, is logarithmic.
    pub is_logarithmic: bool,
    /// The title above the figure.
    pub title: Option<String>,
}

impl FigureOptions {
    /// Returns the size of a chart, given its usual size.
    #[must_use]
    pub fn size(&self, (width, height): (f64, f64)) -> (f64, f64) {
        (self.width.unwrap_or(width), self.height.unwrap_or(height))
    }

    /// Returns whether an option is for charts alone.
    #[must_use]
    pub fn are_for_charts(&self) -> bool {
        self.width.is_some() || self.height.is_some() || self.is_logarithmic
    }
}
