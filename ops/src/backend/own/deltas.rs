//! The gradients at the values of a block during a backward pass. Knows nothing of layers.
//!
//! A gradient lives from the backward pass of the value's last reader to that of the layer that computed the value;
//! then its buffer serves another. So a backward pass needs few buffers, which stay in the cache. The inputs of a sum
//! have the same gradient: they share one buffer until one of them is changed.

use std::sync::Arc;

use crate::backend::own::kernels::join;
use crate::backend::own::kernels::lanes::{Lanes, zeros};

/// A gradient, possibly that of several values. The buffer may be longer than the gradient.
pub(crate) type Delta = Arc<Vec<Lanes>>;

/// The gradients that are known and not yet used, and the buffers without a gradient.
#[derive(Default)]
pub(crate) struct Deltas {
    values: Vec<Option<Delta>>,
    free: Vec<Vec<Lanes>>,
}

impl Deltas {
    pub(crate) fn new(values: usize) -> Self {
        Self { values: vec![None; values], free: vec![] }
    }

    /// Returns a buffer of `lines` lines for the gradient at the value where a backward pass begins.
    pub(crate) fn begin(&mut self, value: usize, lines: usize) -> &mut [Lanes] {
        if let Some(unused) = self.take(value) {
            self.recycle(unused);
        }
        let buffer = self.buffer(lines);
        let delta = self.values[value].insert(Arc::new(buffer));
        Arc::get_mut(delta).map_or(&mut [], |buffer| &mut buffer[..lines])
    }

    /// Returns the gradient at a value; `None` if no reader gave one.
    pub(crate) fn get(&self, value: usize) -> Option<&[Lanes]> {
        self.values[value].as_ref().map(|delta| &delta[..])
    }

    /// Takes the gradient at a value; `None` if no reader gave one.
    pub(crate) fn take(&mut self, value: usize) -> Option<Delta> {
        self.values[value].take()
    }

    /// Adds a gradient of `lines` lines to that at a value.
    pub(crate) fn give(&mut self, value: usize, lines: usize, delta: Delta) {
        let Some(other) = self.take(value) else {
            self.values[value] = Some(delta);
            return;
        };
        let mut sum = self.unshared(other, lines);
        join::add(&delta[..lines], &mut sum[..lines]);
        self.recycle(delta);
        self.values[value] = Some(Arc::new(sum));
    }

    /// Returns a buffer of at least `lines` lines with any content: of those that fit equally the one used last, which
    /// is still in the cache.
    pub(crate) fn buffer(&mut self, lines: usize) -> Vec<Lanes> {
        let growth = |buffer: &Vec<Lanes>| (lines.saturating_sub(buffer.len()), buffer.len());
        let best = (0..self.free.len()).rev().min_by_key(|at| growth(&self.free[*at]));
        let mut buffer = best.map_or_else(Vec::new, |at| self.free.remove(at));
        if buffer.len() < lines {
            buffer = zeros(lines);
        }
        buffer
    }

    /// Returns the buffer of a gradient of `lines` lines, or a copy if other values share it.
    pub(crate) fn unshared(&mut self, delta: Delta, lines: usize) -> Vec<Lanes> {
        Arc::try_unwrap(delta).unwrap_or_else(|shared| {
            let mut copy = self.buffer(lines);
            copy[..lines].copy_from_slice(&shared[..lines]);
            copy
        })
    }

    /// Takes back the buffer of a gradient that is not needed any more, unless other values share it.
    pub(crate) fn recycle(&mut self, delta: Delta) {
        self.free.extend(Arc::into_inner(delta));
    }
}
