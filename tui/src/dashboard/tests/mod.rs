//! The dashboard without a terminal, a store or a run: frames, keys, and whatever else may come.

mod bench;
mod chaos;
mod folding;
mod frames;
mod pressing;
mod speed;
