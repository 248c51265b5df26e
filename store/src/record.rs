//! What the store keeps of a finished computation.
//!
//! Knows how a record is written down, not where, and nothing of the ops that make records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Holds one named curve of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What the values are counted along: "epoch", "class", "tensor".
    pub along: String,
    /// The name of each step; empty where steps are just 0, 1, 2, ….
    pub names: Vec<String>,
    /// One value per step.
    pub values: Vec<f64>,
}

/// Holds all that is kept of one computation under its key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The canonical JSON the key was derived from.
    pub preimage: String,
    /// Named scalars; one that is undefined is absent.
    pub metrics: BTreeMap<String, f64>,
    /// Named curves.
    pub series: BTreeMap<String, Series>,
    /// The digest of each output part.
    pub parts: BTreeMap<String, Digest>,
    /// Whether the parts are objects of this store.
    pub kept: bool,
    /// One bit per image, least significant bit of each byte first: 1 where the answer was right.
    #[serde(with = "serde_bytes")]
    pub correct: Option<Vec<u8>>,
    /// What the computation took.
    pub seconds: f64,
    /// Where and with what it was made; never part of the key.
    pub provenance: BTreeMap<String, String>,
}

impl Record {
    /// Gives the digest of the only part, when there is exactly one.
    #[must_use]
    pub fn only_part(&self) -> Option<Digest> {
        let mut parts = self.parts.values();
        parts.next().filter(|_| parts.next().is_none()).copied()
    }

    /// Gives the name of the op, read from the preimage.
    #[must_use]
    pub fn op(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Preimage {
            op: String,
        }
        serde_json::from_str(&self.preimage).ok().map(|Preimage { op }| op)
    }

    /// Writes the record down as a `MessagePack` map with named fields, so that fields can be added.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }

    /// Reads a record, or nothing if these bytes are not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

/// Builds small records for the tests of this crate.
#[cfg(test)]
pub(crate) fn sample(op: &str, n: u32) -> (crate::Key, Record) {
    let preimage = format!(r#"{{"inputs":{{}},"op":"{op}","params":{{"n":{n}}},"version":1}}"#);
    let curve = Series { along: "epoch".into(), names: vec![], values: vec![0.5, f64::from(n)] };
    let record = Record {
        metrics: BTreeMap::from([("accuracy".into(), 0.25 + f64::from(n)), ("loss".into(), 0.1)]),
        series: BTreeMap::from([("loss".into(), curve)]),
        parts: BTreeMap::from([("model".into(), Digest::of(&n.to_le_bytes()))]),
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
    }

    #[test]
    fn correct_bits_cost_one_byte_per_eight_images() {
        let (_, with) = sample("evaluate", 1);
        let without = Record { correct: None, ..with.clone() };
        assert!(with.encode().unwrap().len() <= without.encode().unwrap().len() + 25 + 5);
    }

    #[test]
    fn only_a_single_part_is_the_only_part() {
        let (_, mut record) = sample("dataset", 1);
        assert_eq!(record.only_part(), Some(Digest::of(&1u32.to_le_bytes())));
        record.parts.insert("test".into(), Digest::of(b"test"));
        assert_eq!(record.only_part(), None);
        record.parts.clear();
        assert_eq!(record.only_part(), None);
    }
}
