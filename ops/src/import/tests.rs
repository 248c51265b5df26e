//! Networks of others: those of the datasets' folder, and the models that the `onnx` package tests runtimes with. The
//! tests say what they leave out where files are missing.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rten_onnx::onnx::TensorProto;
use rten_onnx::protobuf::{DecodeMessage, ValueReader};

use super::*;
use crate::import::golden::relative_difference;
use crate::network::layer::LayerOp;

/// The largest difference relative to the largest output.
const MOST: f64 = 1e-4;

fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("FEWBITS_DATA_DIR").map(|data| PathBuf::from(data).join("models"));
    let found = folder.filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("not tested: FEWBITS_DATA_DIR names no folder with models/");
    }
    found
}

#[test]
fn networks_of_others_give_the_outputs_of_other_runtimes() {
    let Some(folder) = models() else { return };
    // The numbers of parameters are those of the published descriptions; that of the last is a sum over its tensors.
    let expected = [
        ("mlperf_tiny_resnet8", 77_706, [3, 32, 32], 10),
        ("mlperf_tiny_vww96", 210_850, [3, 96, 96], 2),
        ("mltk_dscnn_kws", 22_604, [1, 50, 10], 12),
        ("qonnx_mnist_conv", 5_994, [1, 28, 28], 10),
    ];
    for (name, parameters, input, classes) in expected {
        let imported = Import::read(&folder.join(format!("{name}.onnx")), None).unwrap();
        let network = imported.model().network();
        assert_eq!((network.input, network.classes), (input, classes), "{name}");
        assert_eq!(network.parameter_count(), parameters, "{name}");
        let difference = imported.golden_difference(&folder.join(format!("{name}.golden.npz"))).unwrap();
        assert!(difference < MOST, "{name}: {difference}");
    }
}

/// The networks were exported by `PyTorch`, with the outputs that it computes (`tests/networks/make.py`).
#[test]
fn networks_of_pytorch_give_its_outputs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks");
    // The number of batch normalizations and rescalings that cannot be merged into a convolution.
    for (name, golden, input, affines) in [
        ("residual", "residual", [3, 9, 8], 0),
        ("newest", "residual", [3, 9, 8], 0),
        ("inverted", "inverted", [1, 10, 8], 0),
        ("branches", "branches", [2, 7, 6], 0),
        ("channels_last", "channels_last", [3, 9, 8], 1),
        ("pools", "pools", [2, 13, 12], 2),
        ("one_channel", "one_channel", [1, 9, 8], 0),
        ("one_channel_last", "one_channel_last", [1, 9, 8], 0),
        ("along_time", "along_time", [3, 1, 16], 0),
        // Its sigmoid is left out, as a softmax is.
        ("single", "single", [4, 1, 1], 0),
    ] {
        let imported = Import::read(&folder.join(format!("{name}.onnx")), None).unwrap();
        let network = imported.model().network();
        assert_eq!(network.input, input, "{name}");
        let difference = imported.golden_difference(&folder.join(format!("{golden}.golden.npz"))).unwrap();
        assert!(difference < MOST, "{name}: {difference}");
        let found = network.layers.iter().filter(|layer| layer.op == LayerOp::Affine).count();
        assert_eq!(found, affines, "{name}");
    }
    let other = Import::read(&folder.join("residual.onnx"), None).unwrap();
    let told = other.golden_difference(&folder.join("branches.golden.npz")).unwrap_err().to_string();
    assert!(told.ends_with("`input` has the shape [5, 2, 7, 6]; the network takes 3 x 9 x 8"), "{told}");
}

/// A shape that doubles with each node takes neither time nor memory.
#[test]
fn shapes_of_shapes_are_refused_at_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks/joints.onnx");
    let told = Import::read(&path, None).unwrap_err().to_string();
    assert!(told.contains("it makes more than 16777216 numbers"), "{told}");
}

/// The version of the `onnx` package whose models the list beside this file has.
const ONNX: &str = "1.23.2";

/// Returns the folder of the models of the `onnx` package.
fn onnx_package() -> Option<PathBuf> {
    let python = std::env::var("FEWBITS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = format!(
        "import onnx, os; assert onnx.__version__ == '{ONNX}'; \
         print(os.path.join(os.path.dirname(onnx.__file__), 'backend', 'test', 'data'))"
    );
    let output =
        Command::new(&python).args(["-c", &script]).output().ok().filter(|output| output.status.success());
    let folder = output.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if folder.is_none() {
        eprintln!("not tested: `{python}` has no package onnx {ONNX}; FEWBITS_PYTHON names one that has");
    }
    folder
}

/// Every model either gives its golden outputs or is refused for a reason that the list beside this file has.
#[test]
fn models_of_the_onnx_package_pass_or_are_refused() {
    let Some(folder) = onnx_package() else { return };
    let mut lines = String::new();
    for set in ["pytorch-converted", "pytorch-operator", "simple"] {
        let mut cases: Vec<PathBuf> =
            fs::read_dir(folder.join(set)).unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        for case in cases {
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            let verdict =
                verdict(&case).map_or_else(|why| format!("refused: {why}"), |()| "passes".to_owned());
            writeln!(lines, "{set}/{name} {verdict}").unwrap();
        }
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/onnx_models.txt");
    if std::env::var_os("FEWBITS_BLESS").is_some() {
        fs::write(&list, &lines).unwrap();
    }
    let expected = fs::read_to_string(&list).unwrap();
    for (found, expected) in lines.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(lines.lines().count(), expected.lines().count());
}

/// Runs a model on its golden inputs. Errors with the reason if it is refused.
fn verdict(case: &Path) -> Result<(), String> {
    let graph = onnx_file::read(&case.join("model.onnx")).map_err(|error| {
        let text = error.to_string();
        text.split_once(".onnx: ").map_or(text.clone(), |(_, what)| what.to_owned())
    })?;
    let imported = convert(&graph, None, OutputRule::Anything).map_err(|nodes| {
        let mut nodes = nodes;
        nodes.truncate(3);
        nodes.join("; ")
    })?;
    for set in 0.. {
        let data = case.join(format!("test_data_set_{set}"));
        if !data.is_dir() {
            assert!(set > 0, "{}: no golden outputs", case.display());
            break;
        }
        let found = imported.outputs(tensor(&data.join("input_0.pb"))).unwrap();
        let expected = tensor(&data.join("output_0.pb"));
        assert_eq!(found.len(), expected.len(), "{}", case.display());
        let difference = relative_difference(&found, &expected);
        if difference.is_nan() || difference >= MOST {
            return Err(format!("DIFFERS by {difference}"));
        }
    }
    Ok(())
}

/// Returns the numbers of a tensor file.
fn tensor(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let proto = TensorProto::decode(ValueReader::from_buf(&bytes)).unwrap();
    tensor::tensor(path, &proto).unwrap().as_floats()
}
