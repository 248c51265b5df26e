//! The nodes of ONNX with weights: convolutions, linear layers, and scales and shifts per channel.

use crate::import::constant::{Constant, Numbers};
use crate::import::convert::{Converter, OnnxValue};
use crate::import::layer_value::{Dim, LayerValue};
use crate::import::layers::{Affine, Parameters};
use crate::import::node_window::NodeWindow;
use crate::import::onnx_file::Node;
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;

/// The default of ONNX's `BatchNormalization`.
const EPS: f32 = 1e-5;

impl Converter<'_> {
    pub(super) fn conv(
        &mut self,
        node: &Node,
        x: &LayerValue,
        extra: Padding,
        inputs: &[Option<OnnxValue>],
    ) -> Result<OnnxValue, String> {
        let Some(Some(OnnxValue::Constant(weight))) = inputs.get(1) else {
            return Err("its weight is not constant".to_owned());
        };
        let bias = match inputs.get(2) {
            Some(Some(OnnxValue::Constant(bias))) => Some(bias.as_floats()),
            Some(Some(_)) => return Err("its bias is not constant".to_owned()),
            Some(None) | None => None,
        };
        let [channels, height, width] = x.image()?;
        let (out, ins, size) = match weight.shape[..] {
            [out, ins, height, width] if x.dims.len() == 4 => (out, ins, HeightWidth { height, width }),
            [out, ins, width] if x.dims.len() == 3 => (out, ins, HeightWidth { height: 1, width }),
            _ => return Err(format!("its weight has {} dimensions", weight.shape.len())),
        };
        let sides = [height + extra.top + extra.bottom, width + extra.left + extra.right];
        let window = NodeWindow::of(node, x.dims.len(), sides, Some(size))?;
        let groups = usize::try_from(node.int("group", 1))
            .ok()
            .filter(|groups| *groups > 0)
            .ok_or("its group is below 1")?;
        if ins.checked_mul(groups) != Some(channels) {
            return Err(format!(
                "its weight takes {ins} channels in {groups} groups, its input has {channels}"
            ));
        }
        if bias.as_ref().is_some_and(|bias| bias.len() != out) {
            return Err("its bias does not fit its weight".to_owned());
        }
        let padding = Padding {
            top: window.padding.top + extra.top,
            left: window.padding.left + extra.left,
            bottom: window.padding.bottom + extra.bottom,
            right: window.padding.right + extra.right,
        };
        let op = LayerOp::Conv {
            out,
            kernel: size,
            stride: window.stride,
            padding,
            dilation: window.dilation,
            groups,
            bias: bias.is_some(),
        };
        let shape = vec![out, ins, size.height, size.width];
        let parameters = Parameters { name: weight.name.clone(), shape, weight: weight.as_floats(), bias };
        self.layers.push(op, &[x], Some(parameters)).map(OnnxValue::Layer)
    }

    pub(super) fn gemm(
        &mut self,
        node: &Node,
        x: &LayerValue,
        weight: Option<&Constant>,
        bias: Option<&Constant>,
    ) -> Result<OnnxValue, String> {
        let weight = weight.ok_or("it has no weight")?;
        if node.int("transA", 0) != 0 {
            return Err("its input is transposed".to_owned());
        }
        if weight.shape.len() != 2 {
            return Err("its weight is no matrix".to_owned());
        }
        let turned = if node.int("transB", 0) == 0 { weight.transposed(&[1, 0])? } else { weight.clone() };
        let [outputs, inputs] = [turned.shape[0], turned.shape[1]];
        let scaled = |constant: &Constant, factor: f32| {
            let numbers = constant.as_floats();
            if factor == 1.0 { numbers } else { numbers.iter().map(|number| number * factor).collect() }
        };
        let weight = scaled(&turned, node.float("alpha").unwrap_or(1.0));
        let turned = Constant { numbers: Numbers::Float(weight), ..turned };
        let bias = match bias {
            None => None,
            Some(bias) => match scaled(bias, node.float("beta").unwrap_or(1.0)) {
                numbers if numbers.len() == outputs => Some(numbers),
                numbers if numbers.len() == 1 => Some(vec![numbers[0]; outputs]),
                _ => return Err("its bias does not fit its weight".to_owned()),
            },
        };
        self.linear(x, &turned, [outputs, inputs], bias)
    }

    /// Makes a linear layer of a weight of outputs × inputs.
    fn linear(
        &mut self,
        x: &LayerValue,
        weight: &Constant,
        [outputs, inputs]: [usize; 2],
        bias: Option<Vec<f32>>,
    ) -> Result<OnnxValue, String> {
        let numbers = x.shape.len();
        if x.dims.len() < 2 || x.dims.last().map(|dim| x.side(dim)) != Some(numbers) || inputs != numbers {
            return Err(format!("its weight takes {inputs} numbers, its input has {numbers}"));
        }
        let mut weights = weight.as_floats();
        if let Some(order) = x.row_order()? {
            let given = weights.clone();
            for (row, given) in weights.chunks_exact_mut(inputs).zip(given.chunks_exact(inputs)) {
                order.iter().zip(given).for_each(|(place, number)| row[*place] = *number);
            }
        }
        let row = self.layers.row(x)?;
        let shape = vec![outputs, inputs];
        let parameters = Parameters { name: weight.name.clone(), shape, weight: weights, bias };
        let bias = parameters.bias.is_some();
        let made = self.layers.push(LayerOp::Linear { out: outputs, bias }, &[&row], Some(parameters))?;
        let ones = x.dims[1..x.dims.len() - 1].iter().map(|_| Dim::One);
        let dims = [Dim::Batch].into_iter().chain(ones).chain([Dim::Row(vec![])]).collect();
        Ok(OnnxValue::Layer(LayerValue { dims, ..made }))
    }

    /// Applies a scale and a shift, one per channel.
    fn scaled(&mut self, x: &LayerValue, affine: Affine) -> Result<LayerValue, String> {
        let channels = x.shape.channels().0;
        if affine.scale.len() != channels || affine.shift.len() != channels {
            return Err(format!("its parameters do not fit {channels} channels"));
        }
        self.layers.push_affine(x, affine)
    }

    /// Adds, subtracts, multiplies or divides by a constant.
    pub(super) fn affine(
        &mut self,
        node: &Node,
        x: &LayerValue,
        constant: &Constant,
        constant_first: bool,
    ) -> Result<LayerValue, String> {
        let channels = x.shape.channels().0;
        let mut constant = constant.clone();
        if self.opset() < 7 && node.int("axis", -1) >= 0 {
            // The first dimension of the constant stood for this dimension of the input.
            let behind = x.dims.len().saturating_sub(node.int("axis", 0) as usize + constant.shape.len());
            constant.shape.extend(vec![1; behind]);
        }
        let numbers = per_channel(x, &constant)?;
        let numbers =
            |number: &dyn Fn(f64) -> f64| numbers.iter().map(|n| number(f64::from(*n))).collect::<Vec<f64>>();
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        let affine = match (node.op.as_str(), constant_first) {
            ("Add", _) => Affine { scale: ones, shift: numbers(&|n| n) },
            ("Sub", false) => Affine { scale: ones, shift: numbers(&|n| -n) },
            ("Sub", true) => Affine { scale: vec![-1.0; channels], shift: numbers(&|n| n) },
            ("Mul", _) => Affine { scale: numbers(&|n| n), shift: zeros },
            ("Div", false) => Affine { scale: numbers(&|n| 1.0 / n), shift: zeros },
            _ => return Err("it divides a constant by its input".to_owned()),
        };
        self.scaled(x, affine)
    }

    pub(super) fn mat_mul(&mut self, x: &LayerValue, weight: Option<&Constant>) -> Result<OnnxValue, String> {
        let weight = weight.ok_or("it has no weight")?;
        let &[inputs, outputs] = &weight.shape[..] else { return Err("its weight is no matrix".to_owned()) };
        self.linear(x, &weight.transposed(&[1, 0])?, [outputs, inputs], None)
    }

    /// Converts a batch normalization with the parameters weight, bias, mean and variance.
    pub(super) fn batch_norm(
        &mut self,
        node: &Node,
        x: &LayerValue,
        parameters: [Option<&Constant>; 4],
    ) -> Result<OnnxValue, String> {
        let in_training =
            node.int("training_mode", 0) != 0 || self.opset() < 7 && node.int("is_test", 0) == 0;
        if in_training {
            return Err("it is in training mode; export the network after network.eval()".to_owned());
        }
        if node.int("spatial", 1) == 0 {
            return Err("it has a mean per pixel, not per channel".to_owned());
        }
        let mut own = vec![];
        for parameter in parameters {
            own.push(parameter.ok_or("it lacks a parameter")?.as_floats());
        }
        if x.dims.get(1).is_none_or(|dim| x.channel_dim() != Some(1) && x.side(dim) > 1) {
            return Err("the second dimension of its input does not count channels".to_owned());
        }
        let eps = f64::from(node.float("epsilon").unwrap_or(EPS));
        let numbers = |at: usize| own[at].iter().map(|number| f64::from(*number));
        let scale: Vec<f64> =
            numbers(0).zip(numbers(3)).map(|(weight, variance)| weight / (variance + eps).sqrt()).collect();
        let shift =
            numbers(1).zip(numbers(2)).zip(&scale).map(|((bias, mean), scale)| bias - mean * scale).collect();
        self.scaled(x, Affine { scale, shift }).map(OnnxValue::Layer)
    }
}

/// Returns a constant as one number per channel, as `NumPy` repeats it beside the value.
fn per_channel(x: &LayerValue, constant: &Constant) -> Result<Vec<f32>, String> {
    let (channels, numbers) = (x.shape.channels().0, constant.as_floats());
    let behind = x
        .dims
        .len()
        .checked_sub(constant.shape.len())
        .ok_or("its constant has more dimensions than its input")?;
    let sides = x.sides();
    if constant.shape.iter().zip(&sides[behind..]).any(|(own, side)| *own != 1 && own != side) {
        return Err("its constant is larger than its input".to_owned());
    }
    if let Some(first) = numbers.first()
        && numbers.iter().all(|number| number == first)
    {
        return Ok(vec![*first; channels]);
    }
    let longer = constant.shape.iter().enumerate().filter(|(_, side)| **side > 1).map(|(at, _)| at + behind);
    if longer.collect::<Vec<_>>() != x.channel_dim().into_iter().collect::<Vec<_>>()
        || numbers.len() != channels
    {
        return Err("its constant is neither one number nor one per channel".to_owned());
    }
    Ok(numbers)
}
