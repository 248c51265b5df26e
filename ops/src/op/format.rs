//! Readers of number formats and scales as the user writes them. Knows their spelling, and none of their numbers.

use std::ops::RangeInclusive;

use fewbits_engine::text::fault::{Fault, Faults, Span};
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::mismatch;
use fewbits_engine::text::value::Value;
use fewbits_engine::text::variant::{VariantReader, choice, read_variant, variant};

use crate::format::{
    Bias, Domain, Element, Float, Format, FormatError, NAMES, Overflow, Range, Rounding, Specials, Subnormals,
};
use crate::scale::{Per, Percent, PowerFit, RealFit, Scale, ScaleType};

/// The maximum number of weights in a block.
const MOST_BLOCK: i64 = 1 << 20;

impl Format {
    /// Reads a format from a text such as `Float(e: 2, m: 1)`; faults carry positions in the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let value = Value::parse(text, &mut faults);
        let format = if faults.is_empty() { Self::from_value(&value, &mut faults) } else { None };
        match format {
            Some(format) if faults.is_empty() => Ok(format),
            _ => Err(faults.into_sorted()),
        }
    }
}

/// The variants that are families of formats, with the readers of their parameters.
const FAMILIES: [(&str, VariantReader<Format>); 13] = [
    ("Float", |fields, faults| read_float(fields, faults).map(Format::Float)),
    ("Int", |fields, faults| {
        fields.about(&[
            ("bits", "The bits of a code."),
            (
                "range",
                "The codes that are used: as many below 0 as above, one more, or from a zero point on.",
            ),
        ]);
        let bits = bits("bits", 2..=24, fields, faults);
        let range = fields.optional("range", Range::Symmetric, faults);
        Some(Format::Int { bits: bits?, range: range? })
    }),
    ("Fixed", |fields, faults| {
        fields.about(&[
            ("int", "The bits before the point, without the sign."),
            ("frac", "The bits behind the point."),
        ]);
        let [int, frac] = ["int", "frac"].map(|name| fields.whole(name, -200..=200, None, faults));
        Some(Format::Fixed { int: int? as i32, frac: frac? as i32 })
    }),
    ("PowerOfTwo", |fields, faults| {
        fields.about(&[("bits", "The bits of a code.")]);
        bits("bits", 2..=8, fields, faults).map(|bits| Format::PowerOfTwo { bits })
    }),
    ("Posit", |fields, faults| {
        fields.about(&[("n", "The bits of a code."), ("es", "The most exponent bits behind the regime.")]);
        let n = bits("n", 2..=16, fields, faults);
        let es = fields.whole("es", 0..=32, None, faults);
        Some(Format::Posit { n: n?, es: es? as u32 })
    }),
    ("Ternary", |_, _| Some(Format::Ternary)),
    ("Binary", |_, _| Some(Format::Binary)),
    ("Nf4", |fields, faults| block(64, fields, faults).map(|block| Format::Nf4 { block })),
    ("KMeans", |fields, faults| {
        fields.about(&[("bits", "The bits of a code.")]);
        bits("bits", 1..=8, fields, faults).map(|bits| Format::KMeans { bits })
    }),
    ("Values", |fields, faults| {
        fields.about(&[("values", "The numbers that weights may have, times the scale.")]);
        let values: Option<Vec<f64>> = fields.required("values", faults);
        Some(Format::Values(values?.into_iter().map(|value| value as f32).collect()))
    }),
    ("Mx", |fields, faults| {
        fields.about(&[("element", "The format of each weight in a block.")]);
        let element = fields.required("element", faults);
        let block = block(32, fields, faults);
        Some(Format::Mx { element: element?, block: block? })
    }),
    ("BlockFloat", |fields, faults| {
        fields.about(&[("bits", "The bits of a code.")]);
        let bits = bits("bits", 2..=24, fields, faults);
        let block = block(32, fields, faults);
        Some(Format::BlockFloat { bits: bits?, block: block? })
    }),
    ("P3109", |fields, faults| {
        let span = fields.span();
        fields.about(&[
            ("bits", "The bits of a code."),
            ("precision", "The bits of the significand, the leading one included."),
            ("domain", "Whether there are infinities."),
            ("overflow", "What becomes of numbers beyond the largest."),
        ]);
        let [bits, precision] = ["bits", "precision"].map(|name| bits(name, 1..=15, fields, faults));
        let domain = fields.optional("domain", Domain::Extended, faults);
        let overflow = fields.optional("overflow", Overflow::Saturate, faults);
        checked(Float::p3109(bits?, precision?, domain?, overflow?), span, faults).map(Format::Float)
    }),
];

