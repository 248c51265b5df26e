//! The choice of training, validation and test images: stratified, seeded and nested (a smaller count is a subset of a
//! larger one). Knows labels and counts, no pixels.

use serde::Serialize;

use crate::random::Stream;

/// The number of images to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Count {
    /// All of them.
    #[default]
    All,
    /// This many, at least 1.
    Exactly(usize),
}

/// The images that validation images are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum ValidationFrom {
    /// The training images.
    #[default]
    Train,
    /// The test images: for networks that others trained, which have seen the training images.
    Test,
}

/// The numbers of images to choose, and the seed of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitSpec {
    /// Training images, out of those left after validation.
    pub train: Count,
    /// Test images, out of those left after validation.
    pub test: Count,
    /// Validation images, taken before anything else.
    pub validation: usize,
    /// The images that they are taken from.
    pub validation_from: ValidationFrom,
    /// The seed of the choice.
    pub seed: u64,
}

/// An error in the counts of a split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A count exceeds the images available.
    #[error("{part}: {wanted} images wanted, there are {available}{}; ask for fewer", if *reduced { " after validation" } else { "" })]
    TooMany {
        /// `train` or `test`.
        part: &'static str,
        /// Images wanted.
        wanted: usize,
        /// Images there are.
        available: usize,
        /// Whether validation images come from them.
        reduced: bool,
    },
    /// Validation takes every training or test image.
    #[error("validation: {validation} of {available} {} images leave none to {} on; ask for fewer", if *from == ValidationFrom::Train { "training" } else { "test" }, if *from == ValidationFrom::Train { "train" } else { "report" })]
    NothingLeft {
        /// Validation images wanted.
        validation: usize,
        /// Images there are.
        available: usize,
        /// The images that they are taken from.
        from: ValidationFrom,
    },
    /// A count is zero.
    #[error("{part}: 0 images wanted; ask for 1 or more, or All")]
    Zero {
        /// `train` or `test`.
        part: &'static str,
    },
}

/// The positions of the chosen images in their source, in the source's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSelection {
    /// Positions among the training images.
    pub train: Vec<u32>,
    /// Positions among the images that validation images are taken from, disjoint from `train` and `test`.
    pub validation: Vec<u32>,
    /// Positions among the test images.
    pub test: Vec<u32>,
}

impl SplitSpec {
    /// Checks the counts against the available training and test images, and returns the numbers to train and test on.
    pub fn check(&self, available: [usize; 2]) -> Result<[usize; 2], SplitError> {
        let Self { validation, validation_from: from, .. } = *self;
        let mut left = available;
        let reduced = &mut left[usize::from(from == ValidationFrom::Test)];
        if validation >= *reduced && (validation > 0 || from == ValidationFrom::Train) {
            return Err(SplitError::NothingLeft { validation, available: *reduced, from });
        }
        *reduced -= validation;
        let count = |part, count, available, reduced| match count {
            Count::All => Ok(available),
            Count::Exactly(0) => Err(SplitError::Zero { part }),
            Count::Exactly(wanted) if wanted > available => {
                Err(SplitError::TooMany { part, wanted, available, reduced })
            }
            Count::Exactly(wanted) => Ok(wanted),
        };
        let [train, test] = left;
        Ok([
            count("train", self.train, train, from == ValidationFrom::Train)?,
            count("test", self.test, test, from == ValidationFrom::Test && validation > 0)?,
        ])
    }

    /// Chooses the images. Validation depends on seed, `validation` and the labels of the images that it is taken from; test
    /// on seed, `test` and the labels of the test images that are left.
    pub fn choose(&self, train: &[u8], test: &[u8]) -> Result<ImageSelection, SplitError> {
        let [train_count, test_count] = self.check([train.len(), test.len()])?;
        let all = |labels: &[u8]| (0..labels.len() as u32).collect::<Vec<u32>>();
        let validated =
            |labels: &[u8]| Strata::new(labels, all(labels), self.seed, "validation").cut(self.validation);
        let (validation, train_left, test_left) = match self.validation_from {
            ValidationFrom::Train => {
                let (validation, left) = validated(train);
                (validation, left, all(test))
            }
            ValidationFrom::Test => {
                let (validation, left) = validated(test);
                (validation, all(train), left)
            }
        };
        let (train, _) = Strata::new(train, train_left, self.seed, "train").cut(train_count);
        let (test, _) = Strata::new(test, test_left, self.seed, "test").cut(test_count);
        Ok(ImageSelection { train, validation, test })
    }
}

