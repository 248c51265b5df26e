//! Number formats and scales as a person writes them. Knows their spelling, and none of their numbers.

use fewbits_engine::text::fault::{Fault, Faults, Span};
use fewbits_engine::text::fields::{Fields, FromValue, choice, mismatch, variant};
use fewbits_engine::text::value::Value;

use crate::format::{
    Bias, Domain, Element, Float, Format, FormatError, NAMES, Overflow, Range, Rounding, Specials, Subnormals,
};
use crate::scale::{Per, Percent, PowerFit, RealFit, Scale, ScaleType};

/// The formats that have fields, or are more than a float with a name.
const VARIANTS: [&str; 13] = [
    "Float",
    "Int",
    "Fixed",
    "PowerOfTwo",
    "Posit",
    "Ternary",
    "Binary",
    "Nf4",
    "KMeans",
    "Values",
    "Mx",
    "BlockFloat",
    "P3109",
];

/// The most weights in a block.
const MOST_BLOCK: i64 = 1 << 20;

impl Format {
    /// Reads a format from a text such as `Float(e: 2, m: 1)`; its faults have places in the text.
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

impl FromValue for Format {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let names: Vec<&str> = VARIANTS.into_iter().chain(NAMES).collect();
        let kind = variant(value, "a format", &names, faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let format = fields_of(kind, &mut fields, faults);
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

/// Reads the fields of a format.
fn fields_of(kind: &str, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Format> {
    let span = fields.span();
    let bits = |name, range, fields: &mut Fields<'_>, faults: &mut Faults| {
        fields.whole(name, range, None, faults).map(|bits| bits as u32)
    };
    match kind {
        "Float" => float(fields, faults).map(Format::Float),
        "Int" => {
            let bits = bits("bits", 2..=24, fields, faults);
            let range = fields.optional("range", Range::Symmetric, faults);
            Some(Format::Int { bits: bits?, range: range? })
        }
        "Fixed" => {
            let [int, frac] = ["int", "frac"].map(|name| fields.whole(name, -200..=200, None, faults));
            Some(Format::Fixed { int: int? as i32, frac: frac? as i32 })
        }
        "PowerOfTwo" => bits("bits", 2..=8, fields, faults).map(|bits| Format::PowerOfTwo { bits }),
        "Posit" => {
            let n = bits("n", 2..=16, fields, faults);
            let es = fields.whole("es", 0..=32, None, faults);
            Some(Format::Posit { n: n?, es: es? as u32 })
        }
        "Ternary" => Some(Format::Ternary),
        "Binary" => Some(Format::Binary),
        "Nf4" => block(64, fields, faults).map(|block| Format::Nf4 { block }),
        "KMeans" => bits("bits", 1..=8, fields, faults).map(|bits| Format::KMeans { bits }),
        "Values" => {
            let values: Option<Vec<f64>> = fields.required("values", faults);
            Some(Format::Values(values?.into_iter().map(|value| value as f32).collect()))
        }
        "Mx" => {
            let element = fields.required("element", faults);
            let block = block(32, fields, faults);
            Some(Format::Mx { element: element?, block: block? })
        }
        "BlockFloat" => {
            let bits = bits("bits", 2..=24, fields, faults);
            let block = block(32, fields, faults);
            Some(Format::BlockFloat { bits: bits?, block: block? })
        }
        "P3109" => {
            let [bits, precision] = ["bits", "precision"].map(|name| bits(name, 1..=15, fields, faults));
            let domain = fields.optional("domain", Domain::Extended, faults);
            let overflow = fields.optional("overflow", Overflow::Saturate, faults);
            checked(Float::p3109(bits?, precision?, domain?, overflow?), span, faults).map(Format::Float)
        }
        name => Float::named(name).map(Format::Float),
    }
}

fn float(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Float> {
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
        let kind = variant(value, "a bias", &["Ieee", "Exactly"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let bias = match kind {
            "Ieee" => Some(Self::Ieee),
            _ => fields.whole("bias", -1000..=1000, None, faults).map(|bias| Self::Exactly(bias as i32)),
        };
        fields.finish(faults);
        bias
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
        let kind = variant(value, "a scale", &["Own", "None", "PowerOfTwo", "Real"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let scale = match kind {
            "None" => Some(Self::None),
            // Who can have it asks for it before.
            "Own" => {
                mismatch(value, "a scale", faults);
                None
            }
            "PowerOfTwo" => {
                let per = fields.optional("per", Per::Tensor, faults);
                let fit = fields.optional("fit", PowerFit::MaxAbs, faults);
                per.zip(fit).map(|(per, fit)| Self::PowerOfTwo { per, fit })
            }
            _ => {
                let per = fields.optional("per", Per::Tensor, faults);
                let fit = fields.optional("fit", RealFit::MaxAbs, faults);
                // Who knows the format puts in its usual one.
                fields.otherwise("fit", "MaxAbs; Mean for Ternary and Binary");
                let store = fields.optional("store", ScaleType::F32, faults);
                per.zip(fit).zip(store).map(|((per, fit), store)| Self::Real { per, fit, store })
            }
        };
        fields.finish(faults);
        scale
    }
}

impl FromValue for Per {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a part of a tensor", &["Tensor", "Channel", "Block"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let per = match kind {
            "Tensor" => Some(Self::Tensor),
            "Channel" => Some(Self::Channel),
            _ => {
                let size = fields.whole("size", 1..=MOST_BLOCK, None, faults);
                size.map(|size| Self::Block(size as usize))
            }
        };
        fields.finish(faults);
        per
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
        ];
        choice(value, "a fit", &choices, faults)
    }
}

impl FromValue for RealFit {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a fit", &["MaxAbs", "Percentile", "LeastSquares", "Mean"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let fit = match kind {
            "MaxAbs" => Some(Self::MaxAbs),
            "LeastSquares" => Some(Self::LeastSquares),
            "Mean" => Some(Self::Mean),
            _ => {
                let percent: Option<f64> = fields.required("p", faults);
                percent.and_then(|percent| match Percent::new(percent) {
                    Ok(percent) => Some(Self::Percentile(percent)),
                    Err(error) => {
                        faults.add(value.span, error.to_string(), "");
                        None
                    }
                })
            }
        };
        fields.finish(faults);
        fit
    }
}
