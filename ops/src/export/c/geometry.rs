//! The sizes of layers as initializers of C structs. Knows nothing of numbers.

use crate::network::definition::Layer;
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;

/// Returns the sizes of a step with weights: a linear layer has one pixel, a weight for each channel as many groups.
pub(super) fn window(layer: &Layer) -> String {
    let (channels, pixels) = layer.input().channels();
    let one = HeightWidth::square(1);
    let (groups, of_group, [height, width], [rows, columns], kernel, stride, padding, dilation) =
        match (layer.op, layer.input(), layer.output) {
            (
                LayerOp::Conv { kernel, stride, padding, dilation, groups, .. },
                ActivationShape::Image([channels, height, width]),
                ActivationShape::Image([outputs, rows, columns]),
            ) => {
                let of_group = [channels / groups, outputs / groups];
                (groups, of_group, [height, width], [rows, columns], kernel, stride, padding, dilation)
            }
            (LayerOp::Linear { out, .. }, input, _) => {
                (1, [input.len(), out], [1, 1], [1, 1], one, one, Padding::default(), one)
            }
            _ => (channels, [1, 1], [1, pixels], [1, pixels], one, one, Padding::default(), one),
        };
    format!(
        "    .groups = {groups}, .channels = {}, .outputs = {},\n    .height = {height}, .width = {width}, .rows = {rows}, .columns = {columns},\n    .kernel_height = {}, .kernel_width = {}, .stride_height = {}, .stride_width = {},\n    .top = {}, .left = {}, .dilation_height = {}, .dilation_width = {},\n",
        of_group[0],
        of_group[1],
        kernel.height,
        kernel.width,
        stride.height,
        stride.width,
        padding.top,
        padding.left,
        dilation.height,
        dilation.width,
    )
}

/// Returns the sizes of a pool.
pub(super) fn pool(layer: &Layer) -> String {
    let (ActivationShape::Image([channels, height, width]), ActivationShape::Image([_, rows, columns])) =
        (layer.input(), layer.output)
    else {
        return String::new();
    };
    let whole = HeightWidth { height, width };
    let (size, stride, padding) = match layer.op {
        LayerOp::MaxPool { size, stride, padding } | LayerOp::AvgPool { size, stride, padding, .. } => {
            (size, stride, padding)
        }
        _ => (whole, whole, Padding::default()),
    };
    format!(
        "static const pool_layer layer_{} = {{\n    .channels = {channels}, .height = {height}, .width = {width}, .rows = {rows}, .columns = {columns},\n    .size_height = {}, .size_width = {}, .stride_height = {}, .stride_width = {},\n    .top = {}, .left = {}, .bottom = {}, .right = {}\n}};\n",
        layer.name,
        size.height,
        size.width,
        stride.height,
        stride.width,
        padding.top,
        padding.left,
        padding.bottom,
        padding.right,
    )
}