/// Images by class, each class in the order of choice.
struct Strata {
    classes: Vec<Vec<u32>>,
}

impl Strata {
    /// Orders the images `among`. An image's rank in its class depends on seed, purpose, class and position only.
    fn new(labels: &[u8], among: Vec<u32>, seed: u64, purpose: &str) -> Self {
        let mut classes = vec![Vec::new(); 256];
        for place in among {
            classes[usize::from(labels[place as usize])].push(place);
        }
        for (class, places) in classes.iter_mut().enumerate() {
            let stream = Stream::new(seed, &format!("dataset {purpose}"), &class.to_string());
            places.sort_by_cached_key(|&place| (stream.bits(u64::from(place)), place));
        }
        classes.retain(|places| !places.is_empty());
        Self { classes }
    }

    /// Returns the positions of `count` images and of the others, both ascending.
    fn cut(self, count: usize) -> (Vec<u32>, Vec<u32>) {
        let sizes: Vec<usize> = self.classes.iter().map(Vec::len).collect();
        let (mut chosen, mut rest) = (Vec::with_capacity(count), Vec::new());
        for (places, quota) in self.classes.iter().zip(quotas(&sizes, count)) {
            chosen.extend(&places[..quota]);
            rest.extend(&places[quota..]);
        }
        chosen.sort_unstable();
        rest.sort_unstable();
        (chosen, rest)
    }
}

