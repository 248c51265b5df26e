//! Networks in the formats of other programs. Knows nothing of keys or tasks.

pub mod onnx;

mod wire;
