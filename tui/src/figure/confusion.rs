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
    /// The names of the classes that the network gave, and of no answer if there are such images.
    pub given: &'r [String],
    /// The name of each true class, and its counts.
    pub rows: Vec<(&'r str, &'r [f64])>,
}

impl<'r> ConfusionCounts<'r> {
    /// Returns the counts; `None` if the record has none.
    #[must_use]
    pub fn of(record: &'r Record) -> Option<Self> {
        let given = &record.series.values().find(|series| series.along == GIVEN_CLASS)?.names;
        let row = |class: &'r String| Some((class.as_str(), record.series.get(class)?.values.as_slice()));
        Some(Self { given, rows: given.iter().filter_map(row).collect() })
    }

    /// Returns the share, 0 to 1, of a true class's images that were given a class.
    #[must_use]
    pub fn share(&self, class: usize, given: usize) -> f64 {
        let (_, counts) = self.rows[class];
        let total: f64 = counts.iter().sum();
        if total > 0.0 { counts[given] / total } else { 0.0 }
    }

    /// Draws the counts, coloured by the share of each row. The error is a sentence: there are too many classes.
    pub fn draw(&self, label: &str) -> Result<Figure, String> {
        if self.rows.len() > MOST {
            return Err(format!("{} classes; pictures show at most {MOST}", self.rows.len()));
        }
        let wide = |text: &str| 14.0 + 6.8 * text.chars().count() as f64;
        let counts = self.rows.iter().flat_map(|(_, row)| row.iter().map(f64::to_string));
        let cell = self.given.iter().cloned().chain(counts).map(|text| wide(&text)).fold(28.0, f64::max);
        let left = self.rows.iter().map(|(name, _)| wide(name)).fold(wide("true class"), f64::max);
        let at = |given: usize| left + given as f64 * cell;
        let top = 40.0;
        let content = html! {
            (text(left + cell * self.given.len() as f64 / 2.0, 14.0, "middle", "given class"))
            (text(left - 8.0, 32.0, "end", "true class"))
            @for (given, name) in self.given.iter().enumerate() {
                (text(at(given) + cell / 2.0, 32.0, "middle", name))
            }
            @for (class, (name, counts)) in self.rows.iter().enumerate() {
                (text(left - 8.0, top + class as f64 * LINE + 15.0, "end", name))
                @for (given, count) in counts.iter().enumerate() {
                    @let (ground, ink) = colors(step(self.share(class, given), (0.0, 1.0)));
                    @let y = top + class as f64 * LINE;
                    rect x=(px(at(given))) y=(px(y)) width=(px(cell - 1.0)) height=(px(LINE - 1.0)) fill=(ground) {}
                    text x=(px(at(given) + cell / 2.0)) y=(px(y + 15.0)) text-anchor="middle" fill=(ink) { (count) }
                }
            }
        };
        let width = at(self.given.len()) + 4.0;
        let height = top + self.rows.len() as f64 * LINE + 4.0;
        Ok(Figure { width, height, label: label.to_owned(), content })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fewbits_store::Series;

    use super::*;

    fn record(names: &[&str], rows: &[(&str, &[f64])]) -> Record {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let row = |(name, values): &(&str, &[f64])| {
            let series =
                Series { along: GIVEN_CLASS.to_owned(), names: names.clone(), values: values.to_vec() };
            ((*name).to_owned(), series)
        };
        Record { series: rows.iter().map(row).collect::<BTreeMap<_, _>>(), ..Record::default() }
    }

    #[test]
    fn rows_stand_in_the_order_of_the_classes() {
        let record = record(&["ox", "ass", "none"], &[("ass", &[1.0, 3.0, 4.0]), ("ox", &[0.0, 0.0, 0.0])]);
        let counts = ConfusionCounts::of(&record).expect("counts");
        assert_eq!(counts.rows, [("ox", &[0.0, 0.0, 0.0][..]), ("ass", &[1.0, 3.0, 4.0][..])]);
        assert_eq!((counts.share(1, 1), counts.share(1, 2), counts.share(0, 0)), (0.375, 0.5, 0.0));
        assert!(counts.draw("counts").expect("a figure").alone().contains(">ass<"));
        assert!(ConfusionCounts::of(&Record::default()).is_none());
    }

    #[test]
    fn too_many_classes_are_no_picture() {
        let names: Vec<String> = (0..65).map(|class| class.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows: Vec<(&str, &[f64])> = names.iter().map(|name| (*name, &[0.0; 65][..])).collect();
        let record = record(&names, &rows);
        let told = ConfusionCounts::of(&record).expect("counts").draw("").err();
        assert_eq!(told.as_deref(), Some("65 classes; pictures show at most 64"));
    }
}
