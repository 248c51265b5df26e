//! Figures as PNG files, drawn by resvg with the built-in font: the same bytes on every machine.
//! Knows nothing of the content of a figure.

use std::sync::Arc;

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// The font of all text.
const FONT: &[u8] = include_bytes!("font/Roboto-subset.ttf");

/// The number of image pixels per pixel of the picture: 288 dots per inch, for print.
const SCALE: f32 = 3.0;

/// The most image pixels along a side. Larger pictures are scaled down.
const MOST: f32 = 20_000.0;

/// Returns an SVG picture as the bytes of a PNG file.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    let options = Options { font_family: "Roboto".to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).context("the figure cannot be drawn")?;
    let size = tree.size();
    let scale = SCALE.min(MOST / size.width().max(size.height()));
    let side = |length: f32| (length * scale).ceil() as u32;
    let mut pixels =
        Pixmap::new(side(size.width()), side(size.height())).context("the figure has no extent")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().context("the figure cannot be written as PNG")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_drawn_with_the_font_that_is_built_in() {
        let of = |text: &str| {
            let svg = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='80' height='20' font-family=\"Roboto, Arial\">\
                 <text x='2' y='15'>{text}</text></svg>"
            );
            png(&svg).unwrap()
        };
        assert!(of("").starts_with(b"\x89PNG"));
        assert_ne!(of("0.93 ±0.01"), of(""), "there is ink");
        assert_eq!(of("0.93 ±0.01"), of("0.93 ±0.01"));
        assert!(png("<svg").is_err());
    }
}
