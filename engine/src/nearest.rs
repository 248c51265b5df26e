//! The search for the preimage that differs from a given preimage in the fewest fields.
//! Knows nothing of where preimages are stored.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::preimage::{Change, changed_fields, changes, fields};

/// The search for the preimage nearest to a given one.
pub struct NearestPreimage {
    text: String,
    fields: BTreeMap<String, String>,
    /// The name and value of each field, as text in the preimage. The number of pieces that another preimage's text
    /// lacks is a lower bound on the number of fields that differ, and much cheaper to compute.
    pieces: Vec<String>,
    /// The nearest preimage so far, with the number of fields that differ; the first of several equally near ones counts.
    nearest: Option<(usize, String)>,
}

impl NearestPreimage {
    /// Starts a search for the neighbour of a preimage.
    #[must_use]
    pub fn new(preimage: &str) -> Self {
        let fields = fields(preimage);
        let piece = |(path, value): (&String, &String)| match path.rsplit('.').next() {
            // An item of a list has no name.
            Some(name) if !name.ends_with(']') => format!("\"{name}\":{value}"),
            _ => value.clone(),
        };
        let mut pieces: Vec<String> = fields.iter().map(piece).collect();
        pieces.sort_unstable();
        pieces.dedup();
        // Canonical JSON may write a number in other digits than the piece.
        pieces.retain(|piece| preimage.contains(piece.as_str()));
        Self { text: preimage.to_owned(), fields, pieces, nearest: None }
    }

    /// Returns the changes from the nearest preimage; `None` if nothing was compared.
    #[must_use]
    pub fn into_changes(self) -> Option<Vec<Change>> {
        self.nearest.map(|(_, nearest)| changes(&nearest, &self.text))
    }

    /// Compares another preimage; breaks when no later preimage can be nearer.
    pub fn compare(&mut self, preimage: &str) -> ControlFlow<()> {
        let most = self.nearest.as_ref().map_or(usize::MAX, |(count, _)| *count);
        let missing = self.pieces.iter().filter(|piece| !preimage.contains(piece.as_str()));
        if missing.take(most).count() < most {
            let count = changed_fields(&fields(preimage), &self.fields).len();
            if count < most {
                self.nearest = Some((count, preimage.to_owned()));
            }
        }
        // A preimage without a difference has the same key, so one difference is the minimum.
        let is_nearest = self.nearest.as_ref().is_some_and(|(count, _)| *count <= 1);
        if is_nearest { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::preimage::canonical;

    fn preimage() -> impl Strategy<Value = String> {
        let number = prop_oneof![Just(0.5), Just(1e-7), Just(1e21), Just(3.0)];
        let layer = prop_oneof![
            Just(json!("Relu")),
            (0..2).prop_map(|size| json!({ "Linear": { "seed": size, "out": [size, 3] } }))
        ];
        let layers = prop::collection::vec(layer, 0..3);
        (0..3, 0..3, number, layers).prop_map(|(seed, inner, lr, layers)| {
            let params =
                json!({ "a.b": "c]", "inner": { "seed": inner }, "layers": layers, "lr": lr, "seed": seed });
            canonical(&json!({ "op": "train", "params": params })).expect("canonical")
        })
    }

    proptest! {
        #[test]
        fn the_nearest_is_the_first_with_the_fewest_changes(
            now in preimage(),
            others in prop::collection::vec(preimage(), 0..30),
        ) {
            let mut nearest = NearestPreimage::new(&now);
            let mut expected: Option<(usize, String)> = None;
            for other in &others {
                let count = changed_fields(&fields(other), &fields(&now)).len();
                if expected.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
                    expected = Some((count, other.clone()));
                }
                let is_nearest = expected.as_ref().is_some_and(|(fewest, _)| *fewest <= 1);
                prop_assert_eq!(nearest.compare(other).is_break(), is_nearest);
                prop_assert_eq!(&nearest.nearest, &expected);
                if is_nearest {
                    break;
                }
            }
        }
    }
}
