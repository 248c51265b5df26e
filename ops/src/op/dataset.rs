//! `Dataset(source, train: All, test: All, validation: 0, validation_from: Train, seed: 0, normalize, classes)`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;

use fewbits_engine::ops::{Identity, Keeping, Misfit, NodeKind, OpError, Output, SourceContent, TaskSource};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::unfit;
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_engine::text::variant::{VariantReader, choice, read_variant};
use fewbits_store::Digest;
use serde_json::json;

use crate::dataset::images::{Images, Labels};
use crate::dataset::mnist10k;
use crate::dataset::normalize::Normalize;
use crate::dataset::source::{DatasetSource, SideOrder};
use crate::dataset::split::{Count, ValidationFrom};
use crate::dataset::survey::Survey;
use crate::dataset::{DatasetConfig, load};
use crate::network::fit::ImageKind;
use crate::standard::{Artifact, DatasetPort, StandardOps};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Dataset",
    inputs: &[],
    optional_input: None,
    output: Some("dataset"),
    parts: &["test", "train", "validation"],
    metrics: &["classes", "test_images", "train_images", "validation_images"],
    roles: &[],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 1;

/// A dataset to load.
#[derive(Debug)]
pub struct DatasetOp {
    config: DatasetConfig,
    /// What a first look at the user's files showed: ports and warnings need it.
    survey: OnceLock<Result<Option<Survey>, String>>,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<DatasetOp> {
    let spans = ["source", "train", "test", "validation", "normalize", "classes"];
    let spans = spans.map(|field| (field, fields.span_of(field)));
    let span = fields.span();
    fields.about(&[
        ("source", "The images: a published dataset, or your own files."),
        ("train", "The number of training images, drawn so that all classes keep their shares."),
        ("test", "The number of test images, drawn likewise."),
        ("validation", "The number of images that are kept apart to choose by."),
        ("validation_from", "The images that the validation images are taken from: test images where the network has seen the others."),
        ("seed", "The seed of the choice of images."),
        ("normalize", "How pixels become numbers."),
        ("classes", "The names of the classes, in the order of their numbers."),
    ]);
    let source: Option<DatasetSource> = fields.required("source", faults);
    let train = fields.optional("train", Count::All, faults);
    let test = fields.optional("test", Count::All, faults);
    let validation = fields.whole("validation", 0..=i64::MAX, Some(0), faults);
    let validation_from = fields.optional("validation_from", ValidationFrom::Train, faults);
    let seed = fields.whole("seed", 0..=i64::MAX, Some(0), faults);
    let normalize = fields.optional("normalize", Normalize::Default, faults);
    fields.otherwise("normalize", "UnitRange of bytes, None of floating-point numbers");
    let classes = fields.take("classes").map(|value| Vec::<String>::from_value(value, faults));
    fields.otherwise("classes", "the sorted labels");
    let config = DatasetConfig {
        source: source?,
        train: train?,
        test: test?,
        validation: validation? as usize,
        validation_from: validation_from?,
        seed: seed? as u64,
        normalize: normalize?,
        classes: classes.map_or(Some(None), |names| names.map(Some))?,
    };
    if let Err(error) = config.check() {
        let place = spans.iter().find(|(field, _)| Some(*field) == error.field());
        faults.add(place.map_or(span, |(_, span)| *span), error.to_string(), "");
        return None;
    }
    Some(DatasetOp { config, survey: OnceLock::new() })
}

impl DatasetOp {
    /// Returns how the pixels become numbers.
    #[must_use]
    pub fn normalize(&self) -> &Normalize {
        &self.config.normalize
    }

    /// Returns the names of the classes: those of the experiment or of the labels, else those that the publisher gives.
    #[must_use]
    pub fn class_names(&self, labels: &Labels) -> Vec<String> {
        let published = self.config.source.class_names().filter(|_| labels.names.is_empty());
        published.map_or_else(|| labels.class_names(), |names| names.map(str::to_owned).to_vec())
    }