impl FromValue for Format {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let names: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).chain(NAMES).collect();
        let name = variant(value, "a format", &names, faults)?;
        let mut fields = Fields::open(value, name, faults)?;
        let family = FAMILIES.iter().find(|(family, _)| *family == name);
        let format = match family {
            Some((_, read)) => read(&mut fields, faults),
            None => Float::named(name).map(Self::Float),
        };
        if !fields.finish(faults) {
            return None;
        }
        let format = format?;
        match format.codec() {
            Ok(_) => Some(format),
            Err(error) => refused(value.span, &error, faults),
        }
    }
}

fn bits(
    name: &'static str,
    range: RangeInclusive<i64>,
    fields: &mut Fields<'_>,
    faults: &mut Faults,
) -> Option<u32> {
    fields.whole(name, range, None, faults).map(|bits| bits as u32)
}

fn read_float(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Float> {
    fields.about(&[
        ("e", "The exponent bits."),
        ("m", "The mantissa bits."),
        ("bias", "What is subtracted from the exponent's code: a larger bias makes numbers smaller."),
        ("specials", "The codes that stand for infinities and NaN."),
        ("subnormals", "Whether the least exponent has numbers down to 0, or they are flushed."),
        ("overflow", "What becomes of numbers beyond the largest."),
    ]);
    let span = fields.span();
    let e = fields.whole("e", 0..=8, None, faults);
    let m = fields.whole("m", 0..=23, None, faults);
    let bias = fields.optional("bias", Bias::Ieee, faults);
    let specials = fields.optional("specials", Specials::None, faults);
    let subnormals = fields.optional("subnormals", Subnormals::On, faults);
    let overflow = fields.optional("overflow", Overflow::Saturate, faults);
    checked(Float::with(e? as u32, m? as u32, bias?, specials?, subnormals?, overflow?), span, faults)
}

fn block(usual: i64, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<usize> {
    fields.about(&[("block", "The weights of a row that share a scale.")]);
    fields.whole("block", 1..=MOST_BLOCK, Some(usual), faults).map(|block| block as usize)
}

fn checked<T>(result: Result<T, FormatError>, span: Span, faults: &mut Faults) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => refused(span, &error, faults),
    }
}

fn refused<T>(span: Span, error: &FormatError, faults: &mut Faults) -> Option<T> {
    faults.add(span, error.to_string(), "");
    None
}

impl FromValue for Element {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        match Format::from_value(value, faults)? {
            Format::Float(float) if float.overflows() => {
                let hint =
                    "its scale makes numbers as large as that: take one that saturates, such as `E4M3`";
                faults.add(value.span, "an element of a block cannot have `overflow: Special`", hint);
                None
            }
            Format::Float(float) => Some(Self::Float(float)),
            Format::Int { bits, range: Range::Symmetric } => Some(Self::Int { bits }),
            _ => {
                mismatch(value, "a float or `Int(bits)` as the element of a block", faults);
                None
            }
        }
    }
}

impl FromValue for Bias {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 2] = [
            ("Ieee", |_, _| Some(Self::Ieee)),
            ("Exactly", |fields, faults| {
                fields.about(&[("bias", "The bias.")]);
                fields.whole("bias", -1000..=1000, None, faults).map(|bias| Self::Exactly(bias as i32))
            }),
        ];
        read_variant(value, "a bias", &variants, faults)
    }
}

impl FromValue for Specials {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("None", Self::None),
            ("Ieee", Self::Ieee),
            ("Ocp", Self::Ocp),
            ("Fnuz", Self::Fnuz),
            ("P3109", Self::P3109),
        ];
        choice(value, "a choice of specials", &choices, faults)
    }
}

impl FromValue for Subnormals {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        choice(value, "a choice of subnormals", &[("On", Self::On), ("Flush", Self::Flush)], faults)
    }
}

impl FromValue for Overflow {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        choice(value, "an overflow", &[("Saturate", Self::Saturate), ("Special", Self::Special)], faults)
    }
}

impl FromValue for Domain {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        choice(value, "a domain", &[("Extended", Self::Extended), ("Finite", Self::Finite)], faults)
    }
}

impl FromValue for Range {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices =
            [("Symmetric", Self::Symmetric), ("Full", Self::Full), ("Asymmetric", Self::Asymmetric)];
        choice(value, "a range", &choices, faults)
    }
}

