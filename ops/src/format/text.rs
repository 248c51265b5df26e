//! The spelling of formats in an experiment, without fields of default value.

use std::fmt;

use super::{Element, Format, Range};

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(float) => float.fmt(f),
            Self::Int { bits, range: Range::Symmetric } => write!(f, "Int({bits})"),
            Self::Int { bits, range } => write!(f, "Int(bits: {bits}, range: {range:?})"),
            Self::Fixed { int, frac } => write!(f, "Fixed(int: {int}, frac: {frac})"),
            Self::PowerOfTwo { bits } => write!(f, "PowerOfTwo({bits})"),
            Self::Posit { n, es } => write!(f, "Posit(n: {n}, es: {es})"),
            Self::Ternary => f.write_str("Ternary"),
            Self::Binary => f.write_str("Binary"),
            Self::Nf4 { block: 64 } => f.write_str("Nf4"),
            Self::Nf4 { block } => write!(f, "Nf4({block})"),
            Self::KMeans { bits } => write!(f, "KMeans({bits})"),
            Self::Values(values) => write!(f, "Values({values:?})"),
            Self::Mx { element, block: 32 } => write!(f, "Mx({element})"),
            Self::Mx { element, block } => write!(f, "Mx(element: {element}, block: {block})"),
            Self::BlockFloat { bits, block: 32 } => write!(f, "BlockFloat({bits})"),
            Self::BlockFloat { bits, block } => write!(f, "BlockFloat(bits: {bits}, block: {block})"),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(float) => float.fmt(f),
            Self::Int { bits } => write!(f, "Int({bits})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NAMES;
    use super::*;

    /// The spelling is the one that the reader takes, and the shortest.
    #[test]
    fn formats_are_spelt_as_they_are_read() {
        let written = [
            "Float(e: 3, m: 2, bias: Exactly(5))",
            "Float(e: 3, m: 4, specials: Ieee, subnormals: Flush, overflow: Special)",
            "Int(4)",
            "Int(bits: 3, range: Asymmetric)",
            "Fixed(int: 2, frac: -1)",
            "PowerOfTwo(4)",
            "Posit(n: 4, es: 0)",
            "Ternary",
            "Binary",
            "Nf4",
            "Nf4(32)",
            "KMeans(3)",
            "Values([-1.5, 0.0, 2.0])",
            "Mx(E2M1)",
            "Mx(element: Int(8), block: 16)",
            "BlockFloat(4)",
            "BlockFloat(bits: 4, block: 16)",
        ];
        for text in written {
            assert_eq!(Format::parse(text).unwrap().to_string(), text);
        }
        for text in NAMES
            .into_iter()
            .chain(["P3109(bits: 6, precision: 3)", "P3109(bits: 8, precision: 4, domain: Finite)"])
        {
            let format = Format::parse(text).unwrap();
            assert_eq!(Format::parse(&format.to_string()).unwrap(), format, "{text} {format}");
        }
    }
}
