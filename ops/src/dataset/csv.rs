//! Rows of numbers of one's own in comma-separated files, plain or gzipped, with the names of the columns in the first line.
//! Knows nothing of splits or normalization.

use std::io::Read;
use std::path::Path;

use csv::{ErrorKind, Position, ReaderBuilder, StringRecord};

use super::error::FileError;
use super::images::Pixels;
use super::labels::LabelColumn;
use super::npz::UnlabelledImages;
use super::open::DatasetFile;

/// The most columns of a row.
const MOST_COLUMNS: usize = 1 << 16;

/// The rows of a file.
pub struct CsvRows {
    /// The rows, each an image of `features` × 1 × 1.
    pub(super) images: UnlabelledImages,
    /// The names of the columns with features.
    pub(super) features: Vec<String>,
}

/// Reads a file. `label` names the column with the labels.
pub(super) fn read(path: &Path, label: Option<&str>) -> Result<CsvRows, FileError> {
    let mut file = DatasetFile::file(path)?;
    rows(&mut file, label).map_err(|fault| match fault {
        CsvFault::Read(error) => file.fault(error),
        CsvFault::Content(what) => FileError::Content { file: file.name().to_owned(), what },
    })
}

/// A fault of a file.
#[derive(Debug)]
pub enum CsvFault {
    /// The file cannot be read.
    Read(std::io::Error),
    /// The content is wrong.
    Content(String),
}

/// Reads the text of a file. Errors at the first line that does not fit.
pub fn rows(text: &mut impl Read, label: Option<&str>) -> Result<CsvRows, CsvFault> {
    let mut reader = ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let names = reader.headers().map_err(|error| fault(error, 1))?.clone();
    let at = place_of_label(&names, label).map_err(CsvFault::Content)?;
    let features: Vec<String> = names
        .iter()
        .enumerate()
        .filter(|(column, _)| Some(*column) != at)
        .map(|(_, name)| name.to_owned())
        .collect();
    if features.is_empty() || names.len() > MOST_COLUMNS {
        let what = format!("line 1: {} columns; 1 to {MOST_COLUMNS} with features are read", features.len());
        return Err(CsvFault::Content(what));
    }
    let (mut numbers, mut labels, mut record) = (vec![], vec![], StringRecord::new());
    loop {
        let line = reader.position().line();
        if !reader.read_record(&mut record).map_err(|error| fault(error, line))? {
            break;
        }
        let line = record.position().map_or(line, Position::line);
        let told = |what: String| CsvFault::Content(format!("line {line}: {what}"));
        if record.len() != names.len() {
            return Err(told(format!(
                "{} values; the first line names {} columns",
                record.len(),
                names.len()
            )));
        }
        for (column, text) in record.iter().enumerate() {
            if Some(column) == at {
                labels.push(text.to_owned());
                continue;
            }
            let number = text.parse().ok().filter(|number: &f32| number.is_finite());
            let name = &names[column];
            numbers.push(number.ok_or_else(|| told(format!("column {name:?}: {text:?} is no number")))?);
        }
    }
    if numbers.is_empty() {
        return Err(CsvFault::Content("no row of numbers".to_owned()));
    }
    let labels = at.map(|_| LabelColumn::new(labels.into_iter())).transpose().map_err(CsvFault::Content)?;
    let pixels = Pixels::Numbers { numbers, zeros: vec![] };
    Ok(CsvRows { images: UnlabelledImages { shape: [features.len(), 1, 1], pixels, labels }, features })
}

fn place_of_label(names: &StringRecord, label: Option<&str>) -> Result<Option<usize>, String> {
    let Some(label) = label else { return Ok(None) };
    let mut places = names.iter().enumerate().filter(|(_, name)| *name == label).map(|(at, _)| at);
    let first = places.next();
    if first.is_none() || places.next().is_some() {
        let all = names.iter().take(20).collect::<Vec<_>>().join(", ");
        let what = if first.is_none() { "no column" } else { "several columns" };
        return Err(format!("line 1: {what} named {label:?}; the columns are {all}"));
    }
    Ok(first)
}

fn fault(error: csv::Error, line: u64) -> CsvFault {
    let line = error.position().map_or(line, Position::line);
    match error.into_kind() {
        ErrorKind::Io(error) => CsvFault::Read(error),
        ErrorKind::Utf8 { .. } => CsvFault::Content(format!("line {line}: it is no UTF-8 text")),
        other => CsvFault::Content(format!("line {line}: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::labels::resolve;

    fn read(text: &str, label: Option<&str>) -> Result<CsvRows, String> {
        rows(&mut text.as_bytes(), label).map_err(|fault| match fault {
            CsvFault::Read(error) => error.to_string(),
            CsvFault::Content(what) => what,
        })
    }

    #[test]
    fn a_row_is_an_image() {
        let rows = read("width, kind,height\n1.5,cat,-2\n\"3\",dog,1e2\n", Some("kind")).unwrap();
        assert_eq!(
            (rows.images.shape, rows.features),
            ([2, 1, 1], vec!["width".to_owned(), "height".to_owned()])
        );
        let Pixels::Numbers { numbers, .. } = rows.images.pixels else { panic!("bytes") };
        let [labels] = resolve([&rows.images.labels.unwrap()], None).unwrap();
        assert_eq!(numbers, [1.5, -2.0, 3.0, 100.0]);
        assert_eq!((labels.names, labels.numbers), (vec!["cat".to_owned(), "dog".to_owned()], vec![0, 1]));
        assert!(read("a,b\n1,2\n", None).unwrap().images.labels.is_none());
    }

    #[test]
    fn faults_name_line_and_column() {
        let told = |text, label| read(text, label).err().unwrap();
        assert_eq!(told("a,b\n1,2\n", Some("c")), "line 1: no column named \"c\"; the columns are a, b");
        assert_eq!(
            told("a,a\n1,2\n", Some("a")),
            "line 1: several columns named \"a\"; the columns are a, a"
        );
        assert_eq!(told("a,b\n1,2\n3\n", None), "line 3: 1 values; the first line names 2 columns");
        assert_eq!(told("a,b\n1,2\n3,x\n", None), "line 3: column \"b\": \"x\" is no number");
        assert_eq!(told("a,b\n1,NaN\n", None), "line 2: column \"b\": \"NaN\" is no number");
        assert_eq!(told("a,b\n", None), "no row of numbers");
        assert_eq!(told("a\nx\n", Some("a")), "line 1: 0 columns; 1 to 65536 with features are read");
    }
}
