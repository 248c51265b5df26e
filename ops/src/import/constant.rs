//! Constant tensors of an ONNX graph, and the operations that exporters leave in front of weights and shapes. Knows
//! nothing of layers.

/// The most numbers of a tensor.
const MOST: usize = 1 << 28;

/// The most numbers of a tensor that is not in the file but computed, whatever the size of the file.
const MOST_COMPUTED: usize = 1 << 24;

/// The numbers of a constant, the last dimension fastest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    /// The name of the initializer that it comes from.
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

impl Numbers {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Float(numbers) => numbers.len(),
            Self::Int(numbers) => numbers.len(),
        }
    }

    /// Returns the numbers at these positions.
    fn at(&self, places: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Float(numbers) => Self::Float(places.map(|place| numbers[place]).collect()),
            Self::Int(numbers) => Self::Int(places.map(|place| numbers[place]).collect()),
        }
    }
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Arithmetic {
    /// Returns the operation of an ONNX op.
    pub(crate) fn of(op: &str) -> Option<Self> {
        Some(match op {
            "Add" => Self::Add,
            "Sub" => Self::Sub,
            "Mul" => Self::Mul,
            "Div" => Self::Div,
            _ => return None,
        })
    }

    fn float(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
        }
    }

    fn int(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div => a.checked_div(b),
        }
    }
}

impl Constant {
    /// Makes a constant. Errors if the shape does not hold as many numbers.
    pub(crate) fn new(name: &str, shape: Vec<usize>, numbers: Numbers) -> Result<Self, String> {
        let count = count(&shape)?;
        if count != numbers.len() {
            return Err(format!("a shape of {count} numbers for {}", numbers.len()));
        }
        Ok(Self { name: name.to_owned(), shape, numbers })
    }

    /// Makes a vector of whole numbers.
    pub(crate) fn ints(numbers: Vec<i64>) -> Self {
        Self { name: String::new(), shape: vec![numbers.len()], numbers: Numbers::Int(numbers) }
    }

    /// Returns the whole numbers of a constant.
    pub(crate) fn as_ints(&self) -> Result<&[i64], String> {
        match &self.numbers {
            Numbers::Int(numbers) => Ok(numbers),
            Numbers::Float(_) => Err("whole numbers are expected".to_owned()),
        }
    }

    /// Returns the numbers as binary32.
    pub(crate) fn as_floats(&self) -> Vec<f32> {
        match &self.numbers {
            Numbers::Float(numbers) => numbers.clone(),
            Numbers::Int(numbers) => numbers.iter().map(|number| *number as f32).collect(),
        }
    }

    /// Returns the only number.
    pub(crate) fn only(&self) -> Result<f32, String> {
        match self.as_floats()[..] {
            [number] => Ok(number),
            _ => Err("a single number is expected".to_owned()),
        }
    }

    /// Returns the numbers as floats, or as whole numbers without their fractions.
    pub(crate) fn cast(&self, to_float: bool) -> Self {
        let numbers = match (&self.numbers, to_float) {
            (Numbers::Int(_), true) => Numbers::Float(self.as_floats()),
            (Numbers::Float(numbers), false) => {
                Numbers::Int(numbers.iter().map(|number| *number as i64).collect())
            }
            (same, _) => same.clone(),
        };
        Self { numbers, ..self.clone() }
    }

    fn with(&self, shape: Vec<usize>, numbers: Numbers) -> Result<Self, String> {
        Self::new(&self.name, shape, numbers)
    }

    /// Returns the numbers in another shape of as many numbers.
    pub(crate) fn reshaped(&self, shape: &[i64]) -> Result<Self, String> {
        let shape = reshaped(&self.shape, shape)?;
        self.with(shape, self.numbers.clone())
    }

    /// Returns the tensor with its dimensions in another order.
    pub(crate) fn transposed(&self, order: &[usize]) -> Result<Self, String> {
        let shape: Vec<usize> = order.iter().map(|dim| self.shape[*dim]).collect();
        let strides = strides(&self.shape);
        let steps: Vec<usize> = order.iter().map(|dim| strides[*dim]).collect();
        let place = |at: usize| {
            let mut rest = at;
            let mut place = 0;
            for (side, step) in shape.iter().zip(&steps).rev() {
                place += rest % side * step;
                rest /= side;
            }
            place
        };
        let numbers = self.numbers.at((0..self.numbers.len()).map(place));
        self.with(shape, numbers)
    }

