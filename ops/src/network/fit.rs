//! Whether a network can take some images. Knows neither weights nor pixels.

use thiserror::Error;

/// The shape of some images, and their number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageKind {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The number of classes; `None` if the images have no labels.
    pub classes: Option<usize>,
}

/// Images that do not fit a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the network takes {}, these are {}{}", words(takes), words(given), advice(takes, given))]
pub struct NetworkMismatch {
    /// What the network takes.
    takes: ImageKind,
    /// The images.
    given: ImageKind,
}

/// Checks whether a network that takes images of one kind can take those of another. Shapes fit if the numbers have the same
/// order: equal sides but for sides of 1 (data along time may be stored as images of one channel), or a row of numbers for an
/// image of as many. A network with a single output has two classes.
pub(crate) fn check(takes: ImageKind, given: ImageKind) -> Result<(), NetworkMismatch> {
    let longer = |shape: [usize; 3]| shape.into_iter().filter(|side| *side > 1).collect::<Vec<_>>();
    let [channels, height, width] = takes.shape;
    let is_row = [height, width] == [1, 1] && channels == given.shape.iter().product::<usize>();
    let shapes_fit = is_row || longer(takes.shape) == longer(given.shape);
    let classes_fit = match (takes.classes, given.classes) {
        (Some(1), Some(given)) => given == 2,
        (Some(takes), Some(given)) => takes == given,
        (None, _) | (_, None) => true,
    };
    if shapes_fit && classes_fit { Ok(()) } else { Err(NetworkMismatch { takes, given }) }
}

fn words(ImageKind { shape: [channels, height, width], classes }: &ImageKind) -> String {
    let classes = classes.map_or(String::new(), |classes| {
        format!(" in {classes} {}", if classes == 1 { "class" } else { "classes" })
    });
    format!("{channels} x {height} x {width} images{classes}")
}

fn advice(takes: &ImageKind, given: &ImageKind) -> &'static str {
    let last = |[channels, height, width]: [usize; 3]| [height, width, channels];
    match (takes.classes, given.classes) {
        _ if takes.shape != given.shape && given.shape == last(takes.shape) => {
            "; are the channels of the images last? `layout: Nhwc` reads such files"
        }
        _ if takes.shape != given.shape && takes.shape == last(given.shape) => {
            "; the network takes the images as they are stored: leave out `layout: Nhwc`"
        }
        (Some(1), Some(_)) => "; a single output tells two classes apart",
        (Some(takes), Some(given)) if given < takes => {
            "; if some classes have no image, name all with `classes: […]`"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_in_equal_order_fit() {
        let kind = |shape, classes| ImageKind { shape, classes };
        let fits = |takes, given| check(takes, given).is_ok();
        let net = kind([3, 9, 8], Some(4));
        assert!(fits(net, net) && fits(net, kind([3, 9, 8], None)));
        assert!(!fits(net, kind([3, 8, 9], Some(4))) && !fits(net, kind([3, 9, 8], Some(5))));
        assert!(fits(kind([216, 1, 1], None), net) && !fits(net, kind([216, 1, 1], None)));
        assert!(fits(kind([3, 1, 8], None), kind([1, 3, 8], None)));
        assert!(fits(kind([4, 1, 1], Some(1)), kind([4, 1, 1], Some(2))));
        assert!(!fits(kind([4, 1, 1], Some(2)), kind([4, 1, 1], Some(1))));
        assert!(!fits(kind([4, 1, 1], Some(1)), kind([4, 1, 1], Some(1))));
        assert!(fits(kind([28, 28, 1], None), kind([1, 28, 28], None)));
        let stored = check(kind([9, 8, 3], None), kind([3, 9, 8], None)).unwrap_err().to_string();
        assert!(stored.ends_with("leave out `layout: Nhwc`"), "{stored}");
        let last = check(net, kind([9, 8, 3], Some(4))).unwrap_err().to_string();
        assert!(last.ends_with("`layout: Nhwc` reads such files"), "{last}");
        let told = check(net, kind([1, 9, 8], Some(3))).unwrap_err().to_string();
        assert_eq!(
            told,
            "the network takes 3 x 9 x 8 images in 4 classes, these are 1 x 9 x 8 images in 3 classes; if some classes have no \
             image, name all with `classes: […]`"
        );
    }
}
