//! The field `activations`: `None`, `Int(8)` or `(format: Int(8), fit: MinMax | Percentile(99.9) | LeastSquares)`.

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::value::{Struct, Value, ValueKind};
use fewbits_engine::text::variant::{VariantReader, read_variant};

use super::format::read_percent;
use crate::format::{Format, Range};
use crate::integer::activation_format::{ActivationFormat, MOST_BITS, takes_weights};
use crate::integer::range_fit::RangeFit;
use crate::quantize::{FlippedBits, Flips, Quantization};

/// The source of inference with integers, as a bibliography has it.
const INTEGER_ARITHMETIC: &str = "Jacob, B., Kligys, S., Chen, B., Zhu, M., Tang, M., Howard, A., Adam, H., Kalenichenko, D. (2018). Quantization and \
                                  training of neural networks for efficient integer-arithmetic-only inference. CVPR 2018, 2704–2713";

/// The arithmetic of a network's inference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arithmetic {
    /// Activations and sums are binary32.
    Binary32,
    /// Activations are integers of few bits, and sums of 32 bits.
    Integer(ActivationFormat),
}

impl Arithmetic {
    /// Returns the integer activations; `None` for binary32.
    pub(super) fn activations(self) -> Option<ActivationFormat> {
        match self {
            Self::Binary32 => None,
            Self::Integer(activations) => Some(activations),
        }
    }

    /// Returns the source of integer arithmetic.
    pub(super) fn literature(self) -> Option<&'static str> {
        self.activations().map(|_| INTEGER_ARITHMETIC)
    }

    /// Checks that integer arithmetic can take these weights and flips. The error is a message and a hint.
    pub(super) fn check<'q>(
        self,
        mut quantizations: impl Iterator<Item = &'q Quantization>,
        flips: Option<Flips>,
    ) -> Result<(), (String, &'static str)> {
        if self == Self::Binary32 {
            return Ok(());
        }
        if let Some(other) = quantizations.find(|quantization| !takes_weights(quantization)) {
            let message = format!(
                "integer arithmetic takes no weights in {} {}",
                other.format,
                if takes_format(&other.format) { "with a scale per block" } else { "" }
            );
            let hint = "weights can be `Int(2)` to `Int(8)`, symmetric, with `scale: Real(per: Tensor)` or `Real(per: Channel)`";
            return Err((message.trim_end().to_owned(), hint));
        }
        if flips.is_some_and(|flips| flips.bits != FlippedBits::Codes) {
            let message =
                "the weights of an integer network are stored as codes alone, so only their bits can flip";
            return Err((message.to_owned(), "set `bits: Codes` in `flips`"));
        }
        Ok(())
    }
}

fn takes_format(format: &Format) -> bool {
    matches!(format, Format::Int { bits: 2..=MOST_BITS, range: Range::Symmetric | Range::Full })
}

/// Reads the field.
pub(super) fn read_activations(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Arithmetic> {
    fields.about(&[(
        "activations",
        "The format of activations: with `Int(8)` the network computes with integers; `None` is binary32.",
    )]);
    let value = fields.take("activations");
    fields.otherwise("activations", "binary32");
    match value {
        Some(value) if value.bare_name() != Some("None") => read(value, faults).map(Arithmetic::Integer),
        // `None` stands for binary32, so that an axis can include it.
        Some(_) | None => Some(Arithmetic::Binary32),
    }
}

fn read(value: &Value, faults: &mut Faults) -> Option<ActivationFormat> {
    if !matches!(&value.kind, ValueKind::Struct(Struct { name: None, .. })) {
        return Some(ActivationFormat { bits: bits(value, faults)?, fit: RangeFit::MinMax });
    }
    let mut fields = Fields::open(value, "(…)", faults)?;
    fields.about(&[
        ("format", "The integers: `Int(2)` to `Int(8)`."),
        ("fit", "The rule that fits the range of each value to the calibration images."),
    ]);
    let format: Option<Value> = fields.required("format", faults);
    let fit = fields.optional("fit", RangeFit::MinMax, faults);
    let bits = format.and_then(|format| bits(&format, faults));
    let is_whole = fields.finish(faults);
    let activations = ActivationFormat { bits: bits?, fit: fit? };
    is_whole.then_some(activations)
}

/// Reads the format of activations.
fn bits(value: &Value, faults: &mut Faults) -> Option<u32> {
    match Format::from_value(value, faults)? {
        Format::Int { bits: bits @ 2..=MOST_BITS, range: Range::Symmetric } => Some(bits),
        other => {
            let hint =
                "activations can be `Int(2)` to `Int(8)`; each value has a scale and a zero point of its own";
            faults.add(value.span, format!("there is no arithmetic for activations in {other}"), hint);
            None
        }
    }
}

impl FromValue for RangeFit {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 3] = [
            ("MinMax", |_, _| Some(Self::MinMax)),
            ("Percentile", |fields, faults| {
                fields.about(&[(
                    "p",
                    "The percentile of the numbers above 0 and of those below, above 0 and at most 100.",
                )]);
                read_percent(fields, faults).map(Self::Percentile)
            }),
            ("LeastSquares", |_, _| Some(Self::LeastSquares)),
        ];
        read_variant(value, "a fit of ranges", &variants, faults)
    }
}