    pub(crate) fn port(&self, ops: &StandardOps) -> DatasetPort {
        let source = &self.config.source;
        // A file with a fault is warned about, and fails the task.
        let survey = self.survey(ops).as_ref().ok().and_then(Option::as_ref);
        let published = || Some(ImageKind { shape: source.shape()?, classes: Some(source.classes()?) });
        let kind = survey.map(|survey| survey.kind).or_else(published);
        let has_labels = !matches!(source, DatasetSource::Csv { label: None, .. });
        DatasetPort {
            source: source.kind(),
            kind,
            validation: (self.config.validation > 0).then_some(self.config.validation_from),
            range: survey.map_or_else(|| self.config.range(), |survey| survey.range),
            has_test: source.has_test(),
            has_labels: kind.map_or(has_labels, |kind| kind.classes.is_some()),
        }
    }

    /// Returns the fault of a user's files, if they can be read within a moment.
    pub(crate) fn warnings(&self, ops: &StandardOps) -> Vec<String> {
        self.survey(ops).as_ref().err().cloned().into_iter().collect()
    }

    fn survey(&self, ops: &StandardOps) -> &Result<Option<Survey>, String> {
        self.survey.get_or_init(|| ops.surveys.of(&self.config, &ops.data_dir, &ops.base_dir))
    }

    pub(crate) fn identity(&self) -> Identity {
        let config = &self.config;
        let mut params = json!({
            "normalize": config.source.are_bytes().map_or_else(|| config.normalize.clone(), |are_bytes| config.normalize.resolved(are_bytes)),
            "source": config.source.kind(),
            "test": config.test,
            "train": config.train,
            "validation": config.validation,
        });
        // The default is not named, so that keys from before there was another hold.
        if config.validation > 0 && config.validation_from == ValidationFrom::Test {
            params["validation_from"] = json!(config.validation_from);
        }
        if let Some(names) = &config.classes {
            params["classes"] = json!(names);
        }
        match &config.source {
            DatasetSource::Npz { order: SideOrder::Nhwc, .. } => params["layout"] = json!(SideOrder::Nhwc),
            DatasetSource::Csv { label: Some(label), .. } => params["label"] = json!(label),
            _ => {}
        }
        if config.seed_matters() {
            params["seed"] = json!(config.seed);
        }
        Identity { op: "dataset", version: VERSION, params }
    }

    /// Returns the files that the op reads; a missing file is named by its expected path.
    pub(crate) fn sources(&self, ops: &StandardOps) -> Vec<TaskSource> {
        let source = &self.config.source;
        if let DatasetSource::Mnist10k = source {
            let digest = Digest::from_bytes(mnist10k::digest());
            return vec![TaskSource {
                name: "embedded".to_owned(),
                content: SourceContent::Embedded(digest),
            }];
        }
        let (files, missing) = match source.files(&ops.data_dir, &ops.base_dir) {
            Ok(files) => (files, String::new()),
            Err(error) => (source.expected_files(&ops.data_dir, &ops.base_dir), error.to_string()),
        };
        let need = |(name, path): (&'static str, _)| TaskSource {
            name: format!("file.{name}"),
            content: SourceContent::File { path, missing: missing.clone() },
        };
        files.into_iter().map(need).collect()
    }

