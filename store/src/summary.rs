//! A record's preimage, op and seconds, read from its body without the rest.
//!
//! Knows nothing of where records are.

use std::borrow::Cow;

use serde::Deserialize;

/// Holds the few fields of a record that totals and comparisons need; borrows from the record's body.
#[derive(Debug, Deserialize)]
pub(crate) struct RecordSummary<'b> {
    /// The canonical JSON that the key was derived from.
    #[serde(borrow)]
    pub(crate) preimage: Cow<'b, str>,
    seconds: f64,
    /// Whether the parts are objects of the store.
    pub(crate) kept: bool,
}

impl<'b> RecordSummary<'b> {
    /// Reads the body of a record, or nothing if these bytes are not one.
    pub(crate) fn decode(body: &'b [u8]) -> Option<Self> {
        rmp_serde::from_slice(body).ok()
    }

    /// Gives the name of the op.
    pub(crate) fn op(&self) -> Cow<'_, str> {
        op_of(&self.preimage).unwrap_or(Cow::Borrowed("unknown"))
    }

    /// Returns the seconds that computing the record took, in the precision that cards have room for: totals are the same
    /// whether they are summed up from records or from cards.
    pub(crate) fn seconds(&self) -> f32 {
        self.seconds as f32
    }
}

/// Gives the name of the op that a preimage is of.
pub(crate) fn op_of(preimage: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct PreimageOp<'p> {
        #[serde(borrow)]
        op: Cow<'p, str>,
    }
    serde_json::from_str(preimage).ok().map(|PreimageOp { op }| op)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn a_brief_says_what_the_record_says() {
        let (_, record) = sample("evaluate", 7);
        let body = record.encode().unwrap();
        let brief = RecordSummary::decode(&body).unwrap();
        assert_eq!((brief.preimage.as_ref(), brief.op().as_ref()), (record.preimage.as_str(), "evaluate"));
        assert_eq!(brief.seconds(), record.seconds as f32);
        assert!(RecordSummary::decode(b"\xff\xff garbage").is_none());
        assert_eq!(op_of("{}"), None);
    }
}
