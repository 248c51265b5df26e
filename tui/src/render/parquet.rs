//! Flat objects as a Parquet file: a column for each key, of one type over all rows.
//! Knows nothing of what they mean.

use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use serde_json::{Map, Value as Json};

use super::long::columns;

/// Returns objects as the bytes of a Parquet file, uncompressed; the columns are all keys, in the order they first
/// come. What is null or not there is null.
pub fn parquet(objects: &[Map<String, Json>]) -> Result<Vec<u8>> {
    let names = columns(objects);
    let all: Vec<Column> =
        names.iter().map(|name| Column::of(objects.iter().map(|row| row.get(*name)))).collect();
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

/// The values of a column.
enum Column {
    /// Whole numbers only.
    Whole(Vec<Option<i64>>),
    /// Numbers; also where there is nothing at all, as that is a metric nobody has.
    Real(Vec<Option<f64>>),
    /// Truth values only.
    Truth(Vec<Option<bool>>),
    /// Texts, or a mixture, of which all are texts then.
    Text(Vec<Option<ByteArray>>),
}

impl Column {
    fn of<'j>(cells: impl Iterator<Item = Option<&'j Json>>) -> Self {
        let cells: Vec<Option<&Json>> = cells.map(|cell| cell.filter(|value| !value.is_null())).collect();
        let there = || cells.iter().flatten();
        let all = |is: fn(&Json) -> bool| there().all(|value| is(value));
        if there().next().is_some() && all(Json::is_i64) {
            Self::Whole(cells.iter().map(|cell| (*cell)?.as_i64()).collect())
        } else if all(Json::is_number) {
            Self::Real(cells.iter().map(|cell| (*cell)?.as_f64()).collect())
        } else if all(Json::is_boolean) {
            Self::Truth(cells.iter().map(|cell| (*cell)?.as_bool()).collect())
        } else {
            let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
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

fn write<T: DataType>(values: Vec<Option<T::T>>, to: &mut SerializedColumnWriter<'_>) -> Result<()> {
    let is_there: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    to.typed::<T>().write_batch(&values, Some(&is_there), None)?;
    Ok(())
}
