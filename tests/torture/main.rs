//! Tests of the six promises of the store (`docs/store.md`) under every fault that can be made. Each test makes one
//! kind of fault at many moments or places, and fails if a promise is broken.
//!
//! `cargo test -p fewbits --test torture` tries a few faults of each kind. `FEWBITS_TORTURE=long` tries all of them in
//! about ten minutes; with `--nocapture` it prints their number. `FEWBITS_TORTURE_SEED=N` selects other random faults.

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

// The fixture is shared with the other end-to-end tests, and this binary uses only a part of it.
#[path = "../fixture.rs"]
#[allow(dead_code)]
mod fixture;
