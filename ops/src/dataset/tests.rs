//! Loading end to end: the user's own files, the embedded images, and the real datasets if present.

use std::fs;
use std::path::PathBuf;

use super::images::Labels;
use super::normalize::Normalize;
use super::open::gzip;
use super::source::SideOrder;
use super::*;

/// Returns the folder of the real datasets, or prints that the test is skipped. A relative path starts at the
/// workspace, in any working directory.
fn data_dir(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("FEWBITS_DATA_DIR") else {
        println!("skipped: FEWBITS_DATA_DIR is not set");
        return None;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    if !folder.join(name).is_dir() {
        println!("skipped: {name} is not in FEWBITS_DATA_DIR");
        return None;
    }
    Some(folder)
}

fn idx(magic: u32, dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let numbers = [&[magic], dims].concat();
    numbers.iter().flat_map(|number| number.to_be_bytes()).chain(bytes.iter().copied()).collect()
}

fn own() -> DatasetSource {
    DatasetSource::Idx {
        train_images: "a".to_owned(),
        train_labels: "b".to_owned(),
        test_images: "c".to_owned(),
        test_labels: "d".to_owned(),
    }
}

/// Writes four files of 2 × 1 pixels: labels 0, 2, 1 to train, 3 to test.
fn write_own(folder: &Path) {
    fs::write(folder.join("a"), gzip(&idx(0x0803, &[3, 2, 1], &[0, 255, 51, 102, 1, 2]))).unwrap();
    fs::write(folder.join("b"), idx(0x0801, &[3], &[0, 2, 1])).unwrap();
    fs::write(folder.join("c"), idx(0x0803, &[1, 2, 1], &[7, 8])).unwrap();
    fs::write(folder.join("d"), gzip(&idx(0x0801, &[1], &[3]))).unwrap();
}

#[test]
fn own_files_are_loaded_and_normalized() {
    let folder = tempfile::tempdir().unwrap();
    write_own(folder.path());
    let dataset = load(&DatasetConfig::new(own()), Path::new("/nowhere"), folder.path()).unwrap();
    let labels = |numbers| Some(Labels::numbered(4, numbers));
    assert_eq!(dataset.train.shape, [1, 2, 1]);
    assert_eq!((&dataset.train.labels, &dataset.test.labels), (&labels(vec![0, 2, 1]), &labels(vec![3])));
    assert_eq!(dataset.train.numbers(&[1]), [0.2, 0.4]);
}

#[test]
fn own_files_that_disagree_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str, bytes: Vec<u8>, expected: &str| {
        write_own(folder.path());
        fs::write(folder.path().join(file), bytes).unwrap();
        let error = load(&DatasetConfig::new(own()), folder.path(), folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nlacks: {expected}");
    };
    check("b", idx(0x0801, &[2], &[0, 1]), "a: byte 4: 3 images, but ");
    check(
        "c",
        idx(0x0803, &[1, 1, 2], &[7, 8]),
        "c: byte 8: images of 1 × 2 pixels, the training images have 2 × 1",
    );
    check("d", idx(0x0803, &[1, 1, 1], &[3]), "this is a file of images: are the two files swapped?");
    // A stray label, labels from 1 on, and a class without training images that test images alone would not miss.
    let gap = |image, label, missing| {
        format!(
            ": byte {}: image {image} has label {label}, the largest there, but no training image has label \
             {missing}; correct the labels",
            8 + image
        )
    };
    check("b", idx(0x0801, &[3], &[0, 255, 1]), &format!("b{}", gap(1, 255, 2)));
    check("b", idx(0x0801, &[3], &[1, 2, 2]), &format!("b{}", gap(1, 2, 0)));
    check("b", idx(0x0801, &[3], &[0, 3, 1]), &format!("b{}", gap(1, 3, 2)));
    check("d", idx(0x0801, &[1], &[4]), &format!("d{}", gap(0, 4, 3)));
    check("d", gzip(&idx(0x0801, &[1], &[255])), &format!("d{}", gap(0, 255, 3)));
}

#[test]
fn the_embedded_images_load_in_parts() {
    let config = DatasetConfig {
        train: Count::Exactly(1_000),
        test: Count::Exactly(500),
        validation: 800,
        ..DatasetConfig::new(DatasetSource::Mnist10k)
    };
    let nowhere = Path::new("/nowhere");
    let dataset = load(&config, nowhere, nowhere).unwrap();
    assert_eq!([dataset.train.len(), dataset.validation.len(), dataset.test.len()], [1_000, 800, 500]);
    let smaller = DatasetConfig { test: Count::Exactly(20), ..config.clone() };
    let smaller = load(&smaller, nowhere, nowhere).unwrap();
    assert_eq!((&smaller.train, &smaller.validation), (&dataset.train, &dataset.validation));
    let fewer = load(&DatasetConfig { train: Count::Exactly(20), ..config }, nowhere, nowhere).unwrap();
    assert_eq!((&fewer.test, &fewer.validation), (&dataset.test, &dataset.validation));
    let held_out = DatasetConfig {
        validation: 700,
        validation_from: ValidationFrom::Test,
        ..DatasetConfig::new(DatasetSource::Mnist10k)
    };
    let all = load(&DatasetConfig::new(DatasetSource::Mnist10k), nowhere, nowhere).unwrap();
    let held_out = load(&held_out, nowhere, nowhere).unwrap();
    assert_eq!((held_out.validation.len(), held_out.test.len()), (700, 1_300));
    assert_eq!(held_out.train, all.train);
    assert!((0..700).all(|at| (0..2_000).any(|of| all.test.image(of) == held_out.validation.image(at))));
}

#[test]
fn what_needs_no_files_is_checked_before_they_are_looked_for() {
    let config = |source| DatasetConfig { validation: 60_000, ..DatasetConfig::new(source) };
    let load = |config| load(&config, Path::new("/nowhere"), Path::new("/nowhere")).unwrap_err();
    assert!(matches!(load(config(DatasetSource::Mnist)), DatasetError::Split(_)));
    assert!(matches!(load(DatasetConfig::new(DatasetSource::Mnist)), DatasetError::Missing { .. }));
    let normalize = Normalize::Standard { mean: vec![0.5], std: vec![0.5] };
    let config = DatasetConfig { normalize, ..DatasetConfig::new(DatasetSource::Cifar10) };
    assert!(matches!(load(config), DatasetError::Normalize(_)));
}

#[test]
fn a_small_file_in_mnists_place_is_not_mnist() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("mnist");
    fs::create_dir(&home).unwrap();
    for file in published::MNIST.files {
        let kind =
            if file.name.contains("images") { (0x0803, &[3, 2, 1][..], 6) } else { (0x0801, &[3][..], 3) };
        fs::write(home.join(file.name), idx(kind.0, kind.1, &vec![0; kind.2])).unwrap();
    }
    let error = load(&DatasetConfig::new(DatasetSource::Mnist), folder.path(), folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("byte 4: 3 images, MNIST has 60000 here; for files of your own"),
        "{error}"
    );
}

