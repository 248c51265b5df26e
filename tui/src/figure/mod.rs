//! Figures: charts and heat maps as SVG, for reports and for papers.
//! A figure carries no style sheet and no script: ink is `currentColor`, so that it fits a light and a dark page.

pub mod axis;
pub mod chart;
pub mod confusion;
pub mod forest;
pub mod heat_map;
pub mod image;
pub mod options;
pub mod shade;
pub mod svg;
pub mod table;

/// The colours of series, which all kinds of colour vision distinguish on light and dark ground (Okabe and Ito 2008).
pub const COLORS: [&str; 6] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
