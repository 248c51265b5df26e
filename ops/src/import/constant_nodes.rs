//! The nodes of ONNX that compute constants from constants: shapes, and weights behind a Reshape or Transpose.

use crate::import::constant::{Arithmetic, Constant, Numbers, axis, computed};
use crate::import::convert::Converter;
use crate::import::nodes::{BFLOAT16, DOUBLE, FLOAT, FLOAT16, flatten_axis, order, shape_slice, with_ones};
use crate::import::onnx_file::Node;
use crate::import::op_names::{is_known, unknown};

impl Converter<'_> {
    /// Computes a node whose inputs are all constant.
    pub(super) fn constant(node: &Node, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
        let has = |at: usize| inputs.get(at).is_some_and(Option::is_some);
        let input =
            |at: usize| inputs.get(at).copied().flatten().ok_or_else(|| "it lacks an input".to_owned());
        let ints = |name: &str, at: usize| match node.ints(name) {
            Some(ints) => Ok(ints.to_vec()),
            None => input(at)?.as_ints().map(<[i64]>::to_vec),
        };
        match node.op.as_str() {
            "Constant" => node.constant().ok_or_else(|| "its value is none that is read".to_owned()),
            "Identity" => input(0).cloned(),
            "Cast" => {
                Ok(input(0)?.cast(matches!(node.int("to", FLOAT), FLOAT | FLOAT16 | DOUBLE | BFLOAT16)))
            }
            "Reshape" => input(0)?.reshaped(&ints("shape", 1)?),
            "Flatten" => {
                let x = input(0)?;
                let at = flatten_axis(node, x.shape.len())?;
                let before = x.shape[..at].iter().product::<usize>() as i64;
                x.reshaped(&[before, -1])
            }
            "Squeeze" => {
                let x = input(0)?;
                let gone = if node.ints("axes").is_some() || has(1) { Some(ints("axes", 1)?) } else { None };
                let gone: Option<Vec<usize>> = gone
                    .map(|axes| axes.iter().map(|at| axis(*at, x.shape.len())).collect::<Result<_, _>>())
                    .transpose()?;
                let goes = |at: usize| gone.as_ref().map_or(x.shape[at] == 1, |gone| gone.contains(&at));
                let left: Vec<i64> =
                    (0..x.shape.len()).filter(|at| !goes(*at)).map(|at| x.shape[at] as i64).collect();
                x.reshaped(&left)
            }
            "Unsqueeze" => {
                let x = input(0)?;
                let shape: Vec<i64> =
                    with_ones(&x.shape, &ints("axes", 1)?)?.iter().map(|side| *side as i64).collect();
                x.reshaped(&shape)
            }
            "Transpose" => {
                let x = input(0)?;
                x.transposed(&order(node, x.shape.len())?)
            }
            "Concat" => {
                let rank = input(0)?.shape.len();
                Constant::concatenated(
                    &inputs.iter().copied().flatten().collect::<Vec<_>>(),
                    axis(node.int("axis", 0), rank)?,
                )
            }
            "Gather" => {
                let x = input(0)?;
                x.gathered(input(1)?, axis(node.int("axis", 0), x.shape.len())?)
            }
            "Slice" => {
                let x = input(0)?;
                let (starts, ends) = (ints("starts", 1)?, ints("ends", 2)?);
                let count = starts.len() as i64;
                let axes = if node.ints("axes").is_some() || has(3) {
                    ints("axes", 3)?
                } else {
                    (0..count).collect()
                };
                let steps = if has(4) { ints("steps", 4)? } else { vec![1; starts.len()] };
                if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
                    return Err("its starts, ends, axes and steps are not as many".to_owned());
                }
                let mut sliced = x.clone();
                for (((at, start), end), step) in axes.iter().zip(starts).zip(ends).zip(steps) {
                    sliced = sliced.sliced(axis(*at, x.shape.len())?, start, end, step)?;
                }
                Ok(sliced)
            }
            "Shape" => {
                let sides: Vec<i64> = input(0)?.shape.iter().map(|side| *side as i64).collect();
                Ok(shape_slice(node, &sides))
            }
            "ConstantOfShape" => filled(node, input(0)?),
            op => match Arithmetic::of(op) {
                Some(with) => input(0)?.combined(input(1)?, with),
                None if is_known(op) => Err(format!("op {op} is not computed for constants")),
                None => Err(unknown(op)),
            },
        }
    }
}

/// Returns a tensor of this shape with one number everywhere.
fn filled(node: &Node, shape: &Constant) -> Result<Constant, String> {
    let value = node.constant().unwrap_or(Constant {
        shape: vec![],
        name: String::new(),
        numbers: Numbers::Float(vec![0.0]),
    });
    let shape: Vec<usize> = shape
        .as_ints()?
        .iter()
        .map(|side| usize::try_from(*side).map_err(|_| "its shape has a negative side"))
        .collect::<Result<_, _>>()?;
    let count = computed(&shape)?;
    let numbers = match value.numbers {
        Numbers::Float(number) => Numbers::Float(vec![number.first().copied().unwrap_or(0.0); count]),
        Numbers::Int(number) => Numbers::Int(vec![number.first().copied().unwrap_or(0); count]),
    };
    Constant::new("", shape, numbers)
}
