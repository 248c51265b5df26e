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
    ("#828079", "#fff"),
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

    #[test]
    fn steps_cover_the_range() {
        let range = (0.1, 0.9);
        assert_eq!((step(0.1, range), step(0.5, range), step(0.9, range)), (0, 8, 15));
        assert_eq!(step(0.5, (0.5, 0.5)), 15);
        assert_eq!(step(f64::NAN, range), 0);
    }
}
