//! A value of a network during the conversion of an ONNX graph: which layer gives it, and how ONNX lays it out. Knows
//! nothing of nodes.
//!
//! Transposing, flattening and reshaping change the layout alone, so they give no layer: a convolution looks for
//! channels, height and width in the layout, and a product for the order of the numbers in a row.

use crate::import::constant;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;

/// What a dimension of an ONNX tensor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    Batch,
    Channel,
    Height,
    Width,
    /// The numbers of a row, or those of an image in the order of these dimensions.
    Row(Vec<Dim>),
    /// Nothing: the side is 1.
    One,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerValue {
    pub source: Source,
    pub shape: ActivationShape,
    pub dims: Vec<Dim>,
    /// The images of a batch, 1 if the graph takes any number.
    pub batch: usize,
    /// Whether several nodes read the value.
    pub shared: bool,
}

impl LayerValue {
    /// Returns the side of a dimension.
    pub(crate) fn side(&self, dim: &Dim) -> usize {
        match (dim, self.shape) {
            (Dim::Batch, _) => self.batch,
            (Dim::Row(order), ActivationShape::Image(_)) => order.iter().map(|dim| self.side(dim)).product(),
            (Dim::Row(_), ActivationShape::Row(n)) => n,
            (Dim::Channel, ActivationShape::Image([channels, ..])) => channels,
            (Dim::Height, ActivationShape::Image([_, height, _])) => height,
            (Dim::Width, ActivationShape::Image([.., width])) => width,
            (Dim::One, _) | (Dim::Channel | Dim::Height | Dim::Width, ActivationShape::Row(_)) => 1,
        }
    }

    /// Returns the shape of the ONNX tensor.
    pub(crate) fn sides(&self) -> Vec<usize> {
        self.dims.iter().map(|dim| self.side(dim)).collect()
    }

    /// Returns the same value with its dimensions in another order.
    pub(crate) fn transposed(&self, order: &[usize]) -> Self {
        Self { dims: order.iter().map(|at| self.dims[*at].clone()).collect(), ..self.clone() }
    }

    /// Returns the same value in another shape. Errors if this mixes images, or is neither a row nor the same sides.
    pub(crate) fn reshaped(&self, to: &[i64]) -> Result<Self, String> {
        let sides = constant::reshaped(&self.sides(), to)?;
        self.with_sides(&sides)
    }

    /// Returns the same value with these sides.
    pub(crate) fn with_sides(&self, sides: &[usize]) -> Result<Self, String> {
        let [first, rest @ ..] = sides else { return Err("its output is a single number".to_owned()) };
        if *first != self.batch || self.dims.first() != Some(&Dim::Batch) {
            return Err("it mixes the numbers of different images".to_owned());
        }
        let dims = self.dims[1..].iter().flat_map(|dim| match dim {
            Dim::Row(order) => order.clone(),
            other => vec![other.clone()],
        });
        let mut own: Vec<Dim> = dims.filter(|dim| self.side(dim) > 1).collect();
        if let ActivationShape::Row(n) = self.shape {
            own = if n > 1 { vec![Dim::Row(vec![])] } else { vec![] };
        }
        let longer: Vec<usize> = rest.iter().copied().filter(|side| *side > 1).collect();
        let of = |wanted: &[Dim]| wanted.iter().map(|dim| self.side(dim)).collect::<Vec<usize>>();
        let mut dims = vec![Dim::Batch];
        if longer == of(&own) {
            let mut left = own.into_iter();
            dims.extend(
                rest.iter().map(|side| if *side > 1 { left.next().unwrap_or(Dim::One) } else { Dim::One }),
            );
        } else if longer.len() == 1 {
            let mut left = Some(Dim::Row(own));
            dims.extend(
                rest.iter().map(|side| if *side > 1 { left.take().unwrap_or(Dim::One) } else { Dim::One }),
            );
        } else {
            return Err(format!(
                "it makes {:?} of {:?}, which is neither a row nor the same",
                sides,
                self.sides()
            ));
        }
        Ok(Self { dims, ..self.clone() })
    }

    /// Returns channels, height and width, if the dimensions lie as convolutions and pools take them: batch, channels,
    /// then height and width, or one of both.
    pub(crate) fn image(&self) -> Result<[usize; 3], String> {
        let ActivationShape::Image(sides) = self.shape else {
            return Err(format!("its input is {}, not images", self.shape));
        };
        if !matches!(self.dims.len(), 3 | 4) {
            return Err(format!("its input has {} dimensions, not 3 or 4", self.dims.len()));
        }
        self.image_dims().map(|_| sides).ok_or_else(|| "its input is transposed".to_owned())
    }

