//! The digests of an artifact's parts, in a compact form: there is one for every task with a known result.
//! Knows nothing of the origin of the digests.

use std::collections::BTreeMap;

use fewbits_store::Digest;

/// The digests of an artifact's parts, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(Box<[(&'static str, Digest)]>);

impl Parts {
    /// Takes the digests of the named parts from a record; other parts are ignored.
    #[must_use]
    pub fn from_record(names: &[&'static str], record: &BTreeMap<String, Digest>) -> Self {
        Self(names.iter().filter_map(|name| Some((*name, *record.get(*name)?))).collect())
    }

    /// Makes the parts of an artifact with a single part.
    #[must_use]
    pub fn only(name: &'static str, digest: Digest) -> Self {
        Self(Box::new([(name, digest)]))
    }

    /// Returns the digest of a part.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Digest> {
        self.0.iter().find(|(part, _)| *part == name).map(|(_, digest)| digest)
    }

    /// Returns every part with its digest.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Digest)> {
        self.0.iter().map(|(name, digest)| (*name, digest))
    }
}
