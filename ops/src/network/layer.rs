//! One layer: operation, output shape for an input shape, and cost. Knows nothing of names, weight values or
//! neighbouring layers.

use serde::{Deserialize, Serialize};

use crate::network::architecture::LayerSpec;

/// The largest number of outputs per image that a layer may have. A larger output comes from a mistake or a
/// hostile file.
const MOST: usize = 1 << 24;

/// The shape of the activations of one image between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationShape {
    /// An image: channels, height, width.
    Image([usize; 3]),
    /// A row of numbers.
    Row(usize),
}

impl ActivationShape {
    /// Returns the number of elements.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Image(sides) => sides.iter().product(),
            Self::Row(n) => n,
        }
    }

    /// Returns whether the shape has no elements.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the number of channels and the count of numbers per channel. Each number of a row is a
    /// channel.
    #[must_use]
    pub fn channels(self) -> (usize, usize) {
        match self {
            Self::Image([channels, height, width]) => (channels, height * width),
            Self::Row(n) => (n, 1),
        }
    }
}

/// The operation of a layer. The fields are the fields of [`LayerSpec`], with every default filled in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LayerOp {
    Conv {
        out: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        dilation: usize,
        groups: usize,
        bias: bool,
    },
    Linear {
        out: usize,
        bias: bool,
    },
    BatchNorm {
        eps: f64,
        momentum: f64,
    },
    /// A weight and a bias per channel. Folding makes this layer of a batch normalization that follows
    /// neither a convolution nor a linear layer.
    Affine,
    Relu,
    MaxPool {
        size: usize,
        stride: usize,
    },
    Flatten,
    Dropout {
        p: f64,
    },
}

impl LayerOp {
    pub(crate) fn from_spec(spec: &LayerSpec) -> (Self, Option<String>) {
        match spec.clone() {
            LayerSpec::Conv { out, kernel, stride, padding, dilation, groups, bias, name } => {
                (Self::Conv { out, kernel, stride, padding, dilation, groups, bias }, name)
            }
            LayerSpec::Linear { out, bias, name } => (Self::Linear { out, bias }, name),
            LayerSpec::BatchNorm { eps, momentum, name } => (Self::BatchNorm { eps, momentum }, name),
            LayerSpec::Relu => (Self::Relu, None),
            LayerSpec::MaxPool { size, stride } => {
                (Self::MaxPool { size, stride: stride.unwrap_or(size) }, None)
            }
            LayerSpec::Flatten => (Self::Flatten, None),
            LayerSpec::Dropout { p } => (Self::Dropout { p }, None),
        }
    }

