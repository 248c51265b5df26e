//! Tests of the dashboard without a terminal, a store or a run: frames, keys, and random input.

mod bench;
mod chaos;
mod folding;
mod frames;
mod pressing;
mod speed;
mod tables;
