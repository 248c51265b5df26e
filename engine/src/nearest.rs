//! The preimage that differs from a given one in the fewest fields, of many.
//! Knows nothing of where preimages come from.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::preimage::{Change, changed_fields, fields};

/// Compares preimages with one.
pub struct Nearest {
    fields: BTreeMap<String, String>,
    /// Name and value of each field as they stand in the preimage. A preimage in which some of these do not stand differs in
    /// as many fields at least, which is found out ten times as fast as in which.
    pieces: Vec<String>,
    /// Where the nearest one so far differs; of several, the first.
    pub changes: Option<Vec<Change>>,
}

impl Nearest {
    /// Starts with nothing compared to a preimage.
    #[must_use]
    pub fn of(preimage: &str) -> Self {
        let fields = fields(preimage);
        let piece = |(path, value): (&String, &String)| match path.rsplit('.').next() {
            // A value in a list has no name.
            Some(name) if !name.ends_with(']') => format!("\"{name}\":{value}"),
            _ => value.clone(),
        };
        let mut pieces: Vec<String> = fields.iter().map(piece).collect();
        pieces.sort_unstable();
        pieces.dedup();
        // A number may be written otherwise there.
        pieces.retain(|piece| preimage.contains(piece.as_str()));
        Self { fields, pieces, changes: None }
    }

    /// Compares another preimage; says to stop when none can be nearer.
    pub fn compare(&mut self, preimage: &str) -> ControlFlow<()> {
        let most = self.changes.as_ref().map_or(usize::MAX, Vec::len);
        let missing = self.pieces.iter().filter(|piece| !preimage.contains(piece.as_str()));
        if missing.take(most).count() < most {
            let changes = changed_fields(&fields(preimage), &self.fields);
            if changes.len() < most {
                self.changes = Some(changes);
            }
        }
        // The same preimage would be that of the same task.
        let is_nearest = self.changes.as_ref().is_some_and(|changes| changes.len() <= 1);
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
            let mut nearest = Nearest::of(&now);
            let mut expected: Option<Vec<Change>> = None;
            for other in &others {
                let changes = changed_fields(&fields(other), &fields(&now));
                if expected.as_ref().is_none_or(|fewest| changes.len() < fewest.len()) {
                    expected = Some(changes);
                }
                let is_nearest = expected.as_ref().is_some_and(|fewest| fewest.len() <= 1);
                prop_assert_eq!(nearest.compare(other).is_break(), is_nearest);
                prop_assert_eq!(&nearest.changes, &expected);
                if is_nearest {
                    break;
                }
            }
        }
    }
}
