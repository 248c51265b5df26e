//! The operators of ONNX that fewbits reads. Knows nothing of what they compute.

pub(super) fn unknown(op: &str) -> String {
    format!("op {op} is not supported")
}

/// The ops that are read, some of them only in part.
pub(super) const OPS: [&str; 37] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Returns whether an op is one of [`OPS`].
pub(super) fn is_known(op: &str) -> bool {
    OPS.contains(&op)
}