    /// Returns the dimensions of an image, if the dimensions are these or differ where the side is 1.
    pub(crate) fn image_dims(&self) -> Option<&'static [Dim]> {
        let image: &[Dim] = match self.dims.len() {
            4 => &[Dim::Batch, Dim::Channel, Dim::Height, Dim::Width],
            3 => &[Dim::Batch, Dim::Channel, Dim::Width],
            _ => return None,
        };
        let stands = |(found, wanted): (&Dim, &Dim)| {
            found == wanted || self.side(found) == 1 && self.side(wanted) == 1
        };
        let is_image = matches!(self.shape, ActivationShape::Image(_));
        (is_image && self.dims.iter().zip(image).all(stands)).then_some(image)
    }

    /// Returns whether the value is laid out like another one.
    pub(crate) fn lies_like(&self, other: &Self) -> bool {
        let stands = |(own, other_dim): (&Dim, &Dim)| {
            own == other_dim || self.side(own) == 1 && other.side(other_dim) == 1
        };
        self.shape == other.shape
            && self.dims.len() == other.dims.len()
            && self.dims.iter().zip(&other.dims).all(stands)
    }

    /// Returns for each number of a row its place in the order channels, height, width; `None` if both orders are equal.
    /// Errors if the value is no row: all dimensions but the batch and one have the side 1.
    pub(crate) fn row_order(&self) -> Result<Option<Vec<usize>>, String> {
        let mut longer = self.dims.iter().skip(1).filter(|dim| self.side(dim) > 1);
        let (first, others) = (longer.next(), longer.next());
        if others.is_some() || self.dims.first() != Some(&Dim::Batch) {
            return Err(format!("its input has the sides {:?}; a row of numbers is expected", self.sides()));
        }
        let (ActivationShape::Image([_, height, width]), Some(Dim::Row(order))) = (self.shape, first) else {
            return Ok(None);
        };
        let step = |dim: &Dim| match dim {
            Dim::Channel => height * width,
            Dim::Height => width,
            _ => 1,
        };
        let sides: Vec<[usize; 2]> = order.iter().map(|dim| [self.side(dim), step(dim)]).collect();
        let place = |at: usize| {
            let (mut rest, mut place) = (at, 0);
            for [side, step] in sides.iter().rev() {
                place += rest % side * step;
                rest /= side;
            }
            place
        };
        let places: Vec<usize> = (0..self.shape.len()).map(place).collect();
        Ok((!places.is_sorted()).then_some(places))
    }

    /// Returns the position of the dimension that counts channels, or the numbers of a row.
    pub(crate) fn channel_dim(&self) -> Option<usize> {
        self.dims.iter().position(|dim| match (dim, self.shape) {
            (Dim::Row(order), ActivationShape::Image(_)) => *order == [Dim::Channel],
            (Dim::Channel, ActivationShape::Image(_)) | (Dim::Row(_), ActivationShape::Row(_)) => true,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(sides: [usize; 3]) -> LayerValue {
        LayerValue {
            source: Source::Images,
            shape: ActivationShape::Image(sides),
            dims: vec![Dim::Batch, Dim::Channel, Dim::Height, Dim::Width],
            batch: 1,
            shared: false,
        }
    }

    #[test]
    fn layouts_change_without_layers() {
        let x = image([2, 3, 4]);
        assert_eq!(
            x.row_order().unwrap_err(),
            "its input has the sides [1, 2, 3, 4]; a row of numbers is expected"
        );
        let row = x.reshaped(&[1, -1]).unwrap();
        assert_eq!((row.sides(), row.row_order()), (vec![1, 24], Ok(None)));
        let back = row.reshaped(&[1, 2, 3, 4]).unwrap();
        assert_eq!(back.image(), Ok([2, 3, 4]));
        let last = x.transposed(&[0, 2, 3, 1]);
        assert_eq!(
            (last.sides(), last.image()),
            (vec![1, 3, 4, 2], Err("its input is transposed".to_owned()))
        );
        assert_eq!(last.transposed(&[0, 3, 1, 2]), x);
        let order = last.reshaped(&[1, 24]).unwrap().row_order().unwrap().unwrap();
        assert_eq!(order[..4], [0, 12, 1, 13]);
        assert!(x.reshaped(&[2, 12]).unwrap_err().starts_with("it mixes"));
        assert!(x.reshaped(&[1, 6, 4]).unwrap_err().starts_with("it makes [1, 6, 4]"));
        let pooled = image([5, 1, 1]);
        assert_eq!(pooled.reshaped(&[0, 5]).unwrap().row_order(), Ok(None));
        assert_eq!(pooled.reshaped(&[0, 5]).unwrap().channel_dim(), Some(1));
        assert_eq!(
            image([1, 28, 28]).reshaped(&[1, 28, 28]).unwrap().dims,
            [Dim::Batch, Dim::Height, Dim::Width]
        );
    }
}
