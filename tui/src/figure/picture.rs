//! A drawing of a size: part of a page, or a file of its own.

use maud::{Markup, PreEscaped, html};

use super::chart::px;
use crate::ui::plain::printable;

/// Families in which text is set: the one that images are drawn with, then what a reader may have.
const FONTS: &str = "Roboto, 'Helvetica Neue', Arial, sans-serif";

/// A drawing.
pub struct Picture {
    /// Its width in pixels.
    pub width: f64,
    /// Its height in pixels.
    pub height: f64,
    /// What it shows, for those who cannot see it.
    pub label: String,
    /// The elements in it.
    pub content: Markup,
}

impl Picture {
    /// Returns it as part of a page, as wide as there is room for.
    #[must_use]
    pub fn on_page(&self) -> Markup {
        html! {
            svg viewBox=(self.view()) width=(px(self.width)) role="img" aria-label=(printable(&self.label)) font-family=(FONTS)
                font-size="12" { (self.content) }
        }
    }

    /// Returns it as a file, black on white.
    #[must_use]
    pub fn alone(&self) -> String {
        let picture = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(self.view()) width=(px(self.width)) height=(px(self.height))
                font-family=(FONTS) font-size="12" color="#000000" {
                title { (printable(&self.label)) }
                rect width="100%" height="100%" fill="#ffffff" {}
                (self.content)
            }
        };
        let head = PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        html! { (head) (picture) }.into_string() + "\n"
    }

    fn view(&self) -> String {
        format!("0 0 {} {}", px(self.width), px(self.height))
    }
}

/// Puts pictures below each other, each under its title.
#[must_use]
pub fn stack(pictures: &[(String, Picture)]) -> Picture {
    const TITLE: f64 = 24.0;
    let width = pictures.iter().map(|(_, picture)| picture.width).fold(0.0, f64::max);
    let label = pictures.first().map_or(String::new(), |(_, picture)| picture.label.clone());
    let mut top = 0.0;
    let content = html! {
        @for (title, picture) in pictures {
            @let room = if title.is_empty() { 0.0 } else { TITLE };
            @let start = top;
            @let () = top += room + picture.height;
            @if room > 0.0 { (text(4.0, start + 16.0, "start", title)) }
            g transform=(format!("translate(0 {})", px(start + room))) { (picture.content) }
        }
    };
    Picture { width, height: top, label, content }
}

/// Sets a line of text, its anchor at a place. Names come from files: what is no text in them is made visible.
#[must_use]
pub fn text(x: f64, y: f64, anchor: &str, content: &str) -> Markup {
    html! { text x=(px(x)) y=(px(y)) text-anchor=(anchor) fill="currentColor" { (printable(content)) } }
}
