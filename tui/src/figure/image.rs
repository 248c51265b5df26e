//! Figures as PNG files, drawn by resvg with the built-in font: the same bytes on every machine, if that font has all
//! letters.
//! Knows nothing of the content of a figure.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{FontResolver, Options, Tree, fontdb};

/// The font of all text.
const FONT: &[u8] = include_bytes!("font/Roboto-subset.ttf");

/// The number of image pixels per pixel of the picture: 288 dots per inch, for print.
const SCALE: f32 = 3.0;

/// The most image pixels along a side. Larger figures are scaled down.
const MOST: f32 = 20_000.0;

/// The pixels of a figure per inch.
const PER_INCH: f32 = 96.0;

/// A figure as a PNG file, and what is not as it should be.
pub struct Image {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// One sentence for each difference from the figure: letters that no font has, a coarser resolution.
    pub warnings: Vec<String>,
}

/// Returns an SVG figure as a PNG file. Letters that the built-in font lacks come from the fonts of the system.
pub fn png(svg: &str) -> Result<Image> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    let lost = Arc::new(Mutex::new(BTreeSet::new()));
    let options = Options {
        font_family: "Roboto".to_owned(),
        fontdb: Arc::new(fonts),
        font_resolver: resolver(Arc::clone(&lost)),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).context("the figure cannot be drawn")?;
    let size = tree.size();
    let scale = SCALE.min(MOST / size.width().max(size.height()));
    let side = |length: f32| (length * scale).ceil() as u32;
    let mut pixels =
        Pixmap::new(side(size.width()), side(size.height())).context("the figure has no extent")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let mut warnings = vec![];
    let lost: Vec<String> =
        lost.lock().map(|lost| lost.iter().map(|c: &char| format!("`{c}`")).collect()).unwrap_or_default();
    if !lost.is_empty() {
        let letters = lost.join(", ");
        warnings.push(format!(
            "no font of this system has the letters {letters}: the image lacks them; an SVG has them"
        ));
    }
    if scale < SCALE {
        let dots = PER_INCH * scale;
        warnings.push(format!(
            "the figure is very large, so the image has {dots:.0} dots per inch; an SVG has no such limit"
        ));
    }
    let bytes = encode(&pixels, scale).context("the figure cannot be written as PNG")?;
    Ok(Image { bytes, warnings })
}

/// Returns a resolver that looks for a letter in the fonts of the system if the font of the text lacks it, and collects
/// the letters that no font has.
fn resolver(lost: Arc<Mutex<BTreeSet<char>>>) -> FontResolver<'static> {
    let find = FontResolver::default_fallback_selector();
    let is_loaded = AtomicBool::new(false);
    FontResolver {
        select_fallback: Box::new(move |letter, tried, fonts| {
            if !is_loaded.swap(true, Ordering::Relaxed) {
                Arc::make_mut(fonts).load_system_fonts();
            }
            let found = find(letter, tried, fonts);
            if found.is_none()
                && !letter.is_control()
                && let Ok(mut lost) = lost.lock()
            {
                lost.insert(letter);
            }
            found
        }),
        ..FontResolver::default()
    }
}

/// Writes pixels as PNG, with their number per meter.
fn encode(pixels: &Pixmap, scale: f32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let per_meter = (PER_INCH * scale / 0.0254).round() as u32;
    let unit = png::Unit::Meter;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_meter, yppu: per_meter, unit }));
    let colors = pixels.pixels().iter().map(|pixel| (*pixel).demultiply());
    let data: Vec<u8> = colors.flat_map(|c| [c.red(), c.green(), c.blue(), c.alpha()]).collect();
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&data)?;
    writer.finish()?;
    Ok(bytes)
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
        let bytes = |text: &str| of(text).bytes;
        assert!(bytes("").starts_with(b"\x89PNG"));
        // 288 dots per inch are 11,339 per meter (PNG specification, pHYs).
        let physical =
            [b"pHYs".as_slice(), &11_339_u32.to_be_bytes(), &11_339_u32.to_be_bytes(), &[1]].concat();
        assert!(bytes("").windows(physical.len()).any(|window| window == physical));
        assert_ne!(bytes("0.93 ±0.01"), bytes(""), "there is ink");
        assert_eq!(bytes("0.93 ±0.01"), bytes("0.93 ±0.01"));
        assert!(of("0.93 ±0.01").warnings.is_empty());
        // No font has a letter of the private use area.
        let warnings = of("a\u{f8ff0}").warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("\u{f8ff0}"), "{warnings:?}");
        let wide = "<svg xmlns='http://www.w3.org/2000/svg' width='10000' height='20'/>";
        assert!(png(wide).unwrap().warnings[0].contains("192 dots per inch"));
        assert!(png("<svg").is_err());
    }
}
