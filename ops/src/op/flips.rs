//! The field `flips`: `None` or `(rate: 1e-4, seed: 0, bits: All | Codes | Scales)`, and flips of a quantized network's bits.

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::mismatch;
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_engine::text::variant::choice;

use crate::quantize::{FlippedBits, Flips};

/// The smallest rate above 0: one draw of 2^32.
const LEAST_RATE: f64 = 1.0 / 4_294_967_296.0;

/// Reads the field; no flips have a rate of 0.
pub(super) fn read_flips(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Flips> {
    fields.about(&[("flips", "Random bit flips of the packed network: `(rate: 1e-4, seed: 0, bits: All)`.")]);
    let value = fields.take("flips");
    fields.otherwise("flips", "no flips");
    match value {
        Some(value) if value.bare_name() != Some("None") => read(value, faults),
        // `None` means no flips, so that an axis can include it.
        Some(_) | None => Some(Flips { bits: FlippedBits::All, rate: 0.0, seed: 0 }),
    }
}

fn read(value: &Value, faults: &mut Faults) -> Option<Flips> {
    if !matches!(value.kind, ValueKind::Struct(_)) {
        mismatch(value, "flips, such as `(rate: 1e-4)`, or `None`", faults);
        return None;
    }
    let mut fields = Fields::open(value, "flips", faults)?;
    fields.about(&[
        ("rate", "The probability that a bit flips."),
        ("seed", "The seed of the draws."),
        (
            "bits",
            "The bits that can flip: all, those of codes, or those of scales, zero points and codebooks.",
        ),
    ]);
    // A draw has 32 bits, so that smaller rates would never flip one.
    let is_share = |rate: &f64| *rate == 0.0 || (LEAST_RATE..=1.0).contains(rate);
    let rate = fields.such_that("rate", None, "0, or a number from 2^-32 (2.4e-10) to 1", is_share, faults);
    let seed = fields.whole("seed", 0..=i64::MAX, Some(0), faults);
    let bits = fields.optional("bits", FlippedBits::All, faults);
    let is_whole = fields.finish(faults);
    let flips = Flips { rate: rate?, seed: seed? as u64, bits: bits? };
    is_whole.then_some(flips)
}

impl FromValue for FlippedBits {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [("All", Self::All), ("Codes", Self::Codes), ("Scales", Self::Scales)];
        choice(value, "a choice of bits", &choices, faults)
    }
}
