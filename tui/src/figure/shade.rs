//! The colours of heat maps: cividis (Nuñez, Anderton and Renslow 2018) in sixteen steps. Its lightness is even, and it
//! reads the same with and without a colour vision deficiency.

/// The number of steps of the scale.
pub const STEPS: usize = 16;

/// The background and text colours of each step.
const SHADES: [(&str, &str); STEPS] = [
    ("#00224e", "#fff"),
    ("#002f6f", "#fff"),
    ("#1d3b6d", "#fff"),
    ("#35466c", "#fff"),
    ("#48516c", "#fff"),
    ("#575c6d", "#fff"),
    ("#666970", "#fff"),
    ("#737475", "#fff"),
    ("#828079", "#000"),
    ("#928c78", "#000"),
    ("#a39874", "#000"),
    ("#b5a66e", "#000"),
    ("#c8b466", "#000"),
    ("#dbc35b", "#000"),
    ("#eed24b", "#000"),
    ("#fee838", "#000"),
];

/// Returns the step of a value in a range.
#[must_use]
pub fn step(value: f64, (low, high): (f64, f64)) -> usize {
    let share = if high > low { (value - low) / (high - low) } else { 1.0 };
    ((share * STEPS as f64) as usize).min(STEPS - 1)
}

/// Returns the background and text colours of a step.
#[must_use]
pub fn colors(step: usize) -> (&'static str, &'static str) {
    SHADES[step.min(STEPS - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the relative luminance of a colour of two or one hex digits per channel (WCAG 2.2).
    fn luminance(color: &str) -> f64 {
        let digits = color.trim_start_matches('#');
        let width = digits.len() / 3;
        let channel = |at: usize| {
            let text = digits[at * width..(at + 1) * width].repeat(2 / width);
            let share = f64::from(u8::from_str_radix(&text, 16).expect("a colour")) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
    }

    #[test]
    fn texts_have_the_contrast_that_wcag_asks_for() {
        for (ground, ink) in SHADES {
            let (one, other) = (luminance(ground), luminance(ink));
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= 4.5, "{ground} {ink}: {contrast:.2}");
        }
    }

    #[test]
    fn steps_cover_the_range() {
        let range = (0.1, 0.9);
        assert_eq!((step(0.1, range), step(0.5, range), step(0.9, range)), (0, 8, 15));
        assert_eq!(step(0.5, (0.5, 0.5)), 15);
        assert_eq!(step(f64::NAN, range), 0);
    }
}