    pub(crate) fn run(&self, ops: &StandardOps) -> Result<Output<Artifact>, OpError> {
        let data = load(&self.config, &ops.data_dir, &ops.base_dir)
            .map_err(|error| OpError::Failed(error.to_string()))?;
        let parts = [("test", &data.test), ("train", &data.train), ("validation", &data.validation)];
        let count = |images: &Images| images.len() as f64;
        let metrics = [
            ("classes", data.train.labels.as_ref().map(|labels| labels.classes as f64)),
            ("test_images", Some(count(&data.test))),
            ("train_images", Some(count(&data.train))),
            ("validation_images", Some(count(&data.validation))),
        ];
        let metrics =
            metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Ok(Output {
            parts: parts
                .iter()
                .map(|(name, images)| ((*name).to_owned(), Digest::from_bytes(images.hash())))
                .collect(),
            artifact: Some(Arc::new(Artifact::Dataset(data))),
            metrics,
            series: BTreeMap::new(),
            correct: None,
        })
    }
}

impl DatasetPort {
    /// Checks that images have labels, as far as it is known.
    pub(crate) fn check_labelled(&self) -> Result<(), Misfit> {
        if self.has_labels {
            return Ok(());
        }
        let (field, path, message) = ("data", vec![], "the images have no labels".to_owned());
        let hint = "give labels: the array `y` of a NumPy archive, or `label: \"column\"` of a CSV file; Compare works without labels";
        let hint = hint.to_owned();
        Err(Misfit { field, path, message, hint })
    }
}

impl FromValue for DatasetSource {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 7] = [
            ("Mnist10k", |_, _| Some(Self::Mnist10k)),
            ("Mnist", |_, _| Some(Self::Mnist)),
            ("FashionMnist", |_, _| Some(Self::FashionMnist)),
            ("Cifar10", |_, _| Some(Self::Cifar10)),
            ("Idx", |fields, faults| {
                fields.about(&[
                    ("train_images", "The file of the training images, in the format of MNIST."),
                    ("train_labels", "The file of their labels."),
                    ("test_images", "The file of the test images."),
                    ("test_labels", "The file of their labels."),
                ]);
                let [train_images, train_labels, test_images, test_labels] =
                    crate::dataset::source::IDX_FIELDS.map(|part| fields.required::<String>(part, faults));
                Some(Self::Idx {
                    train_images: train_images?,
                    train_labels: train_labels?,
                    test_images: test_images?,
                    test_labels: test_labels?,
                })
            }),
            ("Npz", |fields, faults| {
                fields.about(&[
                    ("train", "The .npz file of the training images: arrays `x` and `y`."),
                    ("test", "The .npz file of the test images."),
                    ("layout", "Where the channels of an image stand."),
                ]);
                let train = fields.required("train", faults);
                let test = fields.take("test").map(|value| String::from_value(value, faults));
                fields.otherwise("test", "no test images");
                let order = fields.optional("layout", SideOrder::Nchw, faults);
                Some(Self::Npz {
                    train: train?,
                    test: test.map_or(Some(None), |path| path.map(Some))?,
                    order: order?,
                })
            }),
            ("Csv", |fields, faults| {
                fields.about(&[
                    ("train", "The CSV file of the training rows; its first line names the columns."),
                    ("test", "The CSV file of the test rows."),
                    ("label", "The column of the labels."),
                ]);
                let train = fields.required("train", faults);
                let test = fields.take("test").map(|value| String::from_value(value, faults));
                fields.otherwise("test", "no test images");
                let label = fields.take("label").map(|value| String::from_value(value, faults));
                fields.otherwise("label", "no labels");
                Some(Self::Csv {
                    train: train?,
                    test: test.map_or(Some(None), |path| path.map(Some))?,
                    label: label.map_or(Some(None), |name| name.map(Some))?,
                })
            }),
        ];
        read_variant(value, "a source", &variants, faults)
    }
}

impl FromValue for SideOrder {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [("Nchw", Self::Nchw), ("Nhwc", Self::Nhwc)];
        choice(value, "an order of sides", &choices, faults)
    }
}

impl FromValue for Count {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        match value.kind {
            ValueKind::Int(count) if count > 0 => Some(Self::Exactly(count as usize)),
            _ if value.bare_name() == Some("All") => Some(Self::All),
            _ => {
                unfit(value, "`All` or a number of images", faults);
                None
            }
        }
    }
}

impl FromValue for ValidationFrom {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        choice(
            value,
            "where validation images come from",
            &[("Train", Self::Train), ("Test", Self::Test)],
            faults,
        )
    }
}

impl FromValue for Normalize {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 4] = [
            ("UnitRange", |_, _| Some(Self::UnitRange)),
            ("Bytes", |_, _| Some(Self::Bytes)),
            ("None", |_, _| Some(Self::None)),
            ("Standard", |fields, faults| {
                fields.about(&[
                    ("mean", "What is subtracted, per channel, from pixels of 0 to 1 or from numbers."),
                    ("std", "What the difference is divided by, per channel."),
                ]);
                let mean: Option<Vec<f64>> = fields.required("mean", faults);
                let std: Option<Vec<f64>> = fields.required("std", faults);
                Some(Self::Standard { mean: mean?, std: std? })
            }),
        ];
        read_variant(value, "a normalization", &variants, faults)
    }
}
