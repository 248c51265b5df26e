//! Pictures: SVG drawings of a known size, as a part of a page or as a file.
//! Knows nothing of charts.

use maud::{Markup, PreEscaped, html};

use crate::ui::plain::printable;

/// The font families of text: first the font of PNG images, then fonts that a reader may have.
const FONTS: &str = "Roboto, 'Helvetica Neue', Arial, sans-serif";

/// Holds a drawing.
pub struct Figure {
    /// The width in pixels.
    pub width: f64,
    /// The height in pixels.
    pub height: f64,
    /// The description for screen readers.
    pub label: String,
    /// The SVG elements.
    pub content: Markup,
}

impl Figure {
    /// Returns the picture as an element of an HTML page, scaled down if the page is narrower.
    #[must_use]
    pub fn on_page(&self) -> Markup {
        html! {
            svg viewBox=(self.view()) width=(px(self.width)) role="img" aria-label=(printable(&self.label)) font-family=(FONTS)
                font-size="12" { (self.content) }
        }
    }

    /// Returns the picture as an SVG file, black on white.
    #[must_use]
    pub fn alone(&self) -> String {
        let figure = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(self.view()) width=(px(self.width)) height=(px(self.height))
                font-family=(FONTS) font-size="12" color="#000000" {
                title { (printable(&self.label)) }
                rect width="100%" height="100%" fill="#ffffff" {}
                (self.content)
            }
        };
        let head = PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        html! { (head) (figure) }.into_string() + "\n"
    }

    fn view(&self) -> String {
        format!("0 0 {} {}", px(self.width), px(self.height))
    }
}

/// Stacks pictures, each below its title.
#[must_use]
pub fn stack(figures: &[(String, Figure)]) -> Figure {
    const TITLE: f64 = 24.0;
    let width = figures.iter().map(|(_, figure)| figure.width).fold(0.0, f64::max);
    let label = figures.first().map_or(String::new(), |(_, figure)| figure.label.clone());
    let mut top = 0.0;
    let content = html! {
        @for (title, figure) in figures {
            @let room = if title.is_empty() { 0.0 } else { TITLE };
            @let start = top;
            @let () = top += room + figure.height;
            @if room > 0.0 { (text(4.0, start + 16.0, "start", title)) }
            g transform=(format!("translate(0 {})", px(start + room))) { (figure.content) }
        }
    };
    Figure { width, height: top, label, content }
}

/// Sets a line of text at an anchor. Control characters become visible, because names come from files.
#[must_use]
pub fn text(x: f64, y: f64, anchor: &str, content: &str) -> Markup {
    html! { text x=(px(x)) y=(px(y)) text-anchor=(anchor) fill="currentColor" { (printable(content)) } }
}

/// Writes a pixel coordinate with at most one decimal.
pub fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
