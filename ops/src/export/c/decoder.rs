//! The C functions that decode rows of tensors: one for each way in which codes, numbers and scales are stored. Knows nothing of
//! layers.
//!
//! A weight is the product of its code's number and its group's scale, rounded once, and every zero is +0, as in
//! [`Codes`]. Binary32 arithmetic gives it where the number of every code in use is a binary32 number; then the product of number
//! and scale is the only operation that rounds. Other formats (exponents that a bias moves beyond binary32) take binary64.

use std::fmt::Write;

use crate::format::{Element, Float, Format, Packing, Range, Subnormals};
use crate::quantize::Codes;
use crate::scale::ScaleType;

/// The widest posits whose table takes less flash than the function for posits.
const MOST_TABLE_BITS: u32 = 5;

/// The widest codes that 32 bits hold beside the rest of a byte.
const MOST_HELD_BITS: u32 = 24;

/// A C function that decodes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoder {
    /// The words behind `decode_`.
    pub name: String,
    /// The function's body.
    pub body: String,
    /// The functions that the body calls.
    pub helpers: Vec<Helper>,
    /// Whether a code's number is read from the tensor's codebook.
    pub reads_codebook: bool,
    /// About how many bytes of flash it takes on a Cortex-M4 with `-Os`.
    pub code_bytes: usize,
}

/// A C function that decoders call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Helper {
    Wide,
    Posit,
    BitsAt,
    F16,
    Bf16,
    E4M3,
    E8M0,
}

impl Helper {
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Wide => include_str!("runtime/wide.c"),
            Self::Posit => include_str!("runtime/posit.c"),
            Self::BitsAt => include_str!("runtime/bits_at.c"),
            Self::F16 => include_str!("runtime/scale_f16.c"),
            Self::Bf16 => include_str!("runtime/scale_bf16.c"),
            Self::E4M3 => include_str!("runtime/scale_e4m3.c"),
            Self::E8M0 => include_str!("runtime/scale_e8m0.c"),
        }
    }
}

impl Helper {
    /// Returns about how many bytes of flash it takes on a Cortex-M4 with `-Os`.
    pub(super) fn code_bytes(self) -> usize {
        match self {
            Self::Wide | Self::E8M0 => 12,
            Self::Posit => 92,
            Self::BitsAt | Self::F16 => 38,
            Self::Bf16 => 4,
            Self::E4M3 => 34,
        }
    }
}

/// The number of a code, as a C expression of `code`.
struct Number {
    /// A binary32 expression, or a binary64 expression if `is_wide`.
    expression: String,
    is_wide: bool,
    helper: Option<Helper>,
    reads_codebook: bool,
}

impl Number {
    fn plain(expression: String) -> Self {
        Self { expression, is_wide: false, helper: None, reads_codebook: false }
    }

    /// Returns the expression of a format's numbers.
    fn of(codes: &Codes) -> Self {
        let format = &codes.quantization.format;
        match *format {
            Format::Int { range: Range::Asymmetric, .. } => {
                Self::plain("(float)((int32_t)code - zero)".to_owned())
            }
            Format::Int { bits, .. } => Self::plain(signed(bits, 0)),
            Format::Fixed { int, frac } => Self::plain(signed((1 + int + frac) as u32, -frac)),
            Format::Mx { element: Element::Int { bits }, .. } => Self::plain(signed(bits, 2 - bits as i32)),
            Format::Binary => Self::plain("(float)(1 - 2 * (int32_t)code)".to_owned()),
            Format::Ternary => Self::plain("(float)((int32_t)code - 1)".to_owned()),
            Format::Posit { n, es } if n > MOST_TABLE_BITS => {
                Self { helper: Some(Helper::Posit), ..Self::plain(format!("posit(code, {n}, {es})")) }
            }
            Format::Float(float) | Format::Mx { element: Element::Float(float), .. } => {
                Self::of_float(float, codes)
            }
            Format::PowerOfTwo { .. } | Format::BlockFloat { .. } => match format.codec() {
                Ok(crate::format::Codec::Float(float)) => Self::of_float(float, codes),
                _ => Self::of_codebook(),
            },
            Format::Posit { .. } | Format::Nf4 { .. } | Format::KMeans { .. } | Format::Values(_) => {
                Self::of_codebook()
            }
        }
    }

    fn of_codebook() -> Self {
        Self { reads_codebook: true, ..Self::plain("codebook[code]".to_owned()) }
    }

