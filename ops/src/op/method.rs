//! The fields of a calibration: `method: Direct`, `Gptq(damping: 0.01)` or `CoordinateDescent(passes: 20)`,
//! `calibration: 256, calibration_seed: 0, bias_correction: false`.

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::value::Value;
use fewbits_engine::text::variant::{VariantReader, read_variant};

use crate::calibration::{Calibration, DAMPING, Method};

/// Reads the fields of a calibration.
pub(super) fn read_calibration(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Calibration> {
    fields.about(&[
        ("method", "The algorithm that chooses the code of each weight."),
        ("calibration", "The number of training images that the method, the bias correction, `HessianDiagonal` and `OutputError` use; labels are not read."),
        ("calibration_seed", "The seed of their choice."),
        ("bias_correction", "Whether biases make up for the mean error of the outputs."),
    ]);
    let method = fields.optional("method", Method::Direct, faults);
    let images = fields.whole("calibration", 1..=1_000_000, Some(256), faults);
    let seed = fields.whole("calibration_seed", 0..=i64::MAX, Some(0), faults);
    let bias_correction = fields.optional("bias_correction", false, faults);
    Some(Calibration {
        method: method?,
        images: images? as usize,
        seed: seed? as u64,
        bias_correction: bias_correction?,
    })
}

impl FromValue for Method {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 3] = [
            ("Direct", |_, _| Some(Self::Direct)),
            ("Gptq", |fields, faults| {
                fields.about(&[(
                    "damping",
                    "The share of the mean of the diagonal of H that is added to the diagonal.",
                )]);
                let holds = |damping: &f64| *damping > 0.0 && damping.is_finite();
                let damping = fields.such_that("damping", Some(DAMPING), "a number above 0", holds, faults);
                Some(Self::Gptq { damping: damping? })
            }),
            ("CoordinateDescent", |fields, faults| {
                fields.about(&[("passes", "The most passes over all weights.")]);
                let passes = fields.whole("passes", 1..=1000, Some(20), faults);
                Some(Self::CoordinateDescent { passes: passes? as usize })
            }),
        ];
        read_variant(value, "a method of quantization", &variants, faults)
    }
}
