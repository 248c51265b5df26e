//! The attributes of ONNX's convolutions and pools. Knows nothing of layers.

use crate::import::onnx_file::Node;
use crate::network::geometry::{HeightWidth, Padding};

/// The window of a convolution or pool. One-dimensional ones have height 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeWindow {
    pub size: HeightWidth,
    pub stride: HeightWidth,
    pub dilation: HeightWidth,
    pub padding: Padding,
    /// Pixels behind the image and its padding that the last windows of a pool see, where `ceil_mode` asks for a window
    /// more: below and on the right.
    pub beyond: [usize; 2],
}

/// The largest number of an attribute, so that sums cannot overflow.
const MOST: usize = 1 << 20;

impl NodeWindow {
    /// Reads the attributes of a node for images of this height and width. `size` is the size of the window where the
    /// node does not say it.
    pub(crate) fn of(
        node: &Node,
        rank: usize,
        image: [usize; 2],
        size: Option<HeightWidth>,
    ) -> Result<Self, String> {
        let pair = |name: &str| node.ints(name).map(|numbers| pair(numbers, rank, name)).transpose();
        let one = HeightWidth::square(1);
        let size = match (pair("kernel_shape")?, size) {
            (Some(given), Some(size)) if given != size => {
                return Err("its kernel_shape is not that of its weight".to_owned());
            }
            (given, size) => given.or(size).ok_or("it has no kernel_shape")?,
        };
        let (stride, dilation) = (pair("strides")?.unwrap_or(one), pair("dilations")?.unwrap_or(one));
        let reach = [(size.height, dilation.height), (size.width, dilation.width)]
            .map(|(size, dilation)| size.saturating_sub(1).saturating_mul(dilation).saturating_add(1));
        let padding = match node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" | "" => node.ints("pads").map_or(Ok(Padding::default()), |pads| padding(pads, rank))?,
            "VALID" => Padding::default(),
            "SAME_UPPER" => Padding::same(image, reach, stride.both()),
            "SAME_LOWER" => {
                let Padding { top, left, bottom, right } = Padding::same(image, reach, stride.both());
                Padding { top: bottom, left: right, bottom: top, right: left }
            }
            other => return Err(format!("auto_pad {other:?} is not known")),
        };
        let mut window = Self { size, stride, dilation, padding, beyond: [0; 2] };
        if node.int("ceil_mode", 0) != 0 {
            window.round_up(image, reach);
        }
        Ok(window)
    }

    /// Sets the pixels beyond with which one more window fits, where windows do not end at the edge. A window that would
    /// begin beyond the image is left out.
    fn round_up(&mut self, image: [usize; 2], reach: [usize; 2]) {
        let more = |side: usize| {
            let ([before, behind], stride) = (self.padding.along(side), self.stride.both()[side]);
            let free = (image[side] + before + behind).saturating_sub(reach[side]);
            let next = free.div_ceil(stride) * stride;
            if next == free || next >= image[side] + before { 0 } else { next - free }
        };
        self.beyond = [more(0), more(1)];
    }
}

/// Returns a number for the height and one for the width.
fn pair(numbers: &[i64], rank: usize, name: &str) -> Result<HeightWidth, String> {
    let number = |number: i64| usize::try_from(number).ok().filter(|number| (1..=MOST).contains(number));
    let found = match (rank, numbers) {
        (4, &[height, width]) => {
            number(height).zip(number(width)).map(|(height, width)| HeightWidth { height, width })
        }
        (3, &[width]) => number(width).map(|width| HeightWidth { height: 1, width }),
        _ => None,
    };
    found.ok_or_else(|| format!("its {name} {numbers:?} does not fit"))
}

/// Returns the padding of pads in ONNX's order: before each side, then behind each.
pub(crate) fn padding(pads: &[i64], rank: usize) -> Result<Padding, String> {
    let number = |number: i64| match usize::try_from(number) {
        Ok(number) if number <= MOST => Ok(number),
        Ok(_) => Err("its pads are too large".to_owned()),
        Err(_) => Err("it cuts pixels off".to_owned()),
    };
    Ok(match (rank, pads) {
        (4, &[top, left, bottom, right]) => {
            Padding { top: number(top)?, left: number(left)?, bottom: number(bottom)?, right: number(right)? }
        }
        (3, &[left, right]) => Padding { top: 0, left: number(left)?, bottom: 0, right: number(right)? },
        _ => return Err(format!("its pads {pads:?} do not fit")),
    })
}