    /// Returns the name of the layer's kind; default layer names consist of the kind and a count.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "conv",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batchnorm",
            Self::Affine => "affine",
            Self::Relu => "relu",
            Self::MaxPool { .. } => "maxpool",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
        }
    }

    /// Returns the shapes of the weight and of the bias; `None` for a parameter that the layer does not have.
    #[must_use]
    pub fn parameters(&self, input: ActivationShape) -> (Option<Vec<usize>>, Option<Vec<usize>>) {
        let channels = input.channels().0;
        match *self {
            Self::Conv { out, kernel, groups, bias, .. } => {
                (Some(vec![out, channels / groups, kernel, kernel]), bias.then(|| vec![out]))
            }
            Self::Linear { out, bias } => (Some(vec![out, input.len()]), bias.then(|| vec![out])),
            Self::BatchNorm { .. } | Self::Affine => (Some(vec![channels]), Some(vec![channels])),
            Self::Relu | Self::MaxPool { .. } | Self::Flatten | Self::Dropout { .. } => (None, None),
        }
    }

    /// Returns the number of multiply-accumulates for one image; 0 for layers other than convolutions and
    /// linear layers.
    #[must_use]
    pub fn multiply_accumulates(&self, input: ActivationShape, output: ActivationShape) -> u64 {
        let per_output = match *self {
            Self::Conv { kernel, groups, .. } => input.channels().0 / groups * kernel * kernel,
            Self::Linear { .. } => input.len(),
            _ => 0,
        };
        (per_output as u64).saturating_mul(output.len() as u64)
    }

    /// Returns the output shape for an input shape. Errors with the reason if the layer cannot take the
    /// input, a field is out of range or a size is too large.
    pub(crate) fn output(&self, input: ActivationShape) -> Result<ActivationShape, String> {
        let output = self.shape(input)?;
        bounded(output)?;
        let weight = self.parameters(input).0.unwrap_or_default();
        let weights = weight.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
        weights.map(|_| output).ok_or_else(|| "it has too many weights".into())
    }

    fn shape(&self, input: ActivationShape) -> Result<ActivationShape, String> {
        Ok(match (*self, input) {
            (Self::Conv { .. }, ActivationShape::Image(sides)) => self.conv(sides)?,
            (Self::MaxPool { size, stride }, ActivationShape::Image([channels, height, width])) => {
                positive(&[("size", size), ("stride", stride)])?;
                ActivationShape::Image([
                    channels,
                    windows(height, 0, size, 1, stride)?,
                    windows(width, 0, size, 1, stride)?,
                ])
            }
            (Self::Conv { .. } | Self::MaxPool { .. }, ActivationShape::Row(n)) => {
                return Err(format!(
                    "it takes images, but its input is a row of {n} numbers; put it before Flatten"
                ));
            }
            (Self::Linear { .. }, ActivationShape::Image([channels, height, width])) => {
                return Err(format!(
                    "its input is an image of {channels} x {height} x {width}; put Flatten before it"
                ));
            }
            (Self::Linear { out, .. }, ActivationShape::Row(_)) => {
                positive(&[("out", out)])?;
                ActivationShape::Row(out)
            }
            (Self::BatchNorm { eps, momentum }, _) => {
                let sound = eps.is_finite() && eps > 0.0 && (0.0..=1.0).contains(&momentum);
                sound.then_some(input).ok_or("eps must be above 0, momentum from 0 to 1")?
            }
            (Self::Dropout { p }, _) => (0.0..1.0)
                .contains(&p)
                .then_some(input)
                .ok_or_else(|| format!("p is {p}; it must be in [0, 1)"))?,
            (Self::Flatten, _) => ActivationShape::Row(input.len()),
            (Self::Relu | Self::Affine, _) => input,
        })
    }

    fn conv(&self, [channels, height, width]: [usize; 3]) -> Result<ActivationShape, String> {
        let Self::Conv { out, kernel, stride, padding, dilation, groups, .. } = *self else {
            return Err("it is not a convolution".into());
        };
        let fields = [
            ("out", out),
            ("kernel", kernel),
            ("stride", stride),
            ("dilation", dilation),
            ("groups", groups),
        ];
        positive(&fields)?;
        if channels % groups != 0 || out % groups != 0 {
            return Err(format!(
                "{groups} groups must divide its {channels} input and {out} output channels"
            ));
        }
        let side = |side| windows(side, padding, kernel, dilation, stride);
        let (rows, columns) = (side(height)?, side(width)?);
        bounded(ActivationShape::Row(kernel.saturating_mul(kernel).saturating_mul(channels / groups)))?;
        // The kernel keeps a list of taps for every output pixel, so the number of taps has a limit too.
        bounded(ActivationShape::Image([kernel * kernel, rows, columns]))?;
        Ok(ActivationShape::Image([out, rows, columns]))
    }
}

