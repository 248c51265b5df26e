//! The numbers of a candle tensor as a slice, for reading and for writing in place. Knows nothing of layers.
//! Writing uses candle's in-place operations, so training reuses the memory of a tensor at each step.

use std::cell::Cell;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Device, Error, InplaceOp1, Layout, Result, Storage, StorageRef, Tensor};

/// Numbers per unit of parallel work. The size does not depend on the number of threads.
pub(crate) const BLOCK: usize = 1 << 13;

/// The numbers of a tensor, open for reading.
pub(crate) struct TensorNumbers<'a> {
    storage: StorageRef<'a>,
    range: Range<usize>,
}

impl Deref for TensorNumbers<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(numbers)) => &numbers[self.range.clone()],
            // `read_tensor` rejects any other storage.
            _ => &[],
        }
    }
}

/// Opens a contiguous binary32 tensor on the CPU for reading; errors for any other tensor.
pub(crate) fn read_tensor(tensor: &Tensor) -> Result<TensorNumbers<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let range = contiguous(layout)?;
    match &*storage {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(TensorNumbers { storage, range }),
        _ => Err(Error::Msg("a tensor of the network is not binary32 on the CPU".into())),
    }
}

/// Calls `write` with the numbers of a contiguous binary32 tensor on the CPU; errors for any other tensor.
/// `write` must not open the same tensor again.
pub(crate) fn write<R>(tensor: &Tensor, write: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    let op = Write { write: Cell::new(Some(write)), result: Cell::new(None) };
    tensor.inplace_op1(&op)?;
    op.result.into_inner().ok_or_else(|| Error::Msg("a tensor of the network was not written".into()))
}

/// Makes a tensor of zeros.
pub(crate) fn zeros(shape: &[usize]) -> Result<Tensor> {
    from(vec![0.0; shape.iter().product()], shape)
}

/// Makes a tensor from a vector of numbers without a copy.
pub(crate) fn from(numbers: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
    Tensor::from_vec(numbers, shape, &Device::Cpu)
}

struct Write<F, R> {
    write: Cell<Option<F>>,
    result: Cell<Option<R>>,
}

impl<R, F: FnOnce(&mut [f32]) -> R> InplaceOp1 for Write<F, R> {
    fn name(&self) -> &'static str {
        "write"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let range = contiguous(layout)?;
        if let (CpuStorage::F32(numbers), Some(write)) = (storage, self.write.take()) {
            self.result.set(Some(write(&mut numbers[range])));
        }
        Ok(())
    }
}

fn contiguous(layout: &Layout) -> Result<Range<usize>> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::Msg("a tensor of the network is not contiguous".into()))?;
    Ok(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_written_in_place_and_read() {
        let tensor = zeros(&[2, 3]).unwrap();
        let sum = write(&tensor, |numbers| {
            numbers[4] = 2.5;
            numbers.len()
        });
        assert_eq!(sum.unwrap(), 6);
        assert_eq!(*read_tensor(&tensor).unwrap(), [0.0, 0.0, 0.0, 0.0, 2.5, 0.0]);
    }

    #[test]
    fn other_tensors_are_refused() {
        let whole = zeros(&[2, 3]).unwrap();
        assert!(read_tensor(&whole.t().unwrap()).is_err());
        assert!(write(&Tensor::zeros(3, candle_core::DType::F64, &Device::Cpu).unwrap(), |_| ()).is_err());
        assert_eq!(read_tensor(&whole.narrow(0, 1, 1).unwrap()).unwrap().len(), 3);
    }
}
