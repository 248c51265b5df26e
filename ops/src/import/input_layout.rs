//! The layout of an ONNX graph's input. The file gives the sides of the input; the nodes behind it show which side counts the
//! channels.

use std::collections::BTreeMap;

use crate::import::constant::{self, Constant};
use crate::import::layer_value::{Dim, LayerValue};
use crate::import::nodes::with_ones;
use crate::import::onnx_file::{Node, OnnxGraph};
use crate::network::shape::{ActivationShape, bounded};
use crate::network::wiring::Source;

/// The order of the sides behind the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputLayout {
    /// Channels, then height and width or one of both.
    ChannelsFirst,
    /// Channels at the end.
    ChannelsLast,
    /// Height and width; the only channel has no side.
    OneChannel,
}

/// The most numbers of a constant that is a shape or axes.
const MOST_SIDES: usize = 8;

/// The dimensions of a value behind the batch: each is a side of the input, or has the side 1.
type Sides = Vec<Option<usize>>;

impl InputLayout {
    /// Returns the layout of an input with these sides behind the batch: the one that every reader asks for, behind operations
    /// on each number by itself and behind nodes that move sides. With a single channel, exporters reshape instead of transposing.
    pub(crate) fn of(graph: &OnnxGraph, wanted: &[usize], input: &str, sides: &[usize]) -> Self {
        const EACH: [&str; 9] = ["Add", "Cast", "Clip", "Div", "Dropout", "Identity", "Mul", "Relu", "Sub"];
        let mut reached: BTreeMap<&str, Sides> =
            BTreeMap::from([(input, (0..sides.len()).map(Some).collect())]);
        let mut found = None;
        for node in wanted.iter().map(|at| &graph.nodes[*at]) {
            let Some(from) = node.inputs.iter().find_map(|name| reached.get(name.as_str())) else { continue };
            // The shape of a batch says nothing of its layout.
            if node.op == "Shape" {
                continue;
            }
            let is_each = EACH.contains(&node.op.as_str());
            match if is_each { Some(from.clone()) } else { moved(graph, node, from, sides) } {
                Some(to) => {
                    reached.extend(node.outputs.first().map(|output| (output.as_str(), to)));
                }
                None => {
                    let layout = Self::wanted(from, sides);
                    if found.is_some_and(|found| found != layout) {
                        return Self::ChannelsFirst;
                    }
                    found = Some(layout);
                }
            }
        }
        found.unwrap_or(Self::ChannelsFirst)
    }

    /// Returns the layout of an input of which a node reads these sides as channels, height and width.
    fn wanted(read: &[Option<usize>], sides: &[usize]) -> Self {
        let (Some(last), Some((channel, rest))) = (sides.len().checked_sub(1), read.split_first()) else {
            return Self::ChannelsFirst;
        };
        let rest: Vec<usize> = rest.iter().copied().flatten().collect();
        match channel {
            Some(at) if *at == last && last > 0 => Self::ChannelsLast,
            None if sides[last] == 1 && rest.iter().copied().eq(0..last) => Self::ChannelsLast,
            None if last == 1 && rest == [0, 1] => Self::OneChannel,
            _ => Self::ChannelsFirst,
        }
    }

    /// Returns the value of the images. Errors if the number of sides is not that of images or rows.
    pub(crate) fn images(
        self,
        name: &str,
        batch: Option<usize>,
        sides: &[usize],
    ) -> Result<LayerValue, String> {
        use Dim::{Batch, Channel, Height, Width};
        let (shape, dims) = match (sides, self) {
            (&[channels, height, width], Self::ChannelsFirst | Self::OneChannel) => {
                ([channels, height, width], vec![Batch, Channel, Height, Width])
            }
            (&[height, width, channels], Self::ChannelsLast) => {
                ([channels, height, width], vec![Batch, Height, Width, Channel])
            }
            (&[channels, width], Self::ChannelsFirst) => ([channels, 1, width], vec![Batch, Channel, Width]),
            (&[width, channels], Self::ChannelsLast) => ([channels, 1, width], vec![Batch, Width, Channel]),
            (&[height, width], Self::OneChannel) => ([1, height, width], vec![Batch, Height, Width]),
            (&[numbers], _) => ([numbers, 1, 1], vec![Batch, Channel]),
            (sides, _) => {
                return Err(format!(
                    "input {name:?} has {} dimensions; 2 to 4 are expected",
                    sides.len() + 1
                ));
            }
        };
        let shape = ActivationShape::Image(shape);
        bounded(shape)?;
        Ok(LayerValue { source: Source::Images, shape, dims, batch: batch.unwrap_or(1), shared: false })
    }
}

