//! The outputs against `tests/integer/reference.py`, which was written from docs/integer.md alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use rayon::prelude::*;

use super::{ActivationFormat, RangeFit, hostile, integer_model, networks};
use crate::dataset::images::Images;
use crate::dataset::normalize::Normalize;
use crate::export::c::tests::integers::export;
use crate::export::qdq;
use crate::network::every_layer::{images, normalize};
use crate::network::model::Model;
use crate::scale::Per;

/// Runs the reference on the exported files of a network.
fn check(python: &Path, model: &Model, images: &Images, normalize: &Normalize, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    export(model, images, Some(normalize), folder.path());
    let network = folder.path().join("small.onnx");
    fs::write(&network, qdq::write(model, "{}").unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/integer/reference.py");
    let ended = Command::new(python).arg(script).arg(&network).arg(folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && told.ends_with("16 of 16 images equal to the bit\n"),
        "{what}: {told}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn a_reference_from_the_specification_gives_the_same_outputs() {
    let Some(python) = std::env::var_os("FEWBITS_PYTHON") else {
        eprintln!("FEWBITS_PYTHON is not set: the reference in NumPy does not run");
        return;
    };
    let python = Path::new(&python);
    let has = Command::new(python).args(["-c", "import numpy, onnx"]).output();
    if !has.is_ok_and(|ended| ended.status.success()) {
        eprintln!("numpy or onnx is missing: the reference in NumPy does not run");
        return;
    }
    for model in networks() {
        for (bits, per, activations, fit) in
            [(8, Per::Channel, 8, RangeFit::MinMax), (3, Per::Tensor, 5, RangeFit::LeastSquares)]
        {
            let activations = ActivationFormat { bits: activations, fit };
            let model = integer_model(&model, bits, per, activations, &images());
            check(python, &model, &images(), &normalize(), &format!("{bits} bits"));
        }
    }
    (0..36_u64).into_par_iter().for_each(|seed| {
        let (model, images) = (hostile::network(seed), hostile::images(seed));
        check(python, &model, &images, &hostile::normalize(seed), &format!("hostile {seed}"));
    });
}
