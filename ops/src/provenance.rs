//! What made the numbers: program version, and the `numerics` label that says which builds give the same bits.
//! Part of every record, never of a key.

use std::collections::BTreeMap;

/// The numbers do not depend on the processor: products are chains of fused operations in a fixed order, logarithms
/// and exponentials are `libm`'s, and Wilson's interval ends exactly at 0 and 1. Raised with whatever changes a bit.
const NUMERICS: &str = "fma-1 libm-0.2 wilson-2";

/// Returns the provenance of what this program computes.
#[must_use]
pub fn provenance() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("fewbits".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("machine".to_owned(), format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)),
        ("numerics".to_owned(), NUMERICS.to_owned()),
    ])
}