#[test]
fn real_mnist() {
    let Some(folder) = data_dir("mnist") else { return };
    let dataset = load(&DatasetConfig::new(DatasetSource::Mnist), &folder, &folder).unwrap();
    assert_eq!([dataset.train.len(), dataset.test.len()], [60_000, 10_000]);
    assert_eq!(dataset.train.classes()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(dataset.test.classes()[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    let first = load(&DatasetConfig::new(DatasetSource::Mnist10k), &folder, &folder).unwrap();
    assert_eq!(dataset.train.image(7_999), first.train.image(7_999));
    assert_eq!(dataset.train.image(9_999), first.test.image(1_999));
}

#[test]
fn real_mnist_in_the_wrong_place_is_refused() {
    let Some(folder) = data_dir("mnist") else { return };
    for part in 0..4 {
        let path = folder.join("mnist").join(published::MNIST.files[part].name);
        read::published(&published::MNIST, part, &path).unwrap();
        let error = read::published(&published::FASHION_MNIST, part, &path).unwrap_err().to_string();
        assert!(error.contains("this is MNIST, not Fashion-MNIST (the two have"), "{error}");
    }
    let other = tempfile::NamedTempFile::new().unwrap();
    fs::write(other.path(), idx(0x0801, &[10_000], &[0; 10_000])).unwrap();
    let error = read::published(&published::MNIST, 3, other.path()).unwrap_err();
    assert!(error.to_string().contains("this is not MNIST's content"), "{error}");
    read::published(&published::FASHION_MNIST, 3, other.path()).unwrap();
}

#[test]
fn real_mnist_in_another_wrapping_is_not_fetched_again() {
    let Some(folder) = data_dir("mnist") else { return };
    let mut events = Vec::new();
    fetch::fetch("mnist", &folder, Some("http://127.0.0.1:9"), &mut |event| events.push(event)).unwrap();
    let there = |event: &fetch::FetchProgress| {
        matches!(event, fetch::FetchProgress::LeftAlone { .. } | fetch::FetchProgress::Present { .. })
    };
    assert!(events.len() == 4 && events.iter().all(there), "{events:?}");
}

#[test]
fn real_cifar10() {
    let Some(folder) = data_dir("cifar10") else { return };
    let dataset = load(&DatasetConfig::new(DatasetSource::Cifar10), &folder, &folder).unwrap();
    let (train, test) = (&dataset.train, &dataset.test);
    assert_eq!([train.len(), test.len()], [50_000, 10_000]);
    let per_class = |labels: &[u8]| {
        let mut counts = [0; 10];
        for &label in labels {
            counts[usize::from(label)] += 1;
        }
        counts
    };
    assert_eq!((per_class(train.classes()), per_class(test.classes())), ([5_000; 10], [1_000; 10]));
    // The channel means that everyone normalizes CIFAR-10 with.
    for (channel, mean) in [0.4914, 0.4822, 0.4465].into_iter().enumerate() {
        let planes = train.bytes().chunks_exact(1024).skip(channel).step_by(3);
        let sum: u64 = planes.map(|plane| plane.iter().map(|&byte| u64::from(byte)).sum::<u64>()).sum();
        let found = sum as f64 / (255.0 * 1024.0 * 50_000.0);
        assert!((found - mean).abs() < 5e-5, "channel {channel}: {found}");
    }
}

fn npz(train: &str, test: Option<&str>) -> DatasetSource {
    let name = |name: &str| format!("{name}.npz");
    DatasetSource::Npz { train: name(train), test: test.map(name), order: SideOrder::Nchw }
}

fn load_npz(config: &DatasetConfig) -> Result<Dataset, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/datasets");
    load(config, Path::new("/nowhere"), &folder).map_err(|error| error.to_string())
}

/// The archives were made by `NumPy` (`tests/datasets/make.py`).
#[test]
fn archives_of_numpy_are_datasets() {
    let bytes = load_npz(&DatasetConfig::new(npz("bytes", None))).unwrap();
    assert_eq!((bytes.train.shape, bytes.train.len(), bytes.test.len()), ([2, 1, 3], 6, 0));
    assert_eq!(bytes.train.numbers(&[1]), [42.0, 49.0, 56.0, 63.0, 70.0, 77.0].map(|byte: f32| byte / 255.0));
    assert_eq!(*bytes.train.labels.as_ref().unwrap(), Labels::numbered(3, vec![0, 1, 2, 0, 1, 2]));
    let channels_last =
        DatasetSource::Npz { train: "channels_last.npz".to_owned(), test: None, order: SideOrder::Nhwc };
    assert_eq!(load_npz(&DatasetConfig::new(channels_last)).unwrap().train.hash(), bytes.train.hash());

    let rows = load_npz(&DatasetConfig::new(npz("rows", Some("compressed")))).unwrap();
    assert_eq!((rows.train.shape, &rows.train.pixels), ([4, 1, 1], &rows.test.pixels));
    assert_eq!(rows.train.numbers(&[0])[1], (-1.0 + 2.0 / 23.0) as f32);
    let labels = rows.train.labels.as_ref().unwrap();
    assert_eq!((labels.names.join(" "), &labels.numbers), ("ass hen ox".to_owned(), &vec![2, 0, 2, 1, 0, 2]));
    let names = Some(["hen", "ox", "cow", "ass"].map(str::to_owned).to_vec());
    let named = load_npz(&DatasetConfig { classes: names, ..DatasetConfig::new(npz("rows", None)) }).unwrap();
    let labels = named.train.labels.as_ref().unwrap();
    assert_eq!((labels.classes, &labels.numbers), (4, &vec![1, 3, 1, 0, 3, 1]));
    assert_ne!(named.train.hash(), rows.train.hash());

    let held_out = DatasetConfig {
        validation: 2,
        train: Count::Exactly(3),
        ..DatasetConfig::new(npz("unlabelled", None))
    };
    let held_out = load_npz(&held_out).unwrap();
    assert_eq!((held_out.train.len(), held_out.validation.len()), (3, 2));
    assert_eq!((held_out.train.labels.as_ref(), held_out.train.numbers(&[0]).len()), (None, 4));
}

#[test]
fn archives_that_do_not_fit_are_refused() {
    let check = |config: &DatasetConfig, expected: &str| {
        let told = load_npz(config).unwrap_err();
        assert!(told.contains(expected), "{told}\nlacks: {expected}");
    };
    let of = |train, test| DatasetConfig::new(npz(train, test));
    check(
        &of("bytes", Some("rows")),
        "rows.npz: images of 4 × 1 × 1 pixels, the training images have 2 × 1 × 3",
    );
    check(
        &of("rows", Some("unlabelled")),
        "unlabelled.npz: one of the two files has labels, the other has none",
    );
    check(&of("rows", Some("none")), "test: ");
    check(
        &DatasetConfig { normalize: Normalize::UnitRange, ..of("rows", None) },
        "normalize: UnitRange and Bytes are of bytes",
    );
    check(
        &DatasetConfig { normalize: Normalize::None, ..of("bytes", None) },
        "`Bytes` keeps them as 0 to 255",
    );
    check(&DatasetConfig { test: Count::Exactly(1), ..of("rows", None) }, "there are no test images");
    check(
        &DatasetConfig { classes: Some(vec!["ox".to_owned()]), ..of("rows", None) },
        "label \"ass\" of image 1 is none of",
    );
    let twice = Some(vec!["ox".to_owned(), "ox".to_owned()]);
    check(&DatasetConfig { classes: twice, ..of("rows", None) }, "classes: \"ox\" is there twice");
    let names = Some(vec!["a".to_owned()]);
    check(
        &DatasetConfig { classes: names, ..DatasetConfig::new(DatasetSource::Mnist10k) },
        "classes: 1 names for 10 classes",
    );
}

#[test]
fn rows_of_text_are_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    write("a.csv", "\u{feff}wide,kind,high\n1,3,2\n3,5,4\n");
    fs::write(folder.path().join("b.csv"), gzip(b"wide,kind,high\n5,3,-6\n")).unwrap();
    write("c.csv", "high,kind,wide\n1,3,2\n");
    let csv = |test: &str| DatasetSource::Csv {
        train: "a.csv".to_owned(),
        test: Some(test.to_owned()),
        label: Some("kind".to_owned()),
    };
    let standard = Normalize::Standard { mean: vec![1.0, 2.0], std: vec![2.0, 4.0] };
    let load = |config: &DatasetConfig| load(config, Path::new("/nowhere"), folder.path());
    let data = load(&DatasetConfig { normalize: standard, ..DatasetConfig::new(csv("b.csv")) }).unwrap();
    assert_eq!(
        (data.train.numbers(&[0, 1]), data.test.numbers(&[0])),
        (vec![0.0, 0.0, 1.0, 0.5], vec![2.0, -2.0])
    );
    let labels = data.train.labels.as_ref().unwrap();
    assert_eq!((labels.class_names(), data.test.classes()), (vec!["3".to_owned(), "5".to_owned()], &[0][..]));
    let told = load(&DatasetConfig::new(csv("c.csv"))).unwrap_err().to_string();
    assert!(
        told.ends_with(
            "c.csv: line 1: column \"high\" stands where the training rows have \"wide\"; the order counts"
        ),
        "{told}"
    );
}