impl FromValue for Rounding {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("Nearest", Self::Nearest),
            ("NearestAway", Self::NearestAway),
            ("TowardZero", Self::TowardZero),
            ("Stochastic", Self::Stochastic),
        ];
        choice(value, "a rounding", &choices, faults)
    }
}

impl FromValue for Scale {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 4] = [
            // Callers that accept `Own` read it before they call this.
            ("Own", |fields, faults| {
                faults.add(fields.span(), "expected a scale, found `Own`", "");
                None
            }),
            ("None", |_, _| Some(Self::None)),
            ("PowerOfTwo", |fields, faults| {
                let per = fields.optional("per", Per::Tensor, faults);
                fields.about(&[
                    ("per", "The part of a tensor that shares a scale."),
                    ("fit", "The rule that chooses the scale."),
                ]);
                let span = fields.span_of("fit");
                let fit = fields.optional("fit", PowerFit::MaxAbs, faults);
                of_one_output(Self::PowerOfTwo { per: per?, fit: fit? }, span, faults)
            }),
            ("Real", |fields, faults| {
                let per = fields.optional("per", Per::Tensor, faults);
                fields.about(&[
                    ("per", "The part of a tensor that shares a scale."),
                    ("fit", "The rule that chooses the scale."),
                    ("store", "The type in which the scale is stored."),
                ]);
                let span = fields.span_of("fit");
                let fit = fields.optional("fit", RealFit::MaxAbs, faults);
                // Callers that know the format replace this default by the format's usual fit.
                fields.otherwise("fit", "MaxAbs; Mean for Ternary and Binary");
                let store = fields.optional("store", ScaleType::F32, faults);
                of_one_output(Self::Real { per: per?, fit: fit?, store: store? }, span, faults)
            }),
        ];
        read_variant(value, "a scale", &variants, faults)
    }
}

/// Reports a fit that compares outputs, if several outputs share the scale.
fn of_one_output(scale: Scale, fit: Span, faults: &mut Faults) -> Option<Scale> {
    if scale.tries_scales() && scale.per() != Per::Channel {
        let message = "`OutputError` looks for the scale of an output, so it takes `per: Channel` only";
        faults.add(fit, message, "write `per: Channel`, or choose another `fit`");
        return None;
    }
    Some(scale)
}

impl FromValue for Per {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 3] = [
            ("Tensor", |_, _| Some(Self::Tensor)),
            ("Channel", |_, _| Some(Self::Channel)),
            ("Block", |fields, faults| {
                fields.about(&[("size", "The weights of a row that share a scale.")]);
                let size = fields.whole("size", 1..=MOST_BLOCK, None, faults);
                size.map(|size| Self::Block(size as usize))
            }),
        ];
        read_variant(value, "a part of a tensor", &variants, faults)
    }
}

impl FromValue for ScaleType {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("F32", Self::F32),
            ("F16", Self::F16),
            ("Bf16", Self::Bf16),
            ("E4M3", Self::E4M3),
            ("E8M0", Self::E8M0),
        ];
        choice(value, "a stored type", &choices, faults)
    }
}

impl FromValue for PowerFit {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("MaxAbs", Self::MaxAbs),
            ("MaxExponent", Self::MaxExponent),
            ("LeastSquares", Self::LeastSquares),
            ("HessianDiagonal", Self::HessianDiagonal),
            ("OutputError", Self::OutputError),
        ];
        choice(value, "a fit", &choices, faults)
    }
}

impl FromValue for RealFit {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 6] = [
            ("MaxAbs", |_, _| Some(Self::MaxAbs)),
            ("Percentile", |fields, faults| {
                fields.about(&[("p", "The percentile of the magnitudes, above 0 and at most 100.")]);
                read_percent(fields, faults).map(Self::Percentile)
            }),
            ("LeastSquares", |_, _| Some(Self::LeastSquares)),
            ("HessianDiagonal", |_, _| Some(Self::HessianDiagonal)),
            ("OutputError", |_, _| Some(Self::OutputError)),
            ("Mean", |_, _| Some(Self::Mean)),
        ];
        read_variant(value, "a fit", &variants, faults)
    }
}

/// Reads the field `p` of a percentile.
pub(super) fn read_percent(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Percent> {
    let span = fields.span();
    let percent: Option<f64> = fields.required("p", faults);
    match Percent::new(percent?) {
        Ok(percent) => Some(percent),
        Err(error) => {
            faults.add(span, error.to_string(), "");
            None
        }
    }
}
