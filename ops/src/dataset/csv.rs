//! Rows of numbers of a user in comma-separated files, plain or gzipped, with the names of the columns in the first line.
//! Knows nothing of splits or normalization.

use std::io::{self, Read};
use std::path::Path;

use csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord};

use super::error::FileError;
use super::file_images::FileImages;
use super::images::Pixels;
use super::labels::LabelColumn;
use super::npz::MOST_FEATURES;
use super::open::DatasetFile;

/// The most bytes of a file, and of a record, which is held in memory as a whole.
const FILE: u64 = 1 << 30;
const RECORD: usize = 1 << 24;

/// The rows of a file.
pub struct CsvRows {
    /// The rows, each an image of `features` × 1 × 1.
    pub(super) images: FileImages,
    /// The names of the columns with features.
    pub(super) features: Vec<String>,
}

/// Reads a file of at most `limit` bytes, decompressed. `label` names the column with the labels.
pub(super) fn read(path: &Path, label: Option<&str>, limit: u64) -> Result<CsvRows, FileError> {
    let mut file = DatasetFile::file(path)?.within(FILE.min(limit));
    rows(&mut file, label).map_err(|error| match error {
        CsvError::Read { source } => file.fault(source),
        CsvError::Content { what } => FileError::Content { file: file.name().to_owned(), what },
    })
}

/// An error in a file.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be read.
    #[error(transparent)]
    Read {
        /// The system's error.
        #[from]
        source: io::Error,
    },
    /// The content is wrong.
    #[error("{what}")]
    Content {
        /// What is wrong, beginning with its line.
        what: String,
    },
}

impl CsvError {
    fn at(line: u64, what: &str) -> Self {
        Self::Content { what: format!("line {line}: {what}") }
    }
}

/// Reads the text of a file. Errors at the first line that does not fit.
pub fn rows(text: &mut impl Read, label: Option<&str>) -> Result<CsvRows, CsvError> {
    let text = ShortRecords { text, length: 0 };
    let mut reader = ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let names = reader.headers().map_err(|error| fault(error, 1))?.clone();
    reader.get_mut().length = 0;
    let at = check_names(&names, label).map_err(|what| CsvError::at(1, &what))?;
    let (numbers, labels) = content(&mut reader, &names, at)?;
    let features: Vec<String> = names
        .iter()
        .enumerate()
        .filter(|(column, _)| Some(*column) != at)
        .map(|(_, name)| name.to_owned())
        .collect();
    let pixels = Pixels::Numbers { numbers, zeros: vec![] };
    let labels = at.map(|_| labels);
    Ok(CsvRows { images: FileImages { shape: [features.len(), 1, 1], pixels, labels }, features })
}

/// Checks the names of the columns, and returns the place of the column with the labels.
fn check_names(names: &StringRecord, label: Option<&str>) -> Result<Option<usize>, String> {
    if let Some(column) = names.iter().position(str::is_empty) {
        return Err(format!(
            "column {} has no name; an index that pandas wrote is left out with to_csv(…, index=False)",
            column + 1
        ));
    }
    let place = match label {
        Some(label) => Some(place_of_label(names, label)?),
        None => None,
    };
    let features = names.len() - usize::from(place.is_some());
    if features == 0 || features > MOST_FEATURES {
        return Err(format!("{features} columns with features; 1 to {MOST_FEATURES} are read"));
    }
    Ok(place)
}

fn place_of_label(names: &StringRecord, label: &str) -> Result<usize, String> {
    let mut places = names.iter().enumerate().filter(|(_, name)| *name == label).map(|(at, _)| at);
    let what = match (places.next(), places.next()) {
        (Some(at), None) => return Ok(at),
        (None, _) => "no column",
        (Some(_), Some(_)) => "several columns",
    };
    let all = names.iter().take(20).collect::<Vec<_>>().join(", ");
    Err(format!("{what} named {label:?}; the columns are {all}"))
}

