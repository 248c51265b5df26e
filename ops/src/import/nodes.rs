//! The nodes of ONNX, each with the layer, layout or constant that it becomes.

use crate::import::activation::{Activation, Dim};
use crate::import::constant::{Constant, axis};
use crate::import::convert::{Converter, Ending, Value};
use crate::import::onnx_file::Node;
use crate::import::window::{Window, padding};
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;

impl Converter<'_> {
    /// Converts a node to the value of its first output. Errors with the reason if it cannot be converted. A node behind
    /// one that could not be converted gives an unknown value without an error.
    pub(super) fn node(&mut self, node: &Node) -> Result<Value, String> {
        let inputs: Vec<Option<Value>> =
            (0..node.inputs.len()).map(|at| self.input(node, at)).collect::<Result<_, _>>()?;
        if inputs.iter().flatten().any(|value| matches!(value, Value::Unknown)) {
            // Its own op is told all the same.
            return if is_known(&node.op) { Ok(Value::Unknown) } else { Err(unknown(&node.op)) };
        }
        let constants: Option<Vec<&Constant>> = inputs
            .iter()
            .flatten()
            .map(|value| if let Value::Constant(constant) = value { Some(constant) } else { None })
            .collect();
        if let Some(constants) = constants {
            return Self::constant(node, &constants).map(Value::Constant);
        }
        match (node.op.as_str(), &inputs[..]) {
            ("Identity" | "Dropout" | "Cast", [Some(value), ..]) => Ok(value.clone()),
            ("Conv", [Some(Value::Activation(x)), ..]) => self.conv(node, x, Padding::default(), &inputs),
            ("Conv", [Some(Value::Padded(x, padding)), ..]) => self.conv(node, x, *padding, &inputs),
            ("Mul", [Some(a), Some(b)]) if hard_swish(a, b).is_some() => {
                let x = hard_swish(a, b).ok_or("no input")?;
                self.layers.push(LayerOp::HardSwish, &[x], None).map(Value::Activation)
            }
            ("Sum" | "Add", [Some(Value::Activation(_)), Some(Value::Activation(_)), ..]) => {
                self.sum(&inputs)
            }
            ("Concat", _) => self.concat(node, &inputs),
            ("Add" | "Sub" | "Mul" | "Div", [Some(Value::Activation(x)), Some(Value::Constant(c))]) => {
                self.affine(node, x, c, false).map(Value::Activation)
            }
            ("Add" | "Sub" | "Mul" | "Div", [Some(Value::Constant(c)), Some(Value::Activation(x))]) => {
                self.affine(node, x, c, true).map(Value::Activation)
            }
            ("Softmax" | "LogSoftmax", [Some(Value::Activation(x))]) => self.softmax(node, x),
            (_, [Some(Value::Activation(x)), ..]) => self.one(node, x, &inputs),
            (op, values) if is_known(op) => {
                let special = |value: &&Value| !matches!(value, Value::Activation(_) | Value::Constant(_));
                Err(values
                    .iter()
                    .flatten()
                    .find(special)
                    .unwrap_or(&Value::Unknown)
                    .why_not(&format!("op {op}")))
            }
            (op, _) => Err(unknown(op)),
        }
    }

    /// Converts a node whose first input alone is no constant.
    fn one(&mut self, node: &Node, x: &Activation, inputs: &[Option<Value>]) -> Result<Value, String> {
        let constant = |at: usize| match inputs.get(at) {
            Some(Some(Value::Constant(constant))) => Ok(Some(constant)),
            None | Some(None) => Ok(None),
            Some(Some(_)) => Err("its parameters are not constant".to_owned()),
        };
        // Parameters that were attributes in older sets of operators.
        let ints = |name: &str, at: usize| -> Result<Option<Vec<i64>>, String> {
            match (node.ints(name), constant(at)?) {
                (Some(ints), _) => Ok(Some(ints.to_vec())),
                (None, Some(constant)) => constant.as_ints().map(|ints| Some(ints.to_vec())),
                (None, None) => Ok(None),
            }
        };
        let layer = |own: &mut Self, op| own.layers.push(op, &[x], None).map(Value::Activation);
        let rank = x.dims.len();
        match node.op.as_str() {
            "Relu" => layer(self, LayerOp::Relu),
            "Sigmoid" => layer(self, LayerOp::Sigmoid),
            "Tanh" => layer(self, LayerOp::Tanh),
            "HardSwish" => layer(self, LayerOp::HardSwish),
            "LeakyRelu" => match f64::from(node.float("alpha").unwrap_or(0.01)) {
                0.0 => layer(self, LayerOp::Relu),
                slope => layer(self, LayerOp::LeakyRelu { slope }),
            },
            "HardSigmoid" => {
                let (alpha, beta) = (node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5));
                if (alpha - 1.0 / 6.0).abs() > 1e-6 || beta != 0.5 {
                    return Err("HardSigmoid is read with alpha 1/6 and beta 1/2 alone".to_owned());
                }
                Ok(Value::HardSigmoid(x.clone()))
            }
            "Clip" => {
                let low = node
                    .float("min")
                    .map_or_else(|| constant(1)?.map(Constant::only).transpose(), |low| Ok(Some(low)))?;
                let high = node
                    .float("max")
                    .map_or_else(|| constant(2)?.map(Constant::only).transpose(), |high| Ok(Some(high)))?;
                match (low, high) {
                    (Some(0.0), Some(6.0)) => layer(self, LayerOp::Relu6),
                    (Some(0.0), None | Some(f32::MAX..)) => layer(self, LayerOp::Relu),
                    _ => Err("Clip is read from 0 to 6, or from 0 on".to_owned()),
                }
            }
            "MaxPool" | "AveragePool" => self.pool(node, x),
            "GlobalAveragePool" => {
                x.image()?;
                layer(self, LayerOp::GlobalAvgPool)
            }
            "ReduceMean" => self.reduce_mean(node, x, ints("axes", 1)?),
            "Gemm" => self.gemm(node, x, constant(1)?, constant(2)?),
            "MatMul" => self.mat_mul(x, constant(1)?),
            "BatchNormalization" => {
                self.batch_norm(node, x, [constant(1)?, constant(2)?, constant(3)?, constant(4)?])
            }
            "Flatten" => {
                let at = axis(node.int("axis", 1), rank + 1)?;
                if at != 1 {
                    return Err("Flatten is read with axis 1 alone".to_owned());
                }
                x.reshaped(&[0, -1]).map(Value::Activation)
            }
            "Reshape" => {
                let shape = ints("shape", 1)?.ok_or("it has no shape")?;
                x.reshaped(&shape).map(Value::Activation)
            }
            "Squeeze" => {
                let axes = ints("axes", 1)?;
                let axes: Option<Vec<usize>> = axes
                    .map(|axes| axes.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>())
                    .transpose()?;
                let goes = |at: usize| {
                    axes.as_ref().map_or(at > 0 && x.side(&x.dims[at]) == 1, |axes| axes.contains(&at))
                };
                let sides = x.sides();
                let left: Vec<usize> = (0..rank).filter(|at| !goes(*at)).map(|at| sides[at]).collect();
                x.with_sides(&left).map(Value::Activation)
            }
            "Unsqueeze" => {
                let axes = ints("axes", 1)?.ok_or("it has no axes")?;
                let sides = with_ones(&x.sides(), &axes)?;
                x.with_sides(&sides).map(Value::Activation)
            }
            "Transpose" => {
                let order = order(node, rank)?;
                Ok(Value::Activation(x.transposed(&order)))
            }
            "Pad" => padded(node, x, ints("pads", 1)?, constant(2)?),
            "Shape" => {
                let sides: Vec<i64> = x.sides().iter().map(|side| *side as i64).collect();
                Ok(Value::Constant(shape_slice(node, &sides)))
            }
            op if is_known(op) => Err(format!("op {op} cannot read these values")),
            op => Err(unknown(op)),
        }
    }

    fn sum(&mut self, inputs: &[Option<Value>]) -> Result<Value, String> {
        let all = activations(inputs)?;
        if !all.iter().all(|x| x.lies_like(all[0])) {
            return Err("its inputs have different shapes, or one of them is transposed".to_owned());
        }
        self.layers.push(LayerOp::Add, &all, None).map(Value::Activation)
    }

    fn concat(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, String> {
        let all = activations(inputs)?;
        let first = all[0];
        let at = axis(node.int("axis", 1), first.dims.len())?;
        if let [only] = all[..] {
            return Ok(Value::Activation(only.clone()));
        }
        let joins = |x: &&Activation| {
            x.dims.len() == first.dims.len() && x.channel_dim() == Some(at) && x.dims == first.dims
        };
        if !all.iter().all(joins) {
            return Err("Concat is read along the channels, or along the numbers of rows".to_owned());
        }
        self.layers.push(LayerOp::Concat, &all, None).map(Value::Activation)
    }

    fn pool(&mut self, node: &Node, x: &Activation) -> Result<Value, String> {
        let [_, height, width] = x.image()?;
        if node.outputs.iter().filter(|name| !name.is_empty()).count() > 1 {
            return Err("the positions of the largest numbers are not computed".to_owned());
        }
        let Window { size, stride, dilation, padding, beyond } =
            Window::of(node, x.dims.len(), [height, width], None)?;
        if dilation != HeightWidth::square(1) {
            return Err("pools are read without dilation alone".to_owned());
        }
        let op = if node.op == "MaxPool" {
            LayerOp::MaxPool { size, stride, padding }
        } else {
            let count_padding = node.int("count_include_pad", 0) != 0 && !padding.is_none();
            if count_padding && beyond {
                return Err("ceil_mode is not read together with count_include_pad".to_owned());
            }
            LayerOp::AvgPool { size, stride, padding, count_padding }
        };
        self.layers.push(op, &[x], None).map(Value::Activation)
    }

    fn reduce_mean(&mut self, node: &Node, x: &Activation, axes: Option<Vec<i64>>) -> Result<Value, String> {
        const OTHER: &str = "ReduceMean is read over height and width alone";
        let rank = x.dims.len();
        let axes: Vec<usize> =
            axes.ok_or(OTHER)?.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>()?;
        let is_space = |at: usize| matches!(x.dims[at], Dim::Height | Dim::Width);
        let is_one = |at: usize| x.side(&x.dims[at]) == 1;
        if !axes.iter().all(|at| is_space(*at) || is_one(*at))
            || (0..rank).any(|at| is_space(at) && !is_one(at) && !axes.contains(&at))
        {
            return Err(OTHER.to_owned());
        }
        let pooled = self.layers.push(LayerOp::GlobalAvgPool, &[x], None)?;
        let keeps = node.int("keepdims", 1) != 0;
        let dims = pooled.dims.iter().enumerate();
        let dims = dims.filter(|(at, _)| keeps || !axes.contains(at)).map(|(_, dim)| dim.clone()).collect();
        Ok(Value::Activation(Activation { dims, ..pooled }))
    }

    fn softmax(&mut self, node: &Node, x: &Activation) -> Result<Value, String> {
        // Before version 13 the default was 1, and all axes behind it counted as one.
        let default = if self.opset() < 13 { 1 } else { -1 };
        let at = axis(node.int("axis", default), x.dims.len())?;
        if x.side(&x.dims[at]) != x.shape.len() {
            return Err("a softmax is read over the logits alone".to_owned());
        }
        let ending = if node.op == "Softmax" { Ending::Softmax } else { Ending::LogSoftmax };
        Ok(Value::Ended(x.clone(), ending))
    }
}

