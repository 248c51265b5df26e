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

/// Checks whether a network that takes images of one kind can take those of another. A row of numbers may be stored as an
/// image, and data along time (channels × 1 × length) as an image of one channel: the order of the numbers is the same. A
/// network with a single output has two classes.
pub(crate) fn check(takes: ImageKind, given: ImageKind) -> Result<(), NetworkMismatch> {
    let ([channels, height, width], [planes, rows, columns]) = (takes.shape, given.shape);
    let is_row = [height, width] == [1, 1] && channels == planes * rows * columns;
    let is_along_time = height == 1 && [planes, rows, columns] == [1, channels, width];
    let shapes_fit = takes.shape == given.shape || is_row || is_along_time;
    let classes_fit = match (takes.classes, given.classes) {
        (Some(takes), Some(given)) => takes == given || (takes, given) == (1, 2),
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
    match (takes.classes, given.classes) {
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
        let told = check(net, kind([1, 9, 8], Some(3))).unwrap_err().to_string();
        assert_eq!(
            told,
            "the network takes 3 x 9 x 8 images in 4 classes, these are 1 x 9 x 8 images in 3 classes; if some classes have no \
             image, name all with `classes: […]`"
        );
    }
}
