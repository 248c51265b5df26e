//! The nodes of ONNX, each with the layer, layout or constant that it becomes.

use crate::import::constant::{self, Constant, axis};
use crate::import::convert::{Converter, FinalOp, OnnxValue};
use crate::import::layer_value::{Dim, LayerValue};
use crate::import::node_window::{NodeWindow, padding};
use crate::import::onnx_file::Node;
use crate::import::op_names::{is_known, unknown};
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;

/// Types of numbers as ONNX counts them.
pub(super) const FLOAT: i64 = 1;
pub(super) const FLOAT16: i64 = 10;
pub(super) const DOUBLE: i64 = 11;
pub(super) const BFLOAT16: i64 = 16;

impl Converter<'_> {
    /// Converts a node to the value of its first output. Errors with the reason if it cannot be converted. A node behind
    /// one that could not be converted gives an unknown value without an error.
    pub(super) fn node(&mut self, node: &Node) -> Result<OnnxValue, String> {
        let inputs: Vec<Option<OnnxValue>> =
            (0..node.inputs.len()).map(|at| self.input(node, at)).collect::<Result<_, _>>()?;
        if inputs.iter().flatten().any(|value| matches!(value, OnnxValue::Unknown)) {
            // Its own op is told all the same.
            return if is_known(&node.op) { Ok(OnnxValue::Unknown) } else { Err(unknown(&node.op)) };
        }
        let constants: Option<Vec<Option<&Constant>>> = inputs
            .iter()
            .map(|value| match value {
                None => Some(None),
                Some(OnnxValue::Constant(constant)) => Some(Some(constant)),
                Some(_) => None,
            })
            .collect();
        if let Some(constants) = constants {
            let made = Self::constant(node, &constants)?;
            self.spend(made.numbers.len())?;
            return Ok(OnnxValue::Constant(made));
        }
        match (node.op.as_str(), &inputs[..]) {
            ("Identity", [Some(value), ..]) => Ok(value.clone()),
            ("Cast", [Some(value), ..]) => match node.int("to", FLOAT) {
                FLOAT | FLOAT16 | DOUBLE | BFLOAT16 => Ok(value.clone()),
                _ => Err("it makes whole numbers of its input".to_owned()),
            },
            ("Dropout", [Some(value), rest @ ..]) => {
                let trains = |value: &Option<OnnxValue>| matches!(value, Some(OnnxValue::Constant(c)) if c.only().is_ok_and(|flag| flag != 0.0));
                if rest.get(1).is_some_and(trains) || self.opset() < 7 && node.int("is_test", 0) == 0 {
                    return Err("it is in training mode; export the network after network.eval()".to_owned());
                }
                Ok(value.clone())
            }
            ("AveragePool", [Some(OnnxValue::Padded(x, padding)), ..]) => self.pool(node, x, *padding),
            ("Conv", [Some(OnnxValue::Layer(x)), ..]) => self.conv(node, x, Padding::default(), &inputs),
            ("Conv", [Some(OnnxValue::Padded(x, padding)), ..]) => self.conv(node, x, *padding, &inputs),
            ("Mul", [Some(a), Some(b)]) if hard_swish(a, b).is_some() => {
                let x = hard_swish(a, b).ok_or("no input")?;
                self.layers.push(LayerOp::HardSwish, &[x], None).map(OnnxValue::Layer)
            }
            ("Sum" | "Add", [Some(OnnxValue::Layer(_)), Some(OnnxValue::Layer(_)), ..]) => self.sum(&inputs),
            ("Concat", _) => self.concat(node, &inputs),
            ("Add" | "Sub" | "Mul" | "Div", [Some(OnnxValue::Layer(x)), Some(OnnxValue::Constant(c))]) => {
                self.affine(node, x, c, false).map(OnnxValue::Layer)
            }
            ("Add" | "Sub" | "Mul" | "Div", [Some(OnnxValue::Constant(c)), Some(OnnxValue::Layer(x))]) => {
                self.affine(node, x, c, true).map(OnnxValue::Layer)
            }
            ("Mul", [Some(OnnxValue::Layer(_)), Some(OnnxValue::Layer(_))]) => {
                Err("a product of two activations, as in SiLU, is supported only as x times HardSigmoid(x)"
                    .to_owned())
            }
            ("Softmax" | "LogSoftmax", [Some(OnnxValue::Layer(x))]) => self.softmax(node, x),
            (_, [Some(OnnxValue::Layer(x)), ..]) => self.one(node, x, &inputs),
            (op, values) if is_known(op) => {
                let special =
                    |value: &&OnnxValue| !matches!(value, OnnxValue::Layer(_) | OnnxValue::Constant(_));
                Err(values
                    .iter()
                    .flatten()
                    .find(special)
                    .unwrap_or(&OnnxValue::Unknown)
                    .why_not(&format!("op {op}")))
            }
            (op, _) => Err(unknown(op)),
        }
    }

    /// Converts a node whose first input alone is no constant.
    fn one(
        &mut self,
        node: &Node,
        x: &LayerValue,
        inputs: &[Option<OnnxValue>],
    ) -> Result<OnnxValue, String> {
        let constant = |at: usize| match inputs.get(at) {
            Some(Some(OnnxValue::Constant(constant))) => Ok(Some(constant)),
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
        let layer = |own: &mut Self, op| own.layers.push(op, &[x], None).map(OnnxValue::Layer);
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
                    return Err("HardSigmoid is supported only with alpha 1/6 and beta 1/2".to_owned());
                }
                Ok(OnnxValue::HardSigmoid(x.clone()))
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
                    _ => Err("Clip is supported only from 0 to 6 and from 0 on".to_owned()),
                }
            }
            "MaxPool" | "AveragePool" => self.pool(node, x, Padding::default()),
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
                if flatten_axis(node, rank)? != 1 {
                    return Err("Flatten is supported only with axis 1".to_owned());
                }
                x.reshaped(&[0, -1]).map(OnnxValue::Layer)
            }
            "Reshape" => {
                let shape = ints("shape", 1)?.ok_or("it has no shape")?;
                if node.int("allowzero", 0) != 0 && shape.contains(&0) {
                    return Err("its output is empty".to_owned());
                }
                x.reshaped(&shape).map(OnnxValue::Layer)
            }
            "Squeeze" => {
                let axes = ints("axes", 1)?;
                let axes: Option<Vec<usize>> = axes
                    .map(|axes| axes.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>())
                    .transpose()?;
                let goes = |at: usize| {
                    axes.as_ref().map_or(at > 0 && x.side(&x.dims[at]) == 1, |axes| axes.contains(&at))
                };
                if axes.as_ref().is_some_and(|axes| axes.iter().any(|at| x.dims[*at] == Dim::Batch)) {
                    return Err("it removes the dimension of the batch".to_owned());
                }
                let sides = x.sides();
                let left: Vec<usize> = (0..rank).filter(|at| !goes(*at)).map(|at| sides[at]).collect();
                x.with_sides(&left).map(OnnxValue::Layer)
            }
            "Unsqueeze" => {
                let axes = ints("axes", 1)?.ok_or("it has no axes")?;
                let sides = with_ones(&x.sides(), &axes)?;
                x.with_sides(&sides).map(OnnxValue::Layer)
            }
            "Transpose" => {
                let order = order(node, rank)?;
                Ok(OnnxValue::Layer(x.transposed(&order)))
            }
            "Pad" => padded(node, x, ints("pads", 1)?, constant(2)?),
            "Shape" => {
                let sides: Vec<i64> = x.sides().iter().map(|side| *side as i64).collect();
                Ok(OnnxValue::Constant(shape_slice(node, &sides)))
            }
            op if is_known(op) => Err(format!("op {op} cannot read these values")),
            op => Err(unknown(op)),
        }
    }

    fn sum(&mut self, inputs: &[Option<OnnxValue>]) -> Result<OnnxValue, String> {
        let all = activations(inputs)?;
        if !all.iter().all(|x| x.lies_like(all[0])) {
            return Err("its inputs have different shapes, or one of them is transposed".to_owned());
        }
        self.layers.push(LayerOp::Add, &all, None).map(OnnxValue::Layer)
    }

    fn concat(&mut self, node: &Node, inputs: &[Option<OnnxValue>]) -> Result<OnnxValue, String> {
        let all = activations(inputs)?;
        let first = all[0];
        let at = axis(node.int("axis", 1), first.dims.len())?;
        if let [only] = all[..] {
            return Ok(OnnxValue::Layer(only.clone()));
        }
        let joins = |x: &&LayerValue| {
            x.dims.len() == first.dims.len() && x.channel_dim() == Some(at) && x.dims == first.dims
        };
        if !all.iter().all(joins) {
            return Err(
                "Concat is supported only along the channels, or along the numbers of rows".to_owned()
            );
        }
        self.layers.push(LayerOp::Concat, &all, None).map(OnnxValue::Layer)
    }

    /// Converts a pool. `extra` has the zeros that a Pad node put around its input; an average counts them.
    fn pool(&mut self, node: &Node, x: &LayerValue, extra: Padding) -> Result<OnnxValue, String> {
        let [_, height, width] = x.image()?;
        if node.outputs.iter().filter(|name| !name.is_empty()).count() > 1 {
            return Err("the positions of the largest numbers are not computed".to_owned());
        }
        let NodeWindow { size, stride, dilation, padding, beyond } =
            NodeWindow::of(node, x.dims.len(), [height, width], None)?;
        if dilation != HeightWidth::square(1) {
            return Err("pools are supported only without dilation".to_owned());
        }
        let is_padded = !extra.is_none();
        if is_padded && (!padding.is_none() || node.int("ceil_mode", 0) != 0) {
            return Err("a pool with padding of its own is not supported behind Pad".to_owned());
        }
        let counts = node.int("count_include_pad", 0) != 0 && !padding.is_none();
        if counts && beyond != [0; 2] {
            return Err("ceil_mode is not supported together with count_include_pad".to_owned());
        }
        let padding = if is_padded { extra } else { padding };
        let padding =
            Padding { bottom: padding.bottom + beyond[0], right: padding.right + beyond[1], ..padding };
        let op = if node.op == "MaxPool" {
            LayerOp::MaxPool { size, stride, padding }
        } else {
            LayerOp::AvgPool { size, stride, padding, count_padding: counts || is_padded }
        };
        self.layers.push(op, &[x], None).map(OnnxValue::Layer)
    }

    fn reduce_mean(
        &mut self,
        node: &Node,
        x: &LayerValue,
        axes: Option<Vec<i64>>,
    ) -> Result<OnnxValue, String> {
        const OTHER: &str = "ReduceMean is supported only over height and width";
        let rank = x.dims.len();
        let axes: Vec<usize> =
            axes.ok_or(OTHER)?.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>()?;
        let is_space = |at: usize| matches!(x.dims[at], Dim::Height | Dim::Width);
        let is_one = |at: usize| x.dims[at] != Dim::Batch && x.side(&x.dims[at]) == 1;
        if !axes.iter().all(|at| is_space(*at) || is_one(*at))
            || (0..rank).any(|at| is_space(at) && !is_one(at) && !axes.contains(&at))
        {
            return Err(OTHER.to_owned());
        }
        let pooled = self.layers.push(LayerOp::GlobalAvgPool, &[x], None)?;
        let keeps = node.int("keepdims", 1) != 0;
        let dims = pooled.dims.iter().enumerate();
        let dims = dims.filter(|(at, _)| keeps || !axes.contains(at)).map(|(_, dim)| dim.clone()).collect();
        Ok(OnnxValue::Layer(LayerValue { dims, ..pooled }))
    }

    fn softmax(&mut self, node: &Node, x: &LayerValue) -> Result<OnnxValue, String> {
        // Before version 13 the default was 1, and all axes behind it counted as one.
        let default = if self.opset() < 13 { 1 } else { -1 };
        let at = axis(node.int("axis", default), x.dims.len())?;
        if x.side(&x.dims[at]) != x.shape.len() {
            return Err("a softmax is supported only over the logits".to_owned());
        }
        let ending = if node.op == "Softmax" { FinalOp::Softmax } else { FinalOp::LogSoftmax };
        Ok(OnnxValue::Ended(x.clone(), ending))
    }
}

