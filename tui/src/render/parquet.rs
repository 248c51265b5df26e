//! Parquet files of exported tables: each column has one type over all rows.
//! Knows nothing of the columns' meaning.

use std::sync::Arc;

use anyhow::{Context, Result};
use fewbits_engine::table::flat::{Datum, Flat};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

/// Renders a table as the bytes of an uncompressed Parquet file. Null and missing values are null.
pub fn parquet(flat: &Flat) -> Result<Vec<u8>> {
    let names = flat.columns();
    let all: Vec<ParquetColumn> =
        (0..names.len()).map(|place| ParquetColumn::collect(flat.column(place))).collect();
    let fields = names.iter().zip(&all).map(|(name, column)| Ok(Arc::new(column.field(name)?)));
    let schema = Type::group_type_builder("table").with_fields(fields.collect::<Result<_>>()?).build()?;
    let made_by = format!("fewbits {}", env!("CARGO_PKG_VERSION"));
    let properties = WriterProperties::builder().set_created_by(made_by).build();
    let mut file = SerializedFileWriter::new(vec![], Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for column in all {
        let mut to = group.next_column()?.context("a column is missing")?;
        column.write(&mut to)?;
        to.close()?;
    }
    group.close()?;
    Ok(file.into_inner()?)
}

/// The values of a column in one type.
enum ParquetColumn {
    /// Whole numbers only.
    Whole(Vec<Option<i64>>),
    /// Numbers; also the type of an empty column, which is a metric that no row has.
    Real(Vec<Option<f64>>),
    /// Truth values only.
    Truth(Vec<Option<bool>>),
    /// Texts. In a mixed column, the other values become their JSON text.
    Text(Vec<Option<ByteArray>>),
}

impl ParquetColumn {
    fn collect<'d>(cells: impl Iterator<Item = Option<&'d Datum>>) -> Self {
        let cells: Vec<Option<&Datum>> =
            cells.map(|cell| cell.filter(|datum| **datum != Datum::Null)).collect();
        let there = || cells.iter().flatten();
        let all = |is: fn(&Datum) -> bool| there().all(|datum| is(datum));
        if there().next().is_some() && all(|datum| matches!(datum, Datum::Whole(_))) {
            Self::Whole(cells.iter().map(|cell| whole(*cell)).collect())
        } else if all(|datum| matches!(datum, Datum::Whole(_) | Datum::Real(_))) {
            Self::Real(cells.iter().map(|cell| real(*cell)).collect())
        } else if all(|datum| matches!(datum, Datum::Truth(_))) {
            Self::Truth(cells.iter().map(|cell| cell.map(|datum| *datum == Datum::Truth(true))).collect())
        } else {
            let text = |datum: &Datum| match datum {
                Datum::Text(text) => text.clone(),
                other => other.json().to_string(),
            };
            Self::Text(cells.iter().map(|cell| Some(ByteArray::from(text((*cell)?).into_bytes()))).collect())
        }
    }

    fn field(&self, name: &str) -> Result<Type> {
        let (physical, logical) = match self {
            Self::Whole(_) => (Physical::INT64, None),
            Self::Real(_) => (Physical::DOUBLE, None),
            Self::Truth(_) => (Physical::BOOLEAN, None),
            Self::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        Ok(field.with_repetition(Repetition::OPTIONAL).build()?)
    }

    fn write(self, to: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Self::Whole(values) => write::<Int64Type>(values, to),
            Self::Real(values) => write::<DoubleType>(values, to),
            Self::Truth(values) => write::<BoolType>(values, to),
            Self::Text(values) => write::<ByteArrayType>(values, to),
        }
    }
}

fn whole(cell: Option<&Datum>) -> Option<i64> {
    if let Some(Datum::Whole(whole)) = cell { Some(*whole) } else { None }
}

fn real(cell: Option<&Datum>) -> Option<f64> {
    match cell? {
        Datum::Real(real) => Some(*real),
        Datum::Whole(whole) => Some(*whole as f64),
        Datum::Null | Datum::Truth(_) | Datum::Text(_) => None,
    }
}

fn write<T: DataType>(values: Vec<Option<T::T>>, to: &mut SerializedColumnWriter<'_>) -> Result<()> {
    let is_there: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    to.typed::<T>().write_batch(&values, Some(&is_there), None)?;
    Ok(())
}