    /// Returns tensors one behind the other along a dimension.
    pub(crate) fn concatenated(all: &[&Self], axis: usize) -> Result<Self, String> {
        let [first, ..] = all else { return Err("it has no input".to_owned()) };
        let fits = |other: &&Self| {
            let same = |(at, (a, b)): (usize, (&usize, &usize))| at == axis || a == b;
            other.shape.len() == first.shape.len()
                && other.shape.iter().zip(&first.shape).enumerate().all(same)
        };
        if axis >= first.shape.len() || !all.iter().all(fits) {
            return Err("its inputs have different shapes".to_owned());
        }
        let (before, behind) = (count(&first.shape[..axis])?, count(&first.shape[axis + 1..])?);
        let mut shape = first.shape.clone();
        shape[axis] = all.iter().map(|each| each.shape[axis]).sum();
        let before = if computed(&shape)? == 0 { 0 } else { before };
        let mut numbers = match first.numbers {
            Numbers::Float(_) => Numbers::Float(vec![]),
            Numbers::Int(_) => Numbers::Int(vec![]),
        };
        for part in 0..before {
            for each in all {
                let length = each.shape[axis] * behind;
                let range = part * length..(part + 1) * length;
                match (&mut numbers, &each.numbers) {
                    (Numbers::Float(to), Numbers::Float(from)) => to.extend(&from[range]),
                    (Numbers::Int(to), Numbers::Int(from)) => to.extend(&from[range]),
                    _ => return Err("its inputs have different types".to_owned()),
                }
            }
        }
        first.with(shape, numbers)
    }

    /// Returns the parts at some places along a dimension.
    pub(crate) fn gathered(&self, places: &Self, axis: usize) -> Result<Self, String> {
        let length = *self.shape.get(axis).ok_or("its axis does not exist")?;
        let wanted: Vec<usize> =
            places.as_ints()?.iter().map(|at| place(*at, length)).collect::<Result<_, _>>()?;
        let (before, behind) = (count(&self.shape[..axis])?, count(&self.shape[axis + 1..])?);
        let mut shape = self.shape[..axis].to_vec();
        shape.extend(&places.shape);
        shape.extend(&self.shape[axis + 1..]);
        let before = if computed(&shape)? == 0 { 0 } else { before };
        let lines = (0..before).flat_map(|part| wanted.iter().map(move |at| (part * length + at) * behind));
        let numbers = self.numbers.at(lines.flat_map(|from| from..from + behind));
        self.with(shape, numbers)
    }

    /// Returns every `step`-th part from `start` to before `end` along a dimension; backwards with a step below 0.
    pub(crate) fn sliced(&self, axis: usize, start: i64, end: i64, step: i64) -> Result<Self, String> {
        let length = *self.shape.get(axis).ok_or("its axis does not exist")? as i64;
        let from_front = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
        let (start, end) = (from_front(start), from_front(end));
        let stride =
            usize::try_from(step.unsigned_abs()).ok().filter(|stride| *stride > 0).ok_or("its step is 0")?;
        let places: Vec<i64> = if step > 0 {
            (start.clamp(0, length)..end.clamp(0, length)).step_by(stride).collect()
        } else {
            let (last, end) = (start.min(length - 1), end.clamp(-1, length));
            (end + 1..=last).rev().step_by(stride).collect()
        };
        self.gathered(&Self::ints(places), axis)
    }

    /// Returns an operation on the numbers of two tensors, the smaller one repeated as `NumPy` repeats it.
    pub(crate) fn combined(&self, other: &Self, with: Arithmetic) -> Result<Self, String> {
        let rank = self.shape.len().max(other.shape.len());
        let padded = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
        let (a, b) = (padded(&self.shape), padded(&other.shape));
        let mut shape = vec![];
        for (a, b) in a.iter().zip(&b) {
            shape.push(match (a, b) {
                (a, b) if a == b => *a,
                (1, side) | (side, 1) => *side,
                _ => return Err("its inputs have different shapes".to_owned()),
            });
        }
        let all = computed(&shape)?;
        let places = |own: &[usize]| -> Vec<usize> {
            let strides = strides(own);
            let place = |at: usize| {
                let (mut rest, mut place) = (at, 0);
                for ((side, own), step) in shape.iter().zip(own).zip(&strides).rev() {
                    place += if *own == 1 { 0 } else { rest % side * step };
                    rest /= side;
                }
                place
            };
            (0..all).map(place).collect()
        };
        let (a, b) = (places(&a), places(&b));
        let numbers = match (&self.numbers, &other.numbers) {
            (Numbers::Float(left), Numbers::Float(right)) => {
                Numbers::Float(a.iter().zip(&b).map(|(a, b)| with.float(left[*a], right[*b])).collect())
            }
            (Numbers::Int(left), Numbers::Int(right)) => {
                let numbers = a.iter().zip(&b).map(|(a, b)| with.int(left[*a], right[*b]));
                Numbers::Int(numbers.collect::<Option<_>>().ok_or("its numbers are too large")?)
            }
            _ => return Err("its inputs have different types".to_owned()),
        };
        self.with(shape, numbers)
    }
}

/// Returns the number of numbers of a shape. Errors if they are too many.
pub(crate) fn count(shape: &[usize]) -> Result<usize, String> {
    let count = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
    count.filter(|count| *count <= MOST).ok_or_else(|| format!("a shape of more than {MOST} numbers"))
}

/// Checks the number of dimensions.
pub(crate) fn rank(rank: usize) -> Result<(), String> {
    const MOST: usize = 8;
    if rank <= MOST { Ok(()) } else { Err(format!("{rank} dimensions; at most {MOST} are read")) }
}