/// Converts a Pad node to a value with zeros around it.
fn padded(
    node: &Node,
    x: &LayerValue,
    pads: Option<Vec<i64>>,
    value: Option<&Constant>,
) -> Result<OnnxValue, String> {
    let pads = pads.ok_or("it has no pads")?;
    if pads.iter().all(|pixels| *pixels == 0) {
        return Ok(OnnxValue::Layer(x.clone()));
    }
    let value = value.map_or(Ok(node.float("value").unwrap_or(0.0)), Constant::only)?;
    if node.inputs.len() > 3 {
        return Err("Pad is supported only without axes".to_owned());
    }
    if node.text("mode").unwrap_or("constant") != "constant" || value != 0.0 {
        return Err("Pad is supported only with zeros".to_owned());
    }
    x.image()?;
    let rank = x.dims.len();
    if pads.len() != 2 * rank || [0, 1, rank, rank + 1].iter().any(|at| pads[*at] != 0) {
        return Err("Pad is supported only along height and width".to_owned());
    }
    let space = [&pads[2..rank], &pads[rank + 2..]].concat();
    Ok(OnnxValue::Padded(x.clone(), padding(&space, rank)?))
}

/// Returns the value whose `HardSigmoid` is the other one.
fn hard_swish<'v>(a: &'v OnnxValue, b: &'v OnnxValue) -> Option<&'v LayerValue> {
    match (a, b) {
        (OnnxValue::Layer(x), OnnxValue::HardSigmoid(of))
        | (OnnxValue::HardSigmoid(of), OnnxValue::Layer(x)) => {
            (x.source == of.source && x.lies_like(of)).then_some(x)
        }
        _ => None,
    }
}