/// Converts a Pad node to a value with zeros around it.
fn padded(
    node: &Node,
    x: &Activation,
    pads: Option<Vec<i64>>,
    value: Option<&Constant>,
) -> Result<Value, String> {
    let pads = pads.ok_or("it has no pads")?;
    if pads.iter().all(|pixels| *pixels == 0) {
        return Ok(Value::Activation(x.clone()));
    }
    let value = value.map_or(Ok(node.float("value").unwrap_or(0.0)), Constant::only)?;
    if node.text("mode").unwrap_or("constant") != "constant" || value != 0.0 {
        return Err("Pad is read with zeros alone".to_owned());
    }
    x.image()?;
    let rank = x.dims.len();
    if pads.len() != 2 * rank || [0, 1, rank, rank + 1].iter().any(|at| pads[*at] != 0) {
        return Err("Pad is read along height and width alone".to_owned());
    }
    let space = [&pads[2..rank], &pads[rank + 2..]].concat();
    Ok(Value::Padded(x.clone(), padding(&space, rank)?))
}

/// Returns the value whose `HardSigmoid` is the other one.
fn hard_swish<'v>(a: &'v Value, b: &'v Value) -> Option<&'v Activation> {
    match (a, b) {
        (Value::Activation(x), Value::HardSigmoid(of)) | (Value::HardSigmoid(of), Value::Activation(x)) => {
            (x.source == of.source && x.lies_like(of)).then_some(x)
        }
        _ => None,
    }
}

