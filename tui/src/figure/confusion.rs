//! The counts of a confusion matrix: a row per true class, a column per class that the network gave.
//! Knows no task; the dashboard shows the same counts in its own way.

use fewbits_ops::GIVEN_CLASS;
use fewbits_store::Record;
use maud::html;

use super::shade::{colors, step};
use super::svg::{Figure, px, text};

/// The height of a line in pixels.
const LINE: f64 = 22.0;

/// The most classes of a picture: more of them cannot be read.
const MOST: usize = 64;

/// Holds the counts of a record.
pub struct ConfusionCounts<'r> {
    /// The names of the classes.
    pub classes: &'r [String],
    /// A row per true class.
    pub rows: Vec<&'r [f64]>,
}

impl<'r> ConfusionCounts<'r> {
    /// Returns the counts; `None` if the record has none.
    #[must_use]
    pub fn of(record: &'r Record) -> Option<Self> {
        let first = record.series.values().find(|series| series.along == GIVEN_CLASS)?;
        let row = |class| record.series.get(class).map(|series| series.values.as_slice());
        let rows = first.names.iter().map(row).collect::<Option<Vec<_>>>()?;
        Some(Self { classes: &first.names, rows })
    }

    /// Returns the share, 0 to 1, of a true class's images that were given a class.
    #[must_use]
    pub fn share(&self, class: usize, given: usize) -> f64 {
        let total: f64 = self.rows[class].iter().sum();
        if total > 0.0 { self.rows[class][given] / total } else { 0.0 }
    }

    /// Draws the counts, coloured by the share of each row; `None` if there are too many classes.
    #[must_use]
    pub fn draw(&self, label: &str) -> Option<Figure> {
        if self.classes.len() > MOST {
            return None;
        }
        let wide = |text: &str| 14.0 + 6.8 * text.chars().count() as f64;
        let widest =
            |texts: &mut dyn Iterator<Item = String>| texts.map(|text| wide(&text)).fold(28.0, f64::max);
        let names = self.classes.iter().cloned();
        let counts = self.rows.iter().flat_map(|row| row.iter().map(f64::to_string));
        let (left, cell) =
            (widest(&mut names.clone().chain(["true class".to_owned()])), widest(&mut names.chain(counts)));
        let at = |given: usize| left + given as f64 * cell;
        let top = 40.0;
        let content = html! {
            (text(left + cell * self.classes.len() as f64 / 2.0, 14.0, "middle", "given class"))
            (text(left - 8.0, 32.0, "end", "true class"))
            @for (class, name) in self.classes.iter().enumerate() {
                (text(at(class) + cell / 2.0, 32.0, "middle", name))
                (text(left - 8.0, top + class as f64 * LINE + 15.0, "end", name))
                @for (given, count) in self.rows[class].iter().enumerate() {
                    @let (ground, ink) = colors(step(self.share(class, given), (0.0, 1.0)));
                    @let y = top + class as f64 * LINE;
                    rect x=(px(at(given))) y=(px(y)) width=(px(cell - 1.0)) height=(px(LINE - 1.0)) fill=(ground) {}
                    text x=(px(at(given) + cell / 2.0)) y=(px(y + 15.0)) text-anchor="middle" fill=(ink) { (count) }
                }
            }
        };
        let width = at(self.classes.len()) + 4.0;
        let height = top + self.rows.len() as f64 * LINE + 4.0;
        Some(Figure { width, height, label: label.to_owned(), content })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fewbits_store::Series;

    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_classes() {
        let names = vec!["ox".to_owned(), "ass".to_owned()];
        let row = |values: [f64; 2]| Series {
            along: GIVEN_CLASS.to_owned(),
            names: names.clone(),
            values: values.to_vec(),
        };
        let series =
            BTreeMap::from([("ass".to_owned(), row([1.0, 3.0])), ("ox".to_owned(), row([0.0, 0.0]))]);
        let record = Record { series, ..Record::default() };
        let counts = ConfusionCounts::of(&record).expect("counts");
        assert_eq!(counts.rows, [[0.0, 0.0], [1.0, 3.0]]);
        assert_eq!((counts.share(1, 1), counts.share(0, 0)), (0.75, 0.0));
        assert!(counts.draw("counts").expect("a figure").alone().contains(">ass<"));
        assert!(ConfusionCounts::of(&Record::default()).is_none());
    }
}