/// Returns the number of windows that fit on a side of `length` pixels with `padding` more pixels at both
/// ends. A window has `size` taps, `dilation` pixels apart; windows start `stride` pixels apart.
fn windows(
    length: usize,
    padding: usize,
    size: usize,
    dilation: usize,
    stride: usize,
) -> Result<usize, String> {
    let border = padding.checked_mul(2).ok_or("its padding is too large")?;
    let pixels = length.checked_add(border).ok_or("its padding is too large")?;
    let reach =
        (size - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1)).ok_or("it is too large")?;
    if reach > pixels {
        return Err(format!("its window of {reach} pixels is larger than the image's {pixels}"));
    }
    Ok((pixels - reach) / stride + 1)
}

fn positive(fields: &[(&str, usize)]) -> Result<(), String> {
    fields
        .iter()
        .find(|(_, value)| *value == 0)
        .map_or(Ok(()), |(name, _)| Err(format!("{name} must be at least 1")))
}

fn bounded(shape: ActivationShape) -> Result<(), String> {
    let sides = match shape {
        ActivationShape::Image(sides) => sides,
        ActivationShape::Row(n) => [n, 1, 1],
    };
    let numbers =
        sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).filter(|all| *all <= MOST);
    numbers.map(|_| ()).ok_or_else(|| format!("it gives more than {MOST} numbers per image"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_definition() {
        let conv = |kernel, stride, padding, dilation, groups| LayerOp::Conv {
            out: 8,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            bias: true,
        };
        let check = |op: LayerOp, input: [usize; 3], expected: Result<[usize; 3], &str>| match (
            op.output(ActivationShape::Image(input)),
            expected,
        ) {
            (Ok(found), Ok(expected)) => assert_eq!(found, ActivationShape::Image(expected)),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{op:?}: {found:?}, expected {expected:?}"),
        };
        check(conv(3, 1, 1, 1, 1), [3, 32, 32], Ok([8, 32, 32]));
        check(conv(5, 2, 0, 1, 1), [3, 28, 28], Ok([8, 12, 12]));
        check(conv(3, 1, 0, 3, 1), [4, 9, 8], Ok([8, 3, 2]));
        check(conv(5, 1, 0, 1, 1), [1, 4, 9], Err("window of 5 pixels is larger than the image's 4"));
        check(conv(3, 1, 0, 1, 3), [3, 9, 9], Err("3 groups must divide its 3 input and 8 output channels"));
        check(conv(0, 1, 0, 1, 1), [3, 9, 9], Err("kernel must be at least 1"));
        check(conv(3, 1, usize::MAX, 1, 1), [3, 9, 9], Err("padding is too large"));
        check(conv(3, 1, 1 << 40, 1, 1), [3, 9, 9], Err("numbers per image"));
        check(conv(3000, 1, 3000, 1, 1), [3, 9, 9], Err("numbers per image"));
        check(conv(usize::MAX, 1, 0, 1, 1), [3, 9, 9], Err("is larger than the image"));
        check(conv(3, 1, 0, usize::MAX, 1), [3, 9, 9], Err("too large"));
        check(LayerOp::MaxPool { size: 2, stride: 2 }, [4, 7, 7], Ok([4, 3, 3]));
        check(LayerOp::MaxPool { size: 3, stride: 0 }, [4, 7, 7], Err("stride must be at least 1"));
        check(LayerOp::Linear { out: 10, bias: true }, [4, 7, 7], Err("put Flatten before it"));
        check(LayerOp::Dropout { p: 1.0 }, [4, 7, 7], Err("p is 1; it must be in [0, 1)"));
        check(LayerOp::Dropout { p: f64::NAN }, [4, 7, 7], Err("p is NaN"));
        check(LayerOp::BatchNorm { eps: 0.0, momentum: 0.1 }, [4, 7, 7], Err("eps must be above 0"));
    }

    #[test]
    fn rows_go_through_linear_layers_only() {
        let row = ActivationShape::Row(16);
        assert_eq!(LayerOp::Linear { out: 10, bias: true }.output(row), Ok(ActivationShape::Row(10)));
        assert!(LayerOp::MaxPool { size: 2, stride: 2 }.output(row).unwrap_err().contains("before Flatten"));
    }
}