/// Returns values that must all be activations.
fn activations(inputs: &[Option<Value>]) -> Result<Vec<&Activation>, String> {
    let of = |value: &'_ Option<Value>| match value {
        Some(Value::Activation(_)) => Ok(()),
        _ => Err("it joins values of different kinds".to_owned()),
    };
    inputs.iter().try_for_each(of)?;
    let all: Vec<&Activation> = inputs
        .iter()
        .filter_map(|value| if let Some(Value::Activation(x)) = value { Some(x) } else { None })
        .collect();
    if all.is_empty() { Err("it has no input".to_owned()) } else { Ok(all) }
}

/// Returns sides with 1 put in at some places of the result.
pub(super) fn with_ones(sides: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = sides.len() + axes.len();
    let ones: Vec<usize> = axes.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>()?;
    let mut own = sides.iter();
    let with: Vec<usize> =
        (0..rank).map(|at| if ones.contains(&at) { 1 } else { own.next().copied().unwrap_or(1) }).collect();
    Ok(with)
}

/// Returns the order of dimensions that Transpose asks for.
pub(super) fn order(node: &Node, rank: usize) -> Result<Vec<usize>, String> {
    let Some(given) = node.ints("perm") else { return Ok((0..rank).rev().collect()) };
    let order: Vec<usize> = given.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted == (0..rank).collect::<Vec<_>>() {
        Ok(order)
    } else {
        Err(format!("its perm {given:?} does not fit"))
    }
}

/// Returns the sides that Shape gives, from `start` to before `end`.
pub(super) fn shape_slice(node: &Node, sides: &[i64]) -> Constant {
    let rank = sides.len() as i64;
    let clamp = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let (start, end) = (clamp(node.int("start", 0)), clamp(node.int("end", i64::MAX)));
    Constant::ints(sides[start.min(end)..end].to_vec())
}

pub(super) fn unknown(op: &str) -> String {
    format!("op {op} is not supported")
}

/// The ops that are read, some of them only in part.
pub(super) const OPS: [&str; 37] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Returns whether an op is one of [`OPS`].
pub(super) fn is_known(op: &str) -> bool {
    OPS.contains(&op)
}
