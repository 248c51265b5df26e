//! The devices of candle, and tensors on them. Knows nothing of networks.

use candle_core::{Device, Tensor};

use crate::backend::{BackendError, CandleDevice};
use crate::dataset::images::Images;
use crate::network::array::Array;

/// Opens a device. Errors if this build or this machine does not have it.
pub(crate) fn open(device: CandleDevice) -> Result<Device, BackendError> {
    let missing = |kind: &str, feature: &str, number: usize, error: &candle_core::Error| {
        // candle's error has a backtrace after its first line.
        let why = error.to_string().lines().next().unwrap_or_default().to_owned();
        BackendError(format!(
            "{kind} device {number} cannot be used: {why}; a build with `--features {feature}` on a machine that has \
             it can, and `device: Cpu` or `Candle(Cpu)` works everywhere"
        ))
    };
    match device {
        CandleDevice::Cpu => Ok(Device::Cpu),
        CandleDevice::Cuda(number) => {
            Device::new_cuda(number).map_err(|error| missing("CUDA", "cuda", number, &error))
        }
        CandleDevice::Metal(number) => {
            Device::new_metal(number).map_err(|error| missing("Metal", "metal", number, &error))
        }
    }
}

/// Copies an array to a device.
pub(crate) fn to_device(array: &Array, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_slice(array.numbers(), array.shape(), device)
}

/// Copies a tensor from its device.
pub(crate) fn from_device(tensor: &Tensor) -> candle_core::Result<Array> {
    let numbers = tensor.flatten_all()?.to_vec1::<f32>()?;
    let wrong = || candle_core::Error::Msg("a tensor has another size than its shape".into());
    Array::new(tensor.dims().to_vec(), numbers).ok_or_else(wrong)
}

/// Makes a tensor of batch × channels × height × width of the images at these places, for a network with inputs of the shape
/// `input`.
pub(crate) fn images_to_device(
    images: &Images,
    places: &[u32],
    input: [usize; 3],
    device: &Device,
) -> candle_core::Result<Tensor> {
    let [channels, height, width] = input;
    Tensor::from_vec(images.numbers(places), (places.len(), channels, height, width), device)
}

impl From<candle_core::Error> for BackendError {
    fn from(error: candle_core::Error) -> Self {
        Self(format!("candle: {}", error.to_string().lines().next().unwrap_or_default()))
    }
}
