//! The labels of a user's files: texts or numbers, which become classes from 0 on.
//! Knows nothing of pixels.

use std::collections::{BTreeSet, HashMap};

use super::images::Labels;

/// The most classes.
const MOST: usize = 256;

/// The labels of a file as they are written, each distinct one once.
#[derive(Debug, Default)]
pub(super) struct LabelColumn {
    /// The distinct labels, in the order of their first image.
    distinct: Vec<String>,
    /// The first image of each.
    first: Vec<usize>,
    /// For each image, the index of its label in `distinct`.
    numbers: Vec<u8>,
    places: HashMap<String, u8>,
}

impl LabelColumn {
    /// Appends the label of the next image. The error is a sentence: there are too many distinct labels.
    pub(super) fn push(&mut self, label: &str) -> Result<(), String> {
        let number = match self.places.get(label) {
            Some(number) => *number,
            None => {
                let image = self.numbers.len();
                let number = u8::try_from(self.distinct.len()).map_err(|_| {
                    format!("label {label:?} of image {image} is the {}th distinct one; at most {MOST} classes are possible", MOST + 1)
                })?;
                self.distinct.push(label.to_owned());
                self.first.push(image);
                self.places.insert(label.to_owned(), number);
                number
            }
        };
        self.numbers.push(number);
        Ok(())
    }

    fn labels(&self, classes: &HashMap<&str, u8>, names: &[String], count: usize) -> Labels {
        let class: Vec<u8> = self.distinct.iter().map(|label| classes[label.as_str()]).collect();
        let numbers = self.numbers.iter().map(|number| class[usize::from(*number)]).collect();
        Labels { classes: count, names: names.to_vec(), numbers }
    }
}

/// Turns the labels of training and test images into classes. With `names`: if every label is a name, a label's class is the
/// place of its name; otherwise every label must be a number from 0, and is the class itself. Without `names`, the classes
/// are the distinct labels, sorted: as numbers if all are whole numbers, else as texts. Errors with the index of the column, and what is wrong there.
pub(super) fn resolve<const N: usize>(
    columns: [&LabelColumn; N],
    names: Option<&[String]>,
) -> Result<[Labels; N], (usize, String)> {
    let all: BTreeSet<&str> =
        columns.iter().flat_map(|column| column.distinct.iter().map(String::as_str)).collect();
    let order = match names {
        Some(names) => named(&all, names).ok_or_else(|| stray(&columns, names))?,
        None => sorted(&all),
    };
    let count = names.map_or(order.len(), <[String]>::len);
    if count > MOST {
        return Err((N - 1, format!("{count} distinct labels; at most {MOST} classes are possible")));
    }
    let classes: HashMap<&str, u8> = order.iter().map(|(label, class)| (*label, *class as u8)).collect();
    let names = names.map_or_else(|| own_names(&order), <[String]>::to_vec);
    Ok(columns.map(|column| column.labels(&classes, &names, count)))
}

/// Returns the class of each label: the number of the name that is equal to it, or of the name at its number; `None` if
/// neither is there for all.
fn named<'l>(all: &BTreeSet<&'l str>, names: &[String]) -> Option<Vec<(&'l str, usize)>> {
    let are_names = all.iter().all(|label| names.iter().any(|name| name == label));
    let class = |label: &str| {
        let name = names.iter().position(|name| name == label);
        // A label that is the name of one class and the number of another could mean either.
        if are_names { name } else { number(label, names).filter(|at| name.is_none_or(|name| name == *at)) }
    };
    all.iter().map(|label| Some((*label, class(label)?))).collect()
}

fn number(label: &str, names: &[String]) -> Option<usize> {
    label.parse().ok().filter(|number: &usize| *number < names.len())
}

/// Returns the labels with their places in sorted order.
fn sorted<'l>(all: &BTreeSet<&'l str>) -> Vec<(&'l str, usize)> {
    let numbers: Option<Vec<(i64, &str)>> =
        all.iter().map(|label| Some((label.parse().ok()?, *label))).collect();
    let labels: Vec<&str> = match numbers {
        Some(mut numbers) => {
            numbers.sort_unstable();
            numbers.into_iter().map(|(_, label)| label).collect()
        }
        None => all.iter().copied().collect(),
    };
    labels.into_iter().enumerate().map(|(class, label)| (label, class)).collect()
}

