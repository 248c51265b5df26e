//! The rectified linear unit max(x, 0) and its gradient, in place; NaN stays NaN. Knows nothing of the layers
//! around it. A Relu layer directly after a convolution or linear layer is part of that kernel.

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

/// Sets the gradient to 0 where the output y is not positive. A Dropout layer may have changed y in place
/// since then; the gradient of a dropped number is 0 in any case.
pub(crate) fn backward(y: &[Lanes], gradient: &mut [Lanes]) {
    zip_each(gradient, y, |gradient, y| if y > 0.0 { gradient } else { 0.0 });
}