/// Returns the sides of the output of a node that moves sides, or adds or removes sides of 1.
fn moved(graph: &OnnxGraph, node: &Node, from: &[Option<usize>], sides: &[usize]) -> Option<Sides> {
    let ints = |name: &str| {
        let own = node.ints(name).map(<[i64]>::to_vec);
        own.or_else(|| shape_constant(graph, node.inputs.get(1)?))
    };
    let side = |at: &Option<usize>| at.map_or(1, |at| sides[at]);
    let all: Vec<usize> = [1].into_iter().chain(from.iter().map(side)).collect();
    let to: Vec<usize> = match node.op.as_str() {
        "Transpose" => {
            let [0, order @ ..] = node.ints("perm")? else { return None };
            let place = |at: &i64| from.get(usize::try_from(*at).ok()?.checked_sub(1)?).copied();
            return order.iter().map(place).collect();
        }
        "Reshape" => {
            let [_, rest @ ..] = &ints("shape")?[..] else { return None };
            let of_one_image: Vec<i64> = [1].iter().chain(rest).copied().collect();
            constant::reshaped(&all, &of_one_image).ok()?
        }
        "Unsqueeze" => with_ones(&all, &ints("axes")?).ok()?,
        "Squeeze" => {
            let axes = ints("axes")?;
            let axes: Vec<usize> =
                axes.iter().map(|at| constant::axis(*at, all.len())).collect::<Result<_, _>>().ok()?;
            let stays = |at: &usize| !axes.contains(at);
            (0..all.len()).filter(stays).map(|at| all[at]).collect()
        }
        _ => return None,
    };
    let mut longer = from.iter().filter(|at| side(at) > 1);
    let to: Option<Sides> = to
        .get(1..)?
        .iter()
        .map(|wanted| match wanted {
            1 => Some(None),
            wanted => longer.next().filter(|at| side(at) == *wanted).copied(),
        })
        .collect();
    to.filter(|_| longer.next().is_none())
}

/// Returns a constant of whole numbers that is a shape or axes: of the graph, of a node, or joined behind the batch as
/// `x.view(x.size(0), 1, 28, 28)` does. The batch counts as 1.
fn shape_constant(graph: &OnnxGraph, name: &str) -> Option<Vec<i64>> {
    if let Some(part) = shape_part(graph, name) {
        return Some(part);
    }
    let node = node_of(graph, name)?;
    match (node.op.as_str(), &node.inputs[..]) {
        ("Concat", [_, rest @ ..]) if rest.len() < MOST_SIDES => {
            // Parts are no joints themselves: a joint of joints could double its length with each node.
            let rest: Vec<Vec<i64>> =
                rest.iter().map(|name| shape_part(graph, name)).collect::<Option<_>>()?;
            Some([1].into_iter().chain(rest.concat()).collect())
        }
        _ => None,
    }
}

/// Returns a constant of few whole numbers: of the graph, of a node, or one number as a list.
fn shape_part(graph: &OnnxGraph, name: &str) -> Option<Vec<i64>> {
    let short = |constant: &Constant| {
        (constant.numbers.len() <= MOST_SIDES).then(|| constant.as_ints().ok().map(<[i64]>::to_vec))?
    };
    if let Some(constant) = graph.constants.get(name) {
        return short(constant);
    }
    let node = node_of(graph, name)?;
    match (node.op.as_str(), &node.inputs[..]) {
        ("Constant", _) => short(&node.constant()?),
        ("Unsqueeze" | "Cast", [from, ..]) => {
            let number = match graph.constants.get(from) {
                Some(constant) => short(constant)?,
                None => short(&node_of(graph, from).filter(|node| node.op == "Constant")?.constant()?)?,
            };
            (number.len() == 1).then_some(number)
        }
        _ => None,
    }
}

fn node_of<'g>(graph: &'g OnnxGraph, output: &str) -> Option<&'g Node> {
    graph.nodes.iter().find(|node| node.outputs.first().is_some_and(|first| first == output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_what_a_convolution_reads() {
        let wanted = |read: &[Option<usize>], sides: &[usize]| InputLayout::wanted(read, sides);
        assert_eq!(wanted(&[Some(0), Some(1), Some(2)], &[3, 9, 8]), InputLayout::ChannelsFirst);
        assert_eq!(wanted(&[Some(2), Some(0), Some(1)], &[9, 8, 3]), InputLayout::ChannelsLast);
        assert_eq!(wanted(&[None, Some(0), Some(1)], &[9, 8, 1]), InputLayout::ChannelsLast);
        assert_eq!(wanted(&[None, Some(0), Some(1)], &[9, 8]), InputLayout::OneChannel);
        assert_eq!(wanted(&[Some(1), None, Some(0)], &[16, 3]), InputLayout::ChannelsLast);
        assert_eq!(wanted(&[Some(0), Some(1)], &[3, 16]), InputLayout::ChannelsFirst);
        assert_eq!(wanted(&[], &[]), InputLayout::ChannelsFirst);
        assert_eq!(wanted(&[Some(0)], &[4]), InputLayout::ChannelsFirst);
    }
}