/// Returns the labels in the order of their classes; none if they are 0, 1, 2, ….
fn own_names(order: &[(&str, usize)]) -> Vec<String> {
    if order.iter().all(|(label, class)| *label == class.to_string()) {
        return vec![];
    }
    order.iter().map(|(label, _)| (*label).to_owned()).collect()
}

/// Returns the fault of labels that are no classes.
fn stray(columns: &[&LabelColumn], names: &[String]) -> (usize, String) {
    let is_stray = |label: &String| number(label, names).is_none() && !names.contains(label);
    for (at, column) in columns.iter().enumerate() {
        let mut labels = column.distinct.iter().zip(&column.first);
        if let Some((label, image)) = labels.find(|(label, _)| is_stray(label)) {
            let classes = names.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
            let (more, last) = (if names.len() > 12 { ", …" } else { "" }, names.len() - 1);
            let what = format!(
                "label {label:?} of image {image} is none of the classes {classes}{more}, nor a number from 0 to {last}"
            );
            return (at, what);
        }
    }
    (0, "some labels are names of classes and others numbers; write all in one way".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(labels: &[&str]) -> LabelColumn {
        let mut column = LabelColumn::default();
        for label in labels {
            column.push(label).unwrap();
        }
        column
    }

    #[test]
    fn classes_are_the_sorted_labels_or_the_names_given() {
        let resolved = |train: &[&str], test: &[&str], names: Option<&[&str]>| {
            let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            let [train, test] = resolve([&column(train), &column(test)], names.as_deref())?;
            assert_eq!((train.classes, &train.names), (test.classes, &test.names));
            Ok::<_, (usize, String)>((train.classes, train.names, train.numbers, test.numbers))
        };
        let of = |classes, names: &[&str], train: &[u8], test: &[u8]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Ok((classes, names, train.to_vec(), test.to_vec()))
        };
        assert_eq!(resolved(&["10", "0", "2"], &["2"], None), of(3, &["0", "2", "10"], &[2, 0, 1], &[1]));
        assert_eq!(resolved(&["2", "0", "1"], &["2"], None), of(3, &[], &[2, 0, 1], &[2]));
        assert_eq!(resolved(&["dog", "cat"], &["ox"], None), of(3, &["cat", "dog", "ox"], &[1, 0], &[2]));
        let named: &[&str] = &["ox", "dog", "cat"];
        assert_eq!(resolved(&["dog", "cat"], &["dog"], Some(named)), of(3, named, &[1, 2], &[1]));
        assert_eq!(resolved(&["1", "2"], &["0"], Some(named)), of(3, named, &[1, 2], &[0]));
        assert_eq!(resolved(&["5", "3"], &[], Some(&["3", "5"])), of(2, &["3", "5"], &[1, 0], &[]));
        let error = |train: &[&str], test: &[&str]| resolved(train, test, Some(named)).unwrap_err();
        assert_eq!(
            error(&["dog"], &["dog", "hen"]),
            (
                1,
                "label \"hen\" of image 1 is none of the classes ox, dog, cat, nor a number from 0 to 2"
                    .to_owned()
            )
        );
        assert_eq!(error(&["0", "3"], &[]).0, 0);
        assert_eq!(
            error(&["dog", "2"], &[]).1,
            "some labels are names of classes and others numbers; write all in one way"
        );
        assert!(
            resolved(&["0", "1", "2"], &[], Some(&["1", "2", "3"]))
                .unwrap_err()
                .1
                .starts_with("some labels are names")
        );
        let padded: &[&str] = &["01", "02", "03"];
        assert_eq!(resolved(&["02", "01"], &[], Some(padded)), of(3, padded, &[1, 0], &[]));
        let mut many = LabelColumn::default();
        let told = (0..257).find_map(|label| many.push(&label.to_string()).err()).unwrap();
        assert!(told.starts_with("label \"256\" of image 256 is the 257th distinct one"), "{told}");
    }
}
