//! Networks in the formats of other programs. Knows nothing of keys or tasks.

pub mod c;
pub mod onnx;
pub mod qdq;

mod typed;
mod wire;
