//! Numbers with a shape: the parameters of a network, and what training keeps beside them. Knows nothing of layers.

use std::sync::Arc;

/// Binary32 numbers in row-major order. Copies share their numbers until one of them is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    numbers: Arc<Vec<f32>>,
}

impl Array {
    /// Makes an array; `None` if the shape does not hold this many numbers.
    #[must_use]
    pub fn new(shape: Vec<usize>, numbers: Vec<f32>) -> Option<Self> {
        let count = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side))?;
        (count == numbers.len()).then(|| Self { shape, numbers: Arc::new(numbers) })
    }

    /// Makes an array of zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self { numbers: Arc::new(vec![0.0; shape.iter().product()]), shape: shape.to_vec() }
    }

    /// Makes an array of one dimension.
    #[must_use]
    pub fn row(numbers: Vec<f32>) -> Self {
        Self { shape: vec![numbers.len()], numbers: Arc::new(numbers) }
    }

    /// Returns an array of the same shape with other numbers; `None` if there are not as many.
    #[must_use]
    pub fn with(&self, numbers: Vec<f32>) -> Option<Self> {
        Self::new(self.shape.clone(), numbers)
    }

    /// Returns the dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the numbers.
    #[must_use]
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// Returns the numbers for writing; they are copied first if another array shares them.
    pub fn numbers_mut(&mut self) -> &mut [f32] {
        Arc::<Vec<f32>>::make_mut(&mut self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_written_with_its_original() {
        let mut first = Array::zeros(&[2, 3]);
        let second = first.clone();
        first.numbers_mut()[4] = 2.5;
        assert_eq!((first.numbers(), second.numbers()), (&[0.0, 0.0, 0.0, 0.0, 2.5, 0.0][..], &[0.0; 6][..]));
        assert_eq!(Array::new(vec![2, 3], vec![0.0; 5]), None);
        assert_eq!(Array::new(vec![usize::MAX, 2], vec![]), None);
        assert_eq!(Array::row(vec![1.0, 2.0]).shape(), [2]);
    }
}
