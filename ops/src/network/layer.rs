//! One layer: operation, output shape for the shapes of its inputs, and cost. Knows nothing of names, weight
//! values or neighbouring layers.

use serde::{Deserialize, Serialize};

use crate::network::architecture::LayerSpec;
use crate::network::geometry::{HeightWidth, Padding, PaddingSpec};
use crate::network::shape::{ActivationShape, Window, bounded, positive};

/// The operation of a layer. The fields are the fields of [`LayerSpec`], with every default filled in, padding in
/// pixels, and a depthwise convolution as one with a group per input channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LayerOp {
    Conv {
        out: usize,
        kernel: HeightWidth,
        stride: HeightWidth,
        padding: Padding,
        dilation: HeightWidth,
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
    /// A weight and a bias per channel. Folding makes this layer of a batch normalization that it cannot
    /// merge into a convolution or linear layer.
    Affine,
    Relu,
    Relu6,
    LeakyRelu {
        slope: f64,
    },
    Sigmoid,
    Tanh,
    HardSwish,
    MaxPool {
        size: HeightWidth,
        stride: HeightWidth,
        #[serde(default, skip_serializing_if = "Padding::is_none")]
        padding: Padding,
    },
    AvgPool {
        size: HeightWidth,
        stride: HeightWidth,
        padding: Padding,
        count_padding: bool,
    },
    GlobalAvgPool,
    Flatten,
    Dropout {
        p: f64,
    },
    /// The sum of its inputs.
    Add,
    /// Its inputs, one behind the other along the channels.
    Concat,
}

impl LayerOp {
    /// Returns the operation of a layer for the shape of its first input. Errors if the input is none that such a
    /// layer takes.
    pub(crate) fn from_spec(spec: &LayerSpec, input: ActivationShape) -> Result<Self, String> {
        let image = || match input {
            ActivationShape::Image(sides) => Ok(sides),
            ActivationShape::Row(n) => Err(takes_images(n)),
        };
        let pad = |padding: PaddingSpec, size, stride: HeightWidth, dilation| {
            let [_, height, width] = image()?;
            let window = Window { size, stride, padding: Padding::default(), dilation };
            Ok::<_, String>(padding.pixels([height, width], window.reach()?, stride.both()))
        };
        let one = HeightWidth::square(1);
        Ok(match *spec {
            LayerSpec::Conv { out, kernel, stride, padding, dilation, groups, bias, .. } => {
                let padding = pad(padding, kernel, stride, dilation)?;
                Self::Conv { out, kernel, stride, padding, dilation, groups, bias }
            }
            LayerSpec::DepthwiseConv { multiplier, kernel, stride, padding, dilation, bias, .. } => {
                let padding = pad(padding, kernel, stride, dilation)?;
                let groups = image()?[0];
                let out = groups.checked_mul(multiplier).ok_or("multiplier is too large")?;
                Self::Conv { out, kernel, stride, padding, dilation, groups, bias }
            }
            LayerSpec::Linear { out, bias, .. } => Self::Linear { out, bias },
            LayerSpec::BatchNorm { eps, momentum, .. } => Self::BatchNorm { eps, momentum },
            LayerSpec::Relu => Self::Relu,
            LayerSpec::Relu6 => Self::Relu6,
            LayerSpec::LeakyRelu { slope } => Self::LeakyRelu { slope },
            LayerSpec::Sigmoid => Self::Sigmoid,
            LayerSpec::Tanh => Self::Tanh,
            LayerSpec::HardSwish => Self::HardSwish,
            LayerSpec::MaxPool { size, stride, padding } => {
                let stride = stride.unwrap_or(size);
                Self::MaxPool { size, stride, padding: pad(padding, size, stride, one)? }
            }
            LayerSpec::AvgPool { size, stride, padding, count_padding } => {
                let stride = stride.unwrap_or(size);
                let padding = pad(padding, size, stride, one)?;
                // Without padding there is nothing to count.
                let count_padding = count_padding && !padding.is_none();
                Self::AvgPool { size, stride, padding, count_padding }
            }
            LayerSpec::GlobalAvgPool => Self::GlobalAvgPool,
            LayerSpec::Flatten => Self::Flatten,
            LayerSpec::Dropout { p } => Self::Dropout { p },
            LayerSpec::Residual { .. } => Self::Add,
            LayerSpec::Concat { .. } => Self::Concat,
        })
    }