    /// Returns the expression of a float's numbers: exponent and mantissa at their place in a wider float, which is then off by
    /// a power of two. This holds for subnormal numbers too.
    fn of_float(float: Float, codes: &Codes) -> Self {
        let (e, m, bias) = (float.exponent_bits(), float.mantissa_bits(), float.bias());
        let mask = if e + m == 31 { 0x7fff_ffff } else { (1_u32 << (e + m)) - 1 };
        let fits = |code: &u32| {
            let value = float.value(*code);
            let is_top = e == 8 && code >> m & 0xff == 0xff;
            f64::from(value as f32).to_bits() == value.to_bits() && !is_top
        };
        let is_wide = !codes.codes.iter().all(fits) || bias > 127 + 149;
        let number = if is_wide {
            let bits = format!(
                "wide_of((uint64_t)(code >> {}) << 63 | (uint64_t)(code & {mask:#x}u) << {})",
                e + m,
                52 - m
            );
            format!("{bits}{}", factors(1023 - bias, 1023, ""))
        } else {
            let bits = format!("number_of(code >> {} << 31 | (code & {mask:#x}u) << {})", e + m, 23 - m);
            format!("{bits}{}", factors(127 - bias, 127, "f"))
        };
        let number = match float.subnormals() {
            Subnormals::On => number,
            Subnormals::Flush => {
                let zero = if is_wide { "0.0" } else { "0.0f" };
                format!("((code & {mask:#x}u) >> {m} == 0 ? {zero} : {number})")
            }
        };
        Self { expression: number, is_wide, helper: is_wide.then_some(Helper::Wide), reads_codebook: false }
    }
}

/// Returns the expression of an integer in two's complement times a power of two.
fn signed(bits: u32, exponent: i32) -> String {
    let half = 1_u32 << (bits - 1);
    let power = if exponent == 0 { String::new() } else { format!(" * 0x1p{exponent}f") };
    format!("(float)((int32_t)(code ^ {half:#x}u) - {half:#x}){power}")
}

/// Returns the product with a power of two, in two steps if it is beyond the largest one.
fn factors(exponent: i32, most: i32, suffix: &str) -> String {
    match exponent {
        0 => String::new(),
        _ if exponent > most => format!(" * 0x1p{most}{suffix} * 0x1p{}{suffix}", exponent - most),
        _ => format!(" * 0x1p{exponent}{suffix}"),
    }
}

impl Decoder {
    /// Returns the decoder of tensors that are stored as binary32 numbers.
    pub(super) fn of_numbers() -> Self {
        let body = function(
            "    const float *codes = (const float *)t->codes + row * t->row;\n",
            "",
            &["out[at] = *codes++;".to_owned()],
        );
        Self { name: "float32".to_owned(), body, helpers: vec![], reads_codebook: false, code_bytes: 60 }
    }

    /// Returns the decoder of a quantized tensor.
    pub(super) fn of(codes: &Codes) -> Self {
        let Number { expression, is_wide, helper, reads_codebook } = Number::of(codes);
        let store = codes.quantization.scale.store();
        let has_zero_points = !codes.zero_points.is_empty();
        let mut helpers: Vec<Helper> = helper.into_iter().collect();
        let mut start = String::new();
        if reads_codebook {
            start.push_str("    const float *codebook = (const float *)t->more;\n");
        }
        let packing = codes.quantization.format.packing();
        start.push_str(&reader_start(packing));
        let mut group = String::new();
        if let Some(store) = store {
            let (expression, helper) = scale(store);
            helpers.extend(helper);
            let _ = writeln!(group, "        const float scale = {expression};");
        }
        if has_zero_points {
            helpers.push(Helper::BitsAt);
            let bits = codes.bits;
            let _ = writeln!(
                group,
                "        const int32_t zero = (int32_t)bits_at((const uint8_t *)t->more, group * {bits}, {bits});"
            );
        }
        let value = match (store, is_wide) {
            (Some(_), true) => format!("(float)({expression} * (double)scale)"),
            (None, true) => format!("(float)({expression})"),
            (Some(_), false) => format!("{expression} * scale"),
            (None, false) => expression,
        };
        let mut lines = reader_step(packing);
        // A sum with +0 makes every zero +0.
        lines.push(format!("out[at] = {value} + 0.0f;"));
        helpers.sort_unstable();
        helpers.dedup();
        let name = name(codes, store);
        let of_packing = match packing {
            Packing::Bits(8) => 0,
            Packing::Bits(_) => 50,
            Packing::FiveToAByte => 64,
        };
        let of_groups = if group.is_empty() { 0 } else { 40 };
        let code_bytes = 106
            + of_packing
            + of_groups
            + if has_zero_points { 20 } else { 0 }
            + if is_wide { 40 } else { 0 };
        Self { name, body: function(&start, &group, &lines), helpers, reads_codebook, code_bytes }
    }

    /// Returns the function's text.
    pub(super) fn source(&self) -> String {
        format!(
            "static void decode_{}(const tensor *t, uint32_t row, uint32_t taps, uint32_t step, float *out)\n{}",
            self.name, self.body
        )
    }
}

