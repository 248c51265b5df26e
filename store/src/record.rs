//! Records: the stored results of computations.
//!
//! Knows the encoding of a record, but neither its place in the journal nor the ops that make records.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use crate::{Digest, summary::op_of};

/// Holds a named list of numbers along epochs, classes, layers or tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The name of the axis of the values: "epoch", "class", "layer", "tensor".
    pub along: String,
    /// The name of each step; empty if the steps are 0, 1, 2, ….
    pub names: Vec<String>,
    /// One value per step.
    pub values: Vec<f64>,
}

/// Holds the result of one computation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The canonical JSON that the key is derived from.
    pub preimage: String,
    /// The metrics by name. An undefined metric has no entry.
    pub metrics: BTreeMap<String, f64>,
    /// The series by name.
    pub series: BTreeMap<String, Series>,
    /// The digest of each part of the output, by the part's name.
    pub parts: BTreeMap<String, Digest>,
    /// Whether the parts are objects of this store.
    pub kept: bool,
    /// One bit per image, the least significant bit of each byte first: 1 if the answer was correct. `None` if the
    /// computation gives no answers.
    #[serde(with = "serde_bytes")]
    pub correct: Option<Vec<u8>>,
    /// The seconds that the computation took.
    pub seconds: f64,
    /// Machine, program and numerics of the computation. They are not part of the key.
    pub provenance: BTreeMap<String, String>,
}

/// Holds the fields of a record that tables need.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RecordValues {
    /// The metrics by name.
    pub metrics: BTreeMap<String, f64>,
    /// One bit per image, as in [`Record`].
    #[serde(with = "serde_bytes")]
    pub correct: Option<Vec<u8>>,
    /// The seconds that the computation took.
    pub seconds: f64,
}

impl From<Record> for RecordValues {
    fn from(record: Record) -> Self {
        Self { metrics: record.metrics, correct: record.correct, seconds: record.seconds }
    }
}

impl RecordValues {
    /// Decodes the figures from a record's body. Returns `None` if the bytes are no record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

impl Record {
    /// Returns the digest of the only part; `None` if there are several parts or none.
    #[must_use]
    pub fn only_part(&self) -> Option<Digest> {
        let mut parts = self.parts.values();
        parts.next().filter(|_| parts.next().is_none()).copied()
    }

    /// Whether the results of two records are equal to the bit. Seconds and provenance may differ.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        same_metrics(&self.metrics, &other.metrics)
            && same_series(&self.series, &other.series)
            && self.parts == other.parts
            && self.correct == other.correct
    }

    /// Describes the differences between the results of two records: each metric with both values, then series, parts
    /// and answers by name.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.metrics.keys().chain(other.metrics.keys()).collect();
        let mut found = Vec::new();
        for name in names {
            let [one, two] = [self, other].map(|record| record.metrics.get(name));
            if one.map(|value| value.to_bits()) != two.map(|value| value.to_bits()) {
                let word = |value: Option<&f64>| value.map_or("none".to_owned(), ToString::to_string);
                found.push(format!("{name} {} instead of {}", word(two), word(one)));
            }
        }
        let others = [
            ("series", !same_series(&self.series, &other.series)),
            ("digests of the artifact", self.parts != other.parts),
            ("answers to single images", self.correct != other.correct),
        ];
        found.extend(others.into_iter().filter(|(_, differ)| *differ).map(|(name, _)| name.to_owned()));
        found
    }

    /// Returns the name of the op, read from the preimage.
    #[must_use]
    pub fn op(&self) -> Option<String> {
        op_of(&self.preimage).map(Cow::into_owned)
    }

    /// Encodes the record as a `MessagePack` map with named fields, so that later versions can add fields.
    pub fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }

    /// Decodes a record. Returns `None` if the bytes are no record.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

/// Compares by bits, so that NaN equals itself.
fn same_bits<'v>(one: impl IntoIterator<Item = &'v f64>, two: impl IntoIterator<Item = &'v f64>) -> bool {
    let bits = |value: &f64| value.to_bits();
    one.into_iter().map(bits).eq(two.into_iter().map(bits))
}

fn same_metrics(one: &BTreeMap<String, f64>, two: &BTreeMap<String, f64>) -> bool {
    one.keys().eq(two.keys()) && same_bits(one.values(), two.values())
}

fn same_series(one: &BTreeMap<String, Series>, two: &BTreeMap<String, Series>) -> bool {
    let same = |(one, two): (&Series, &Series)| {
        (&one.along, &one.names) == (&two.along, &two.names) && same_bits(&one.values, &two.values)
    };
    one.keys().eq(two.keys()) && one.values().zip(two.values()).all(same)
}

/// Builds small records for the tests of this crate.
#[cfg(test)]
pub(crate) fn sample(op: &str, n: u32) -> (crate::Key, Record) {
    let preimage = format!(r#"{{"inputs":{{}},"op":"{op}","params":{{"n":{n}}},"version":1}}"#);
    let curve = Series { along: "epoch".into(), names: vec![], values: vec![0.5, f64::from(n)] };
    let record = Record {
        metrics: BTreeMap::from([("accuracy".into(), 0.25 + f64::from(n)), ("loss".into(), 0.1)]),
        series: BTreeMap::from([("loss".into(), curve)]),
        parts: BTreeMap::from([("model".into(), Digest::hash(&n.to_le_bytes()))]),
        correct: Some(vec![0xa5; 25]),
        seconds: 1.5,
        provenance: BTreeMap::from([("numerics".into(), "avx512".into())]),
        preimage,
        kept: false,
    };
    (crate::Key::derive(&record.preimage), record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_bytes() {
        let (_, mut record) = sample("train", 7);
        record.metrics.insert("worst".into(), f64::NEG_INFINITY);
        assert_eq!(Record::decode(&record.encode().unwrap()), Some(record.clone()));
        assert_eq!(record.op().as_deref(), Some("train"));
        assert_eq!(Record::decode(b"\xff\xff garbage"), None);
        assert_eq!(RecordValues::decode(&record.encode().unwrap()), Some(RecordValues::from(record)));
        assert_eq!(RecordValues::decode(b"\xff\xff garbage"), None);
    }

    #[test]
    fn correct_bits_cost_one_byte_per_eight_images() {
        let (_, with) = sample("evaluate", 1);
        let without = Record { correct: None, ..with.clone() };
        assert!(with.encode().unwrap().len() <= without.encode().unwrap().len() + 25 + 5);
    }

    #[test]
    fn an_undefined_value_says_the_same_as_itself() {
        let (_, mut one) = sample("quantize", 1);
        one.series
            .insert("sqnr".into(), Series { along: "tensor".into(), names: vec![], values: vec![f64::NAN] });
        let later = Record { seconds: 9.0, provenance: BTreeMap::new(), ..one.clone() };
        assert!(one.says_the_same_as(&later) && one.differences(&later).is_empty());
        let mut other = one.clone();
        other.metrics.insert("accuracy".into(), 0.5);
        other.metrics.remove("loss");
        other.series.clear();
        assert!(!one.says_the_same_as(&other));
        let told = ["accuracy 0.5 instead of 1.25", "loss none instead of 0.1", "series"];
        assert_eq!(one.differences(&other), told);
    }

    #[test]
    fn only_a_single_part_is_the_only_part() {
        let (_, mut record) = sample("dataset", 1);
        assert_eq!(record.only_part(), Some(Digest::hash(&1u32.to_le_bytes())));
        record.parts.insert("test".into(), Digest::hash(b"test"));
        assert_eq!(record.only_part(), None);
        record.parts.clear();
        assert_eq!(record.only_part(), None);
    }
}
