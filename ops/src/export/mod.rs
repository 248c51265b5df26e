//! Networks in the formats of other programs. Knows nothing of keys or tasks.

pub mod c;
pub mod onnx;

mod typed;
mod wire;