/// Returns the body of a decoder. `start` has declarations, `group` the lines at the start of a group (none without scales), and
/// `lines` the lines that decode one number.
fn function(start: &str, group: &str, lines: &[String]) -> String {
    let lines = |indent: &str| -> String { lines.iter().map(|line| format!("{indent}{line}\n")).collect() };
    let order = |indent: &str| {
        format!(
            "{indent}at += jump;\n{indent}if (--tap == 0) {{\n{indent}    tap = taps;\n{indent}    first += step;\n{indent}    at = first;\n{indent}}}\n"
        )
    };
    let declared =
        "    const uint32_t jump = t->row / taps * step;\n    uint32_t at = 0, first = 0, tap = taps, left";
    if group.is_empty() {
        let (lines, order) = (lines("        "), order("        "));
        return format!(
            "{{\n{declared};\n{start}    for (left = t->row; left > 0; left--) {{\n{lines}{order}    }}\n}}\n"
        );
    }
    let (lines, order) = (lines("            "), order("            "));
    format!(
        "{{\n{declared} = t->row, group = row * t->groups, count;\n{start}    for (; left > 0; group++) {{\n{group}        count = t->block < left ? t->block : left;\n        for (left -= count; count > 0; count--) {{\n{lines}{order}        }}\n    }}\n}}\n"
    )
}

/// Returns the declarations of a reader of codes, at the start of a row.
fn reader_start(packing: Packing) -> String {
    match packing {
        Packing::FiveToAByte => "    const uint32_t place = row * t->row;\n    const uint8_t *codes = (const uint8_t *)t->codes + place / 5;\n    uint32_t code, digits = 5 - place % 5, byte = *codes++;\n    for (code = digits; code < 5; code++) byte /= 3;\n".to_owned(),
        Packing::Bits(8) => "    const uint8_t *codes = (const uint8_t *)t->codes + row * t->row;\n    uint32_t code;\n".to_owned(),
        Packing::Bits(bits) => {
            let held = if bits > MOST_HELD_BITS { "uint64_t" } else { "uint32_t" };
            format!(
                "    const uint32_t place = row * t->row * {bits};\n    const uint8_t *codes = (const uint8_t *)t->codes + place / 8;\n    uint32_t code, filled = 8 - place % 8;\n    {held} held = *codes++ >> place % 8;\n"
            )
        }
    }
}

/// Returns the lines that read the next code.
fn reader_step(packing: Packing) -> Vec<String> {
    match packing {
        Packing::FiveToAByte => vec![
            "if (digits == 0) {".to_owned(),
            "    digits = 5;".to_owned(),
            "    byte = *codes++;".to_owned(),
            "}".to_owned(),
            "digits--;".to_owned(),
            "code = byte % 3;".to_owned(),
            "byte /= 3;".to_owned(),
        ],
        Packing::Bits(8) => vec!["code = *codes++;".to_owned()],
        Packing::Bits(bits) => {
            let held = if bits > MOST_HELD_BITS { "uint64_t" } else { "uint32_t" };
            let mask = (1_u64 << bits) - 1;
            // One more byte has every code below 8 bits.
            let word = if bits < 8 { "if" } else { "while" };
            vec![
                format!("{word} (filled < {bits}) {{"),
                format!("    held |= ({held})*codes++ << filled;"),
                "    filled += 8;".to_owned(),
                "}".to_owned(),
                format!("code = (uint32_t)(held & {mask:#x}u);"),
                format!("held >>= {bits};"),
                format!("filled -= {bits};"),
            ]
        }
    }
}

/// Returns the expression of a group's scale, and the function that it calls.
fn scale(store: ScaleType) -> (&'static str, Option<Helper>) {
    match store {
        ScaleType::F32 => ("((const float *)t->scales)[group]", None),
        ScaleType::F16 => ("scale_f16(((const uint16_t *)t->scales)[group])", Some(Helper::F16)),
        ScaleType::Bf16 => ("scale_bf16(((const uint16_t *)t->scales)[group])", Some(Helper::Bf16)),
        ScaleType::E4M3 => ("scale_e4m3(((const uint8_t *)t->scales)[group])", Some(Helper::E4M3)),
        ScaleType::E8M0 => ("scale_e8m0(((const uint8_t *)t->scales)[group])", Some(Helper::E8M0)),
    }
}

/// Returns a name for a decoder: its format's kind, the bits of a code, the type of scales.
fn name(codes: &Codes, store: Option<ScaleType>) -> String {
    let kind = codes.quantization.format.name().to_lowercase();
    let store = store.map_or(String::new(), |store| format!("_{}", format!("{store:?}").to_lowercase()));
    format!("{kind}{}{store}", codes.bits)
}
