//! Record summaries: preimage, op and seconds, decoded from a record's body without the rest.
//!
//! Knows nothing of the journal.

use std::borrow::Cow;

use serde::Deserialize;

/// Holds the few fields of a record that totals and comparisons need. Borrows from the record's body.
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
    /// Decodes a record's body. Returns `None` if the bytes are no record.
    pub(crate) fn decode(body: &'b [u8]) -> Option<Self> {
        rmp_serde::from_slice(body).ok()
    }

    /// Returns the name of the op; "unknown" if the preimage has none.
    pub(crate) fn op(&self) -> Cow<'_, str> {
        op_of(&self.preimage).unwrap_or(Cow::Borrowed("unknown"))
    }

    /// Returns the seconds that computing the record took, in the precision of a card: totals are the same from records
    /// and from cards.
    pub(crate) fn seconds(&self) -> f32 {
        self.seconds as f32
    }
}

/// Returns the name of a preimage's op.
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
