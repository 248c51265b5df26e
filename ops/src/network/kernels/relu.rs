//! max(x, 0) and its gradient, in place. What is not a number stays so.
//! Knows nothing of the layers around it; one right after a product is done there.

use rayon::prelude::*;

use crate::network::kernels::lanes::{LINES, Lanes, zip_each};

/// Replaces negative numbers by 0.
pub(crate) fn forward(x: &mut [Lanes]) {
    x.par_chunks_mut(LINES).for_each(apply);
}

/// Replaces negative numbers by 0, on the calling thread.
pub(crate) fn apply(x: &mut [Lanes]) {
    for x in x.iter_mut().flat_map(|line| &mut line.0) {
        *x = if *x < 0.0 { 0.0 } else { *x };
    }
}

/// Replaces the gradient by 0 where the output is not positive. The output may have gone through Dropout since: a
/// number dropped has no gradient either way.
pub(crate) fn backward(y: &[Lanes], gradient: &mut [Lanes]) {
    zip_each(gradient, y, |gradient, y| if y > 0.0 { gradient } else { 0.0 });
}