/// Returns the number of numbers of a computed tensor. Errors if they are too many.
pub(crate) fn computed(shape: &[usize]) -> Result<usize, String> {
    rank(shape.len())?;
    let count = count(shape)?;
    if count <= MOST_COMPUTED {
        Ok(count)
    } else {
        Err(format!("it makes more than {MOST_COMPUTED} numbers"))
    }
}

/// Returns an axis counted from 0, from an axis that may be negative and so counts from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    place(axis, rank).map_err(|_| format!("axis {axis} of {rank} dimensions"))
}

/// Returns an index from 0, from one that may be negative and so counts from the end.
fn place(at: i64, length: usize) -> Result<usize, String> {
    let place = if at < 0 { at.checked_add(length as i64) } else { Some(at) };
    place
        .and_then(|place| usize::try_from(place).ok())
        .filter(|place| *place < length)
        .ok_or_else(|| format!("place {at} of {length}"))
}

/// Returns the shape that ONNX's Reshape asks for: 0 keeps a dimension, −1 takes what is left.
pub(crate) fn reshaped(from: &[usize], to: &[i64]) -> Result<Vec<usize>, String> {
    rank(to.len())?;
    let all = count(from)?;
    let mut shape = vec![];
    let mut open = None;
    for (at, side) in to.iter().enumerate() {
        shape.push(match side {
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            0 => *from.get(at).ok_or("its shape keeps a dimension that is not there")?,
            side => usize::try_from(*side).map_err(|_| "its shape has a negative side")?,
        });
    }
    let known = count(&shape)?;
    if let Some(open) = open {
        shape[open] = all.checked_div(known).unwrap_or(0);
    }
    if count(&shape)? != all {
        return Err(format!("its shape {to:?} does not hold {all} numbers"));
    }
    Ok(shape)
}

/// Returns the distance of neighbouring numbers along each dimension.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at].saturating_mul(shape[at]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Constant {
        let numbers = (0..shape.iter().product()).map(|at: usize| at as i64).collect();
        Constant::new("x", shape.to_vec(), Numbers::Int(numbers)).unwrap()
    }

    /// The expected numbers are those of `NumPy` 2.
    #[test]
    fn operations_are_those_of_numpy() {
        let x = counted(&[2, 3]);
        let ints = |constant: Constant| (constant.shape.clone(), constant.as_ints().unwrap().to_vec());
        assert_eq!(ints(x.transposed(&[1, 0]).unwrap()), (vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(ints(x.reshaped(&[-1, 2]).unwrap()), (vec![3, 2], vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(ints(x.reshaped(&[0, 3, 1]).unwrap()).0, [2, 3, 1]);
        assert!(
            x.reshaped(&[4, -1]).is_err()
                && x.reshaped(&[-1, -1]).is_err()
                && x.reshaped(&[0, 0, 0]).is_err()
        );
        let places = Constant::ints(vec![-1, 0]);
        assert_eq!(ints(x.gathered(&places, 1).unwrap()), (vec![2, 2], vec![2, 0, 5, 3]));
        assert!(x.gathered(&Constant::ints(vec![3]), 1).is_err());
        assert_eq!(ints(x.sliced(1, 1, i64::MAX, 1).unwrap()), (vec![2, 2], vec![1, 2, 4, 5]));
        assert_eq!(ints(x.sliced(1, -3, -1, 2).unwrap()), (vec![2, 1], vec![0, 3]));
        assert_eq!(ints(x.sliced(1, -1, i64::MIN, -1).unwrap()).1, [2, 1, 0, 5, 4, 3]);
        assert_eq!(ints(x.sliced(1, 9, 0, -2).unwrap()), (vec![2, 1], vec![2, 5]));
        assert!(x.sliced(1, 0, 1, 0).is_err());
        let row = Constant::ints(vec![10, 20, 30]);
        assert_eq!(ints(x.combined(&row, Arithmetic::Add).unwrap()).1, [10, 21, 32, 13, 24, 35]);
        let column = row.reshaped(&[3, 1]).unwrap();
        assert_eq!(
            ints(column.combined(&row, Arithmetic::Sub).unwrap()).1,
            [0, -10, -20, 10, 0, -10, 20, 10, 0]
        );
        assert!(x.combined(&Constant::ints(vec![1, 2]), Arithmetic::Mul).is_err());
        assert!(row.combined(&Constant::ints(vec![0]), Arithmetic::Div).is_err());
        let joined = Constant::concatenated(&[&x, &counted(&[2, 1])], 1).unwrap();
        assert_eq!(ints(joined), (vec![2, 4], vec![0, 1, 2, 0, 3, 4, 5, 1]));
    }

    #[test]
    fn shapes_that_overflow_are_refused() {
        assert!(count(&[usize::MAX, 2]).is_err());
        assert!(count(&[1 << 20, 1 << 20]).is_err());
        assert!(Constant::new("x", vec![3], Numbers::Int(vec![1])).is_err());
        assert_eq!(axis(-1, 4), Ok(3));
        assert!(axis(4, 4).is_err() && axis(-5, 4).is_err() && axis(i64::MIN, 4).is_err());
    }
}