/// Reads the numbers of all rows, and the labels in the column `at`.
fn content(
    reader: &mut Reader<ShortRecords<'_, impl Read>>,
    names: &StringRecord,
    at: Option<usize>,
) -> Result<(Vec<f32>, LabelColumn), CsvError> {
    let (mut numbers, mut labels, mut record) = (vec![], LabelColumn::default(), StringRecord::new());
    loop {
        let line = reader.position().line();
        if !reader.read_record(&mut record).map_err(|error| fault(error, line))? {
            break;
        }
        reader.get_mut().length = 0;
        let line = record.position().map_or(line, Position::line);
        let wrong = |what: String| CsvError::at(line, &what);
        if record.len() != names.len() {
            return Err(wrong(format!(
                "{} values; the first line names {} columns",
                record.len(),
                names.len()
            )));
        }
        for (column, text) in record.iter().enumerate() {
            if Some(column) == at {
                labels.push(&label(text).map_err(wrong)?).map_err(wrong)?;
                continue;
            }
            let number = text.parse().ok().filter(|number: &f32| number.is_finite());
            let name = &names[column];
            numbers.push(
                number.ok_or_else(|| wrong(format!("column {name:?}: {:?} is no number", start(text))))?,
            );
        }
    }
    if numbers.is_empty() {
        Err(CsvError::at(2, "there is no row of numbers"))
    } else {
        Ok((numbers, labels))
    }
}

/// Returns the beginning of a text, for messages.
fn start(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Returns a label; `1.0`, which pandas writes for a 1 beside missing values, is `1`. Other spellings stay: they may be the
/// names of classes.
fn label(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the label is empty".to_owned());
    }
    let whole = text.strip_suffix(".0").filter(|whole| whole.parse::<i64>().is_ok());
    Ok(whole.unwrap_or(text).to_owned())
}

fn fault(error: csv::Error, line: u64) -> CsvError {
    let line = error.position().map_or(line, Position::line);
    match error.into_kind() {
        ErrorKind::Io(source) if source.kind() == io::ErrorKind::InvalidData && is_long(&source) => {
            CsvError::at(line, LONG)
        }
        ErrorKind::Io(source) => CsvError::Read { source },
        ErrorKind::Utf8 { .. } => CsvError::at(line, "it is no UTF-8 text"),
        _ => CsvError::at(line, "it is no row of comma-separated values"),
    }
}

/// A text whose records are not too long.
struct ShortRecords<'t, R> {
    text: &'t mut R,
    /// The bytes read since the last record; its owner sets it to 0.
    length: usize,
}

const LONG: &str = "the row has more than 16 MiB; is a quote not closed?";

fn is_long(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.to_string() == LONG)
}

impl<R: Read> Read for ShortRecords<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(out)?;
        self.length += count;
        if self.length > RECORD { Err(io::Error::new(io::ErrorKind::InvalidData, LONG)) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::labels::resolve;

    fn read(text: &str, label: Option<&str>) -> Result<CsvRows, String> {
        rows(&mut text.as_bytes(), label).map_err(|error| error.to_string())
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
        assert_eq!(
            ["1.0", "-0", "01", "1.5", "a.0"].map(|text| label(text).unwrap()),
            ["1", "-0", "01", "1.5", "a.0"]
        );
    }

    #[test]
    fn faults_name_line_and_column() {
        let error = |text, label| read(text, label).err().unwrap();
        assert_eq!(error("a,b\n1,2\n", Some("c")), "line 1: no column named \"c\"; the columns are a, b");
        assert_eq!(
            error("a,a\n1,2\n", Some("a")),
            "line 1: several columns named \"a\"; the columns are a, a"
        );
        assert_eq!(error("a,b\n1,2\n3\n", None), "line 3: 1 values; the first line names 2 columns");
        assert_eq!(error("a,b\n1,2\n3,x\n", None), "line 3: column \"b\": \"x\" is no number");
        assert_eq!(error("a,b\n1,NaN\n", None), "line 2: column \"b\": \"NaN\" is no number");
        assert_eq!(error("a,b\n1,\n", Some("b")), "line 2: the label is empty");
        assert_eq!(
            error(",b\n0,2\n", None),
            "line 1: column 1 has no name; an index that pandas wrote is left out with to_csv(…, index=False)"
        );
        assert_eq!(error("a,b\n", None), "line 2: there is no row of numbers");
        assert_eq!(error("a\nx\n", Some("a")), "line 1: 0 columns with features; 1 to 65536 are read");
        let told = "line 2: the row has more than 16 MiB; is a quote not closed?";
        for long in ["2".repeat(RECORD + (1 << 16)), format!("\"{}", "2\n".repeat(RECORD / 2 + (1 << 16)))] {
            assert_eq!(read(&format!("a,b\n1,{long}\n"), None).err().unwrap(), told);
        }
        let many = format!("a,b\n{}", "1,2\n".repeat(RECORD / 4 + (1 << 16)));
        assert_eq!(read(&many, None).unwrap().images.shape, [2, 1, 1]);
    }
}
