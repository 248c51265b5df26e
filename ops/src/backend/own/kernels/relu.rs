//! The rectified linear unit max(x, 0) and its gradient, in place; NaN stays NaN. Knows nothing of
//! neighbouring layers. The kernels of products, sums and batch normalizations also compute the forward pass of a
//! Relu layer directly behind them.

use crate::backend::own::kernels::lanes::{Lanes, vectorized, zip_each};

/// Replaces negative numbers by 0.
pub(crate) fn apply(x: &mut [Lanes]) {
    vectorized(
        x,
        #[inline(always)]
        |x: &mut [Lanes]| {
            for x in x.iter_mut().flat_map(|line| &mut line.0) {
                *x = if *x < 0.0 { 0.0 } else { *x };
            }
        },
    );
}

/// Sets the gradient to 0 where the output y is not positive. A later Dropout layer may have overwritten y in
/// place, which changes no gradient: Dropout keeps the sign of kept numbers, and the gradient of a dropped
/// number is already 0.
pub(crate) fn backward(y: &[Lanes], gradient: &mut [Lanes]) {
    zip_each(gradient, y, |gradient, y| if y > 0.0 { gradient } else { 0.0 });
}