/// Shares `count` images out over classes of these sizes: each class gets its proportional share rounded down or up,
/// and never fewer when `count` grows (largest remainders would take some back). This is the quota method of Balinski
/// and Young (*A New Method for Congressional Apportionment*, 1974): one image at a time goes to the class with the
/// largest size ÷ (images + 1) among those below their share, ties to the lowest class.
fn quotas(sizes: &[usize], count: usize) -> Vec<usize> {
    let total: u64 = sizes.iter().map(|&size| size as u64).sum();
    if count as u64 == total {
        return sizes.to_vec();
    }
    let mut given = vec![0_usize; sizes.len()];
    for step in 1..=count as u64 {
        let mut best: Option<usize> = None;
        for (class, &size) in sizes.iter().enumerate() {
            if given[class] as u64 * total >= step * size as u64 {
                continue;
            }
            let ahead = |other: usize| size * (given[other] + 1) > sizes[other] * (given[class] + 1);
            if best.is_none_or(ahead) {
                best = Some(class);
            }
        }
        if let Some(class) = best {
            given[class] += 1;
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(train: Count, test: Count, validation: usize) -> SplitSpec {
        SplitSpec { train, test, validation, validation_from: ValidationFrom::Train, seed: 3 }
    }

    fn labels(count: usize) -> Vec<u8> {
        let stream = Stream::new(0, "labels", "");
        (0..count as u64).map(|place| (stream.unit(place).powi(2) * 5.0) as u8).collect()
    }

    #[test]
    fn all_is_everything_in_order() {
        let places = wanted(Count::All, Count::All, 0).choose(&[1, 0, 1], &[0, 0]).unwrap();
        assert_eq!(places, ImageSelection { train: vec![0, 1, 2], validation: vec![], test: vec![0, 1] });
    }

    #[test]
    fn equal_classes_share_equally_and_the_lowest_come_first() {
        assert_eq!(quotas(&[10; 4], 8), [2; 4]);
        assert_eq!(quotas(&[10; 4], 10), [3, 3, 2, 2]);
        assert_eq!(quotas(&[1, 0, 3], 2), [0, 0, 2]);
        assert_eq!(quotas(&[5, 3, 2], 10), [5, 3, 2]);
        assert_eq!(quotas(&[5, 3, 2], 0), [0, 0, 0]);
    }

    #[test]
    fn largest_remainders_would_not_nest_but_this_does() {
        // The Alabama paradox: by largest remainders the third class gets 2 of 10 and 1 of 11.
        assert_eq!(quotas(&[6, 6, 2], 10), [5, 4, 1]);
        assert_eq!(quotas(&[6, 6, 2], 11), [5, 5, 1]);
    }

    proptest! {
        #[test]
        fn quotas_are_shares_rounded_and_only_grow(sizes in prop::collection::vec(0_usize..40, 1..8)) {
            let total: usize = sizes.iter().sum();
            let mut before = vec![0; sizes.len()];
            for count in 1..=total {
                let now = quotas(&sizes, count);
                prop_assert_eq!(now.iter().sum::<usize>(), count);
                for ((now, before), size) in now.iter().zip(&before).zip(&sizes) {
                    prop_assert!(now >= before);
                    prop_assert!(now * total < count * size + total);
                    prop_assert!((now + 1) * total > count * size);
                }
                before = now;
            }
        }
    }

    #[test]
    fn smaller_counts_are_parts_of_larger_ones() {
        let (train, test) = (labels(400), labels(100));
        let choose = |train_count, test_count, validation| {
            wanted(Count::Exactly(train_count), Count::Exactly(test_count), validation)
                .choose(&train, &test)
                .unwrap()
        };
        let small = choose(100, 10, 50);
        let large = choose(350, 60, 50);
        let part = |small: &[u32], large: &[u32]| small.iter().all(|place| large.contains(place));
        assert!(part(&small.train, &large.train) && part(&small.test, &large.test));
        assert_eq!(small.validation, large.validation);
        assert!(part(&small.validation, &choose(100, 10, 51).validation));
        assert!(large.train.is_sorted() && large.train.iter().all(|place| !large.validation.contains(place)));
        assert_eq!([small.train.len(), small.test.len(), small.validation.len()], [100, 10, 50]);
        assert_eq!(choose(350, 10, 50).train, large.train, "test count moves training images");
    }

    #[test]
    fn validation_images_may_come_from_the_test_images() {
        let (train, test) = (labels(60), labels(40));
        let wanted =
            SplitSpec { validation_from: ValidationFrom::Test, ..wanted(Count::All, Count::All, 30) };
        let chosen = wanted.choose(&train, &test).unwrap();
        assert_eq!(chosen.train, (0..60).collect::<Vec<u32>>());
        let mut both = [chosen.validation, chosen.test].concat();
        both.sort_unstable();
        assert_eq!(both, (0..40).collect::<Vec<u32>>());
        let told = |spec: SplitSpec| spec.check([60, 40]).unwrap_err().to_string();
        assert_eq!(
            told(SplitSpec { validation: 40, ..wanted }),
            "validation: 40 of 40 test images leave none to report on; ask for fewer"
        );
        assert_eq!(
            told(SplitSpec { test: Count::Exactly(11), ..wanted }),
            "test: 11 images wanted, there are 10 after validation; ask for fewer"
        );
    }

    #[test]
    fn the_seed_chooses_and_the_choice_is_pinned() {
        let labels = labels(40);
        let choose = |seed| {
            let wanted = SplitSpec { seed, ..wanted(Count::Exactly(4), Count::Exactly(3), 5) };
            wanted.choose(&labels, &labels).unwrap()
        };
        assert_ne!(choose(0), choose(1));
        let pinned = ImageSelection {
            train: vec![8, 13, 16, 38],
            validation: vec![10, 14, 15, 18, 20],
            test: vec![3, 21, 28],
        };
        assert_eq!(choose(0), pinned);
    }

    #[test]
    fn counts_that_cannot_be_met_are_refused() {
        let error = |train, test, validation| {
            wanted(train, test, validation).check([60, 10]).unwrap_err().to_string()
        };
        let cases = [
            (
                error(Count::Exactly(51), Count::All, 10),
                "train: 51 images wanted, there are 50 after validation",
            ),
            (error(Count::All, Count::Exactly(11), 10), "test: 11 images wanted, there are 10;"),
            (
                error(Count::All, Count::All, 60),
                "validation: 60 of 60 training images leave none to train on",
            ),
            (error(Count::All, Count::Exactly(0), 0), "test: 0 images wanted"),
        ];
        for (error, expected) in cases {
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
