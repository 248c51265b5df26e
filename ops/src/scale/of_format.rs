//! The scales of formats: the default of each format, and the scales that it accepts.

use super::{Per, PowerFit, RealFit, Scale, ScaleType};
use crate::format::{Format, FormatError};

impl Format {
    /// Returns the scale to use, given the scale the user asks for; an error if the format does not accept it.
    pub fn scale(&self, asked: Option<Scale>) -> Result<Scale, FormatError> {
        let refused = |why| Err(FormatError::Scale { format: self.name(), why });
        let own = self.own_scale();
        match (self, asked) {
            (Self::Nf4 { .. } | Self::Mx { .. } | Self::BlockFloat { .. }, Some(_)) => refused(
                "its scale is part of the format; remove `scale`, or write `scale: Own` beside other formats",
            ),
            (Self::KMeans { .. }, Some(scale)) if scale != Scale::None => refused(
                "its codebook is fitted to each tensor and has no scale; remove `scale`, or write `scale: Own` beside other formats",
            ),
            (Self::Int { .. } | Self::Ternary | Self::Binary, Some(Scale::None)) => {
                refused("it needs a scale: remove `scale` for its own, or write `Real(…)` or `PowerOfTwo(…)`")
            }
            (_, Some(scale)) if scale.tries_scales() && scale.per() != Per::Channel => refused(
                "`fit: OutputError` looks for the scale of an output; write `per: Channel`, or choose another fit",
            ),
            (Self::Ternary | Self::Binary, Some(scale)) => Ok(scale),
            (_, Some(Scale::Real { fit: RealFit::Mean, .. })) => refused(
                "`fit: Mean` is for `Ternary` and `Binary`; choose `MaxAbs`, `Percentile` or `LeastSquares`",
            ),
            (_, asked) => Ok(asked.unwrap_or(own)),
        }
    }

    /// Returns the scale that the format uses by default.
    fn own_scale(&self) -> Scale {
        let real = |per, fit| Scale::Real { per, fit, store: ScaleType::F32 };
        match *self {
            Self::Float(_)
            | Self::Fixed { .. }
            | Self::PowerOfTwo { .. }
            | Self::Posit { .. }
            | Self::KMeans { .. }
            | Self::Values(_) => Scale::None,
            Self::Int { .. } => real(Per::Tensor, RealFit::MaxAbs),
            Self::Ternary | Self::Binary => real(Per::Tensor, RealFit::Mean),
            Self::Nf4 { block } => real(Per::Block(block), RealFit::MaxAbs),
            Self::Mx { block, .. } | Self::BlockFloat { block, .. } => {
                Scale::PowerOfTwo { per: Per::Block(block), fit: PowerFit::MaxExponent }
            }
        }
    }

    /// Returns the default fit of a real scale of this format.
    #[must_use]
    pub fn usual_fit(&self) -> RealFit {
        match self {
            Self::Ternary | Self::Binary => RealFit::Mean,
            _ => RealFit::MaxAbs,
        }
    }
}