/// Returns values that must all be activations.
fn activations(inputs: &[Option<OnnxValue>]) -> Result<Vec<&LayerValue>, String> {
    let of = |value: &'_ Option<OnnxValue>| match value {
        Some(OnnxValue::Layer(_)) => Ok(()),
        _ => Err("it joins values of different kinds".to_owned()),
    };
    inputs.iter().try_for_each(of)?;
    let all: Vec<&LayerValue> = inputs
        .iter()
        .filter_map(|value| if let Some(OnnxValue::Layer(x)) = value { Some(x) } else { None })
        .collect();
    if all.is_empty() { Err("it has no input".to_owned()) } else { Ok(all) }
}

/// Returns sides with 1 put in at some places of the result.
pub(super) fn with_ones(sides: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = sides.len() + axes.len();
    constant::rank(rank)?;
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

/// Returns the number of dimensions in front of the axis of Flatten, from 0 to all.
pub(super) fn flatten_axis(node: &Node, rank: usize) -> Result<usize, String> {
    match node.int("axis", 1) {
        at if at == rank as i64 => Ok(rank),
        at => axis(at, rank),
    }
}

/// Returns the sides that Shape gives, from `start` to before `end`.
pub(super) fn shape_slice(node: &Node, sides: &[i64]) -> Constant {
    let rank = sides.len() as i64;
    let clamp = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let (start, end) = (clamp(node.int("start", 0)), clamp(node.int("end", i64::MAX)));
    Constant::ints(sides[start.min(end)..end].to_vec())
}
