//! The provenance of results: the program version, and the `numerics` label of builds that give the same bits.
//! Part of every record, never of a key.

use std::collections::BTreeMap;

use crate::backend::Device;

/// The label of numbers that do not depend on the processor: products are chains of fused operations in a fixed order,
/// logarithms and exponentials are `libm`'s. Any change of a bit raises it.
const NUMERICS: &str = "fma-1 libm-0.2";
/// The label of the ops with Wilson's intervals, which end exactly at 0 and 1.
const WILSON_NUMERICS: &str = "fma-1 libm-0.2 wilson-2";

/// Returns the provenance of the results of an op, named as in preimages, on a device.
#[must_use]
pub fn provenance(op: &str, device: Device) -> BTreeMap<String, String> {
    let numerics = match device.candle_kind() {
        // These numbers depend on the device, its libraries and its load.
        Some(kind) => kind,
        None if matches!(op, "evaluate" | "compare") => WILSON_NUMERICS,
        None => NUMERICS,
    };
    BTreeMap::from([
        ("fewbits".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("machine".to_owned(), format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)),
        ("numerics".to_owned(), numerics.to_owned()),
    ])
}

/// Returns the properties of this build that two machines must share to compute the results of one run: the program version and the
/// `numerics` label.
#[must_use]
pub fn build() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("numerics".to_owned(), WILSON_NUMERICS.to_owned()),
    ])
}
