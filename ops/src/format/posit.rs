//! Posits of the Standard for Posit Arithmetic (2022), with any number of exponent bits. Knows nothing of the storage
//! of codebooks: it computes the number of a code and the boundaries between neighbours.

use super::codebook::{Boundary, Codebook};
use super::error::FormatError;
use super::grid::power;

/// The maximum width of a posit, because its numbers are kept in a table.
const MOST_BITS: u32 = 16;

/// Makes the posits of `n` bits, 2 to 16, and `es` exponent bits, less than n. It is an error if the largest posit
/// exceeds binary32.
///
/// A number rounds to the posit of its bit string, rounded to nearest even at bit n: the boundary between two posits
/// is the posit of n + 1 bits between them. A nonzero number never rounds to zero, in any rounding mode, and numbers
/// beyond the largest saturate. Infinities and NaN become `NaR`, code 2^(n−1).
pub(super) fn posit(n: u32, es: u32) -> Result<Codebook, FormatError> {
    if !(2..=MOST_BITS).contains(&n) {
        return Err(FormatError::PositBits { n });
    }
    if es >= n {
        return Err(FormatError::PositExponent { n, es });
    }
    if es > 7 || (n - 2) << es > 127 {
        let most = (0..n.min(8)).rev().find(|es| (n - 2) << es <= 127).unwrap_or(0);
        return Err(FormatError::PositRange { n, es, most });
    }
    let half = 1_u32 << (n - 1);
    let positive: Vec<f64> = (1..half).map(|code| value(code, n, es)).collect();
    let mut pairs: Vec<(f64, u32)> = Vec::with_capacity(2 * half as usize - 1);
    pairs.extend(positive.iter().zip(1..half).rev().map(|(value, code)| (-value, 2 * half - code)));
    pairs.push((0.0, 0));
    pairs.extend(positive.iter().copied().zip(1..));
    let least = f64::from_bits(1);
    let above: Vec<Boundary> =
        (1..half - 1).map(|code| Boundary { from: value(2 * code + 1, n + 1, es), is_tie: true }).collect();
    let below = above.iter().rev().map(|above| Boundary { from: -above.from, is_tie: true });
    // Every negative number is below the boundary to zero, every positive number above it.
    let around = [Boundary { from: -0.0, is_tie: false }, Boundary { from: least, is_tie: false }];
    let boundaries: Vec<Boundary> = below.chain(around).chain(above.iter().copied()).collect();
    Ok(Codebook::assembled(n, pairs, &boundaries).with_posits_rules(half, &boundaries))
}

/// Returns the number of a positive code of `n` bits: a run of equal bits ended by its opposite (the regime), `es`
/// exponent bits (missing ones are 0), and the fraction.
fn value(code: u32, n: u32, es: u32) -> f64 {
    // The bits after the sign, at the top of a word.
    let body = code << (33 - n);
    let run = if body >> 31 == 1 { body.leading_ones() } else { body.leading_zeros() };
    let regime = if body >> 31 == 1 { run as i32 - 1 } else { -(run as i32) };
    let rest = u64::from(body) << 32 << run << 1;
    let exponent = if es == 0 { 0 } else { (rest >> (64 - es)) as i32 };
    let fraction = (rest << es) as f64 * power(-64);
    (1.0 + fraction) * power(regime * (1 << es) + exponent)
}
