//! The six promises of the store (`docs/store.md`) under every fault that can be made: each test makes one kind of
//! fault at many moments or places, and counts what it broke. None may.
//!
//! `cargo test -p fewbits --test torture` tries a few of each. `FEWBITS_TORTURE=long` tries all, which takes some ten
//! minutes, and with `--nocapture` says how many that were; `FEWBITS_TORTURE_SEED=N` takes other random ones.

mod clock;
mod crowd;
mod damage;
mod disk;
mod errors;
mod kill;
mod power;
mod promises;
mod shim;
mod signals;

// Shared with the other tests of the binary, which use the rest of it.
#[path = "../fixture.rs"]
#[allow(dead_code)]
mod fixture;
