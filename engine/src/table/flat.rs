//! Tables for other programs: rows of named values, in columns with unique names.
//! Knows nothing of files.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use crate::json_metrics::json_number;
use crate::spec::axis::Level;
use crate::text::value::{Value, ValueKind};

/// One value of an exported table.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// No value: the result is missing, the metric is undefined, or the row does not have the axis.
    Null,
    /// A truth value.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// Any other number, infinite ones and NaN included.
    Real(f64),
    /// A text; also the text of a value of any other kind.
    Text(String),
}

/// A table in columns. A row may lack a column, which differs from null.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flat {
    columns: Vec<String>,
    places: HashMap<String, usize>,
    rows: Vec<Vec<Option<Datum>>>,
}

/// The error of a row with two values of the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two columns are named `{name}`: give one of them another heading")]
pub struct DuplicateColumn {
    /// The name.
    pub name: String,
}

impl Flat {
    /// Returns a table without rows that has these columns first, in this order.
    #[must_use]
    pub fn with_columns(columns: Vec<String>) -> Self {
        let places = columns.iter().cloned().zip(0..).collect();
        Self { columns, places, rows: vec![] }
    }

    /// Adds a row; other columns follow in the order in which their names first occur.
    pub fn add(&mut self, row: impl IntoIterator<Item = (String, Datum)>) -> Result<(), DuplicateColumn> {
        let mut values: Vec<Option<Datum>> = vec![None; self.columns.len()];
        for (name, datum) in row {
            let place = self.places.get(&name).copied().unwrap_or(self.columns.len());
            if place == self.columns.len() {
                self.columns.push(name.clone());
                self.places.insert(name.clone(), place);
                values.push(None);
            }
            if values[place].replace(datum).is_some() {
                return Err(DuplicateColumn { name });
            }
        }
        self.rows.push(values);
        Ok(())
    }

    /// Returns the names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the rows. Each row has one entry per column, in the order of [`Flat::columns`]; an entry is `None` if
    /// the row lacks the column.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = impl Iterator<Item = Option<&Datum>> + Clone> {
        let width = self.columns.len();
        self.rows.iter().map(move |row| (0..width).map(|place| row.get(place)?.as_ref()))
    }

    /// Returns the rows as JSON objects with a key for each value of the row.
    #[must_use]
    pub fn objects(&self) -> Vec<Map<String, Json>> {
        let object = |row: &Vec<Option<Datum>>| {
            let pairs = self.columns.iter().zip(row);
            pairs.filter_map(|(name, datum)| Some((name.clone(), datum.as_ref()?.json()))).collect()
        };
        self.rows.iter().map(object).collect()
    }

    /// Returns the entries of a column, row by row; `place` is the index of the column.
    pub fn column(&self, place: usize) -> impl Iterator<Item = Option<&Datum>> + Clone {
        self.rows.iter().map(move |row| row.get(place)?.as_ref())
    }
}

impl Datum {
    /// Returns a number as a datum; `Null` for `None`.
    #[must_use]
    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Real)
    }

    /// Returns the value as JSON.
    #[must_use]
    pub fn json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Truth(truth) => Json::from(*truth),
            Self::Whole(whole) => Json::from(*whole),
            Self::Real(real) => json_number(*real),
            Self::Text(text) => Json::from(text.as_str()),
        }
    }
}

/// Converts numbers, truth values and texts as they are, and any other value to its text.
impl From<&Value> for Datum {
    fn from(value: &Value) -> Self {
        match &value.kind {
            ValueKind::Bool(value) => Self::Truth(*value),
            ValueKind::Int(value) => Self::Whole(*value),
            ValueKind::Real(value) => Self::Real(*value),
            ValueKind::Text(text) => Self::Text(text.clone()),
            ValueKind::List(_) | ValueKind::Map(_) | ValueKind::Struct(_) | ValueKind::Unreadable => {
                Self::Text(value.to_string())
            }
        }
    }
}

/// Converts a level to its number or truth value, and any other level to its label.
impl From<&Level> for Datum {
    fn from(level: &Level) -> Self {
        match Self::from(&level.value) {
            Self::Text(_) => Self::Text(level.label.clone()),
            number_or_truth => number_or_truth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, Datum)]) -> Vec<(String, Datum)> {
        pairs.iter().map(|(name, datum)| ((*name).to_owned(), datum.clone())).collect()
    }

    #[test]
    fn columns_are_all_names_in_the_order_they_come() {
        let mut flat = Flat::default();
        flat.add(row(&[("a", Datum::Whole(1)), ("b", Datum::Null)])).unwrap();
        flat.add(row(&[("a", Datum::Whole(2)), ("c", Datum::Real(0.5))])).unwrap();
        assert_eq!(flat.columns(), ["a", "b", "c"]);
        let rows: Vec<Vec<Option<&Datum>>> = flat.rows().map(Iterator::collect).collect();
        assert_eq!(rows[0], [Some(&Datum::Whole(1)), Some(&Datum::Null), None]);
        assert_eq!(rows[1], [Some(&Datum::Whole(2)), None, Some(&Datum::Real(0.5))]);
        assert_eq!(flat.column(2).collect::<Vec<_>>(), [None, Some(&Datum::Real(0.5))]);
    }

    #[test]
    fn no_value_takes_the_place_of_another() {
        let twice = row(&[("a", Datum::Whole(1)), ("a", Datum::Whole(2))]);
        assert_eq!(Flat::default().add(twice), Err(DuplicateColumn { name: "a".to_owned() }));
    }
}
