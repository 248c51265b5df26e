//! What made the numbers: program version, and the `numerics` label that says which machines give the same bits.
//! Part of every record, never of a key.

use std::collections::BTreeMap;

/// Returns the provenance of what this program computes on this machine.
#[must_use]
pub fn provenance() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("fewbits".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("numerics".to_owned(), format!("{} gemm-0.19 libm-0.2", instruction_set())),
    ])
}

/// Returns the instruction set that the gemm kernels choose: products summed in other orders differ in the last bits.
fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "x86-64-avx512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "x86-64-fma";
        }
    }
    std::env::consts::ARCH
}