    /// Returns the name of the layer's kind, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "conv",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batchnorm",
            Self::Affine => "affine",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leakyrelu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::HardSwish => "hardswish",
            Self::MaxPool { .. } => "maxpool",
            Self::AvgPool { .. } => "avgpool",
            Self::GlobalAvgPool => "globalavgpool",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
            Self::Add => "add",
            Self::Concat => "concat",
        }
    }

    /// Returns whether the layer joins branches, and so may have several inputs.
    #[must_use]
    pub fn is_join(&self) -> bool {
        matches!(self, Self::Add | Self::Concat)
    }

    /// Returns the shapes of the weight and of the bias; `None` for a parameter that the layer does not have.
    #[must_use]
    pub fn parameters(&self, input: ActivationShape) -> (Option<Vec<usize>>, Option<Vec<usize>>) {
        let channels = input.channels().0;
        match *self {
            Self::Conv { out, kernel, groups, bias, .. } => {
                let weight = vec![out, channels / groups.max(1), kernel.height, kernel.width];
                (Some(weight), bias.then(|| vec![out]))
            }
            Self::Linear { out, bias } => (Some(vec![out, input.len()]), bias.then(|| vec![out])),
            Self::BatchNorm { .. } | Self::Affine => (Some(vec![channels]), Some(vec![channels])),
            _ => (None, None),
        }
    }

    /// Returns the number of multiply-accumulates for one image; 0 for layers other than convolutions and
    /// linear layers.
    #[must_use]
    pub fn multiply_accumulates(&self, input: ActivationShape, output: ActivationShape) -> u64 {
        let per_output = match *self {
            Self::Conv { kernel, groups, .. } => input.channels().0 / groups * kernel.area(),
            Self::Linear { .. } => input.len(),
            _ => 0,
        };
        (per_output as u64).saturating_mul(output.len() as u64)
    }

    /// Returns the output shape for the shapes of the inputs. Errors with the reason if the layer cannot take
    /// the inputs, a field is out of range or a size is too large.
    pub(crate) fn output(&self, inputs: &[ActivationShape]) -> Result<ActivationShape, String> {
        let &[first, ref more @ ..] = inputs else { return Err("it has no input".into()) };
        if !self.is_join() && !more.is_empty() {
            return Err(format!("it takes one input, not {}", inputs.len()));
        }
        if self.is_join() && more.is_empty() {
            return Err("it joins fewer than two branches".into());
        }
        let output = match self {
            Self::Add => ActivationShape::sum(inputs)?,
            Self::Concat => ActivationShape::concatenation(inputs)?,
            _ => self.shape(first)?,
        };
        bounded(output)?;
        let weight = self.parameters(first).0.unwrap_or_default();
        let weights = weight.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
        weights.map(|_| output).ok_or_else(|| "it has too many weights".into())
    }

    fn shape(&self, input: ActivationShape) -> Result<ActivationShape, String> {
        Ok(match (*self, input) {
            (Self::Conv { .. }, ActivationShape::Image(sides)) => self.conv(sides)?,
            (
                Self::MaxPool { .. } | Self::AvgPool { .. },
                ActivationShape::Image([channels, height, width]),
            ) => {
                let window = self.pool_window()?;
                let [rows, columns] = window.places([height, width])?;
                ActivationShape::Image([channels, rows, columns])
            }
            (Self::GlobalAvgPool, ActivationShape::Image([channels, ..])) => {
                ActivationShape::Image([channels, 1, 1])
            }
            (
                Self::Conv { .. } | Self::MaxPool { .. } | Self::AvgPool { .. } | Self::GlobalAvgPool,
                ActivationShape::Row(n),
            ) => return Err(takes_images(n)),
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
            (Self::LeakyRelu { slope }, _) => {
                let sound = slope.is_finite() && slope > 0.0;
                sound.then_some(input).ok_or_else(|| format!("slope is {slope}; it must be above 0"))?
            }
            (Self::Dropout { p }, _) => (0.0..1.0)
                .contains(&p)
                .then_some(input)
                .ok_or_else(|| format!("p is {p}; it must be in [0, 1)"))?,
            (Self::Flatten, _) => ActivationShape::Row(input.len()),
            (
                Self::Relu
                | Self::Relu6
                | Self::Sigmoid
                | Self::Tanh
                | Self::HardSwish
                | Self::Affine
                | Self::Add
                | Self::Concat,
                _,
            ) => input,
        })
    }

    /// Returns the window of a pool. Errors if a field is out of range; every window then sees a pixel of the
    /// image.
    fn pool_window(&self) -> Result<Window, String> {
        let (Self::MaxPool { size, stride, padding } | Self::AvgPool { size, stride, padding, .. }) = *self
        else {
            return Err("it is no pool".into());
        };
        positive(&[("size", size.height.min(size.width)), ("stride", stride.height.min(stride.width))])?;
        smaller_than(padding, size)?;
        Ok(Window { size, stride, padding, dilation: HeightWidth::square(1) })
    }

    fn conv(&self, [channels, height, width]: [usize; 3]) -> Result<ActivationShape, String> {
        let Self::Conv { out, kernel, stride, padding, dilation, groups, .. } = *self else {
            return Err("it is not a convolution".into());
        };
        let fields = [
            ("out", out),
            ("kernel", kernel.height.min(kernel.width)),
            ("stride", stride.height.min(stride.width)),
            ("dilation", dilation.height.min(dilation.width)),
            ("groups", groups),
        ];
        positive(&fields)?;
        if channels % groups != 0 || out % groups != 0 {
            return Err(format!(
                "{groups} groups must divide its {channels} input and {out} output channels"
            ));
        }
        let window = Window { size: kernel, stride, padding, dilation };
        let [rows, columns] = window.places([height, width])?;
        bounded(ActivationShape::Row(kernel.area().saturating_mul(channels / groups)))?;
        // The kernel keeps a list of taps for every output pixel, so the number of taps has a limit too.
        bounded(ActivationShape::Image([kernel.area(), rows, columns]))?;
        Ok(ActivationShape::Image([out, rows, columns]))
    }
}

