//! max(x, 0) and its gradient, in place. What is not a number stays so.
//! Knows nothing of the layers around it.

use rayon::prelude::*;

use super::numbers::BLOCK;

/// Replaces negative numbers by 0.
pub(crate) fn forward(x: &mut [f32]) {
    x.par_chunks_mut(BLOCK).for_each(apply);
}

/// Replaces negative numbers by 0, on the calling thread.
pub(crate) fn apply(x: &mut [f32]) {
    for x in x {
        *x = if *x < 0.0 { 0.0 } else { *x };
    }
}

/// Replaces the gradient by 0 where the output is not positive. The output may have gone through Dropout since: a
/// number dropped has no gradient either way.
pub(crate) fn backward(y: &[f32], gradient: &mut [f32]) {
    gradient.par_chunks_mut(BLOCK).zip(y.par_chunks(BLOCK)).for_each(|(gradient, y)| {
        gradient
            .iter_mut()
            .zip(y)
            .for_each(|(gradient, y)| *gradient = if *y > 0.0 { *gradient } else { 0.0 });
    });
}