fn takes_images(numbers: usize) -> String {
    format!("it takes images, but its input is a row of {numbers} numbers; put it before Flatten")
}

/// Checks that a padding is smaller than the window, so that every window sees a pixel of the image.
fn smaller_than(padding: Padding, size: HeightWidth) -> Result<(), String> {
    for (side, size) in size.both().into_iter().enumerate() {
        if let Some(pixels) = padding.along(side).into_iter().find(|pixels| *pixels >= size) {
            return Err(format!("its padding of {pixels} pixels must be smaller than its window of {size}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_definition() {
        let square = HeightWidth::square;
        let conv = |kernel, stride, padding, dilation, groups| LayerOp::Conv {
            out: 8,
            kernel: square(kernel),
            stride: square(stride),
            padding: Padding::all(padding),
            dilation: square(dilation),
            groups,
            bias: true,
        };
        let pool = |size, stride, padding| LayerOp::MaxPool {
            size: square(size),
            stride: square(stride),
            padding: Padding::all(padding),
        };
        let check = |op: LayerOp, input: [usize; 3], expected: Result<[usize; 3], &str>| match (
            op.output(&[ActivationShape::Image(input)]),
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
        check(pool(2, 2, 0), [4, 7, 7], Ok([4, 3, 3]));
        check(pool(3, 0, 0), [4, 7, 7], Err("stride must be at least 1"));
        check(pool(3, 2, 1), [4, 32, 31], Ok([4, 16, 16]));
        check(pool(3, 2, 3), [4, 32, 31], Err("padding of 3 pixels must be smaller than its window of 3"));
        check(LayerOp::GlobalAvgPool, [4, 5, 7], Ok([4, 1, 1]));
        check(LayerOp::LeakyRelu { slope: 0.0 }, [4, 7, 7], Err("slope is 0; it must be above 0"));
        let uneven = LayerOp::Conv {
            out: 8,
            kernel: [10, 4].into(),
            stride: [2, 2].into(),
            padding: [4, 1, 5, 1].into(),
            dilation: square(1),
            groups: 1,
            bias: true,
        };
        check(uneven, [1, 49, 10], Ok([8, 25, 5]));
        check(LayerOp::Linear { out: 10, bias: true }, [4, 7, 7], Err("put Flatten before it"));
        check(LayerOp::Dropout { p: 1.0 }, [4, 7, 7], Err("p is 1; it must be in [0, 1)"));
        check(LayerOp::Dropout { p: f64::NAN }, [4, 7, 7], Err("p is NaN"));
        check(LayerOp::BatchNorm { eps: 0.0, momentum: 0.1 }, [4, 7, 7], Err("eps must be above 0"));
    }

    #[test]
    fn rows_go_through_linear_layers_only() {
        let row = ActivationShape::Row(16);
        assert_eq!(LayerOp::Linear { out: 10, bias: true }.output(&[row]), Ok(ActivationShape::Row(10)));
        let pool = LayerOp::GlobalAvgPool.output(&[row]);
        assert!(pool.unwrap_err().contains("before Flatten"));
    }

    #[test]
    fn branches_are_joined_where_their_shapes_fit() {
        let (image, row) = (ActivationShape::Image, ActivationShape::Row);
        assert_eq!(LayerOp::Add.output(&[image([4, 8, 8]); 2]), Ok(image([4, 8, 8])));
        let error = LayerOp::Add.output(&[image([4, 8, 8]), image([4, 4, 4])]).unwrap_err();
        assert!(
            error.starts_with("its branches give 4 x 8 x 8 and 4 x 4 x 4; the shapes of a sum"),
            "{error}"
        );
        let shapes = [image([4, 8, 6]), image([2, 8, 6]), image([1, 8, 6])];
        assert_eq!(LayerOp::Concat.output(&shapes), Ok(image([7, 8, 6])));
        assert_eq!(LayerOp::Concat.output(&[row(4), row(3)]), Ok(row(7)));
        for other in [image([4, 8, 7]), row(192)] {
            let error = LayerOp::Concat.output(&[shapes[0], other]).unwrap_err();
            assert!(error.contains("must have the same height and width"), "{error}");
        }
        assert!(LayerOp::Relu.output(&shapes).unwrap_err().contains("takes one input, not 3"));
    }
}
