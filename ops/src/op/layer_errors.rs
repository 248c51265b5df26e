//! The series of a quantization: errors per tensor, and bytes, cost and output error per calibrated layer.

use std::collections::BTreeMap;

use fewbits_store::Series;

use crate::calibration::layers::Calibrated;
use crate::quantize::{Distortion, Quantized, Quantizer};

/// The axis of the series per layer.
pub const LAYER: &str = "layer";

/// Returns the mean over layers of the error of their outputs; `None` without a layer that has one.
pub(crate) fn mean_error(calibrated: &Calibrated) -> Option<f64> {
    let errors: Vec<f64> = calibrated.output_errors.iter().filter_map(|(_, error)| *error).collect();
    (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
}

/// Returns bytes, multiply-accumulates and errors of each layer whose weight is quantized.
pub(crate) fn layer_series(
    quantizer: &Quantizer,
    calibrated: &Calibrated,
    quantized: &Quantized,
) -> BTreeMap<String, Series> {
    let model = &calibrated.model;
    let names: Vec<String> = calibrated.output_errors.iter().map(|(name, _)| name.clone()).collect();
    let of = |value: &dyn Fn(&str) -> f64| Series {
        along: LAYER.to_owned(),
        names: names.clone(),
        values: names.iter().map(|name| value(name)).collect(),
    };
    let bytes = |name: &str| {
        let own = model
            .tensors()
            .iter()
            .filter(|(tensor, _)| tensor.rsplit_once('.').is_some_and(|(of, _)| of == name));
        quantizer.size(own.map(|(tensor, array)| (tensor.as_str(), array.shape()))).bytes as f64
    };
    let layer = |name: &str| model.network().layers.iter().find(|layer| layer.name == name);
    let cost = |name: &str| {
        layer(name).map_or(0, |layer| layer.op.multiply_accumulates(layer.input(), layer.output)) as f64
    };
    let ratio = |name: &str| {
        let report = quantized
            .reports
            .iter()
            .find(|report| report.name.rsplit_once('.').is_some_and(|(of, _)| of == name));
        report.and_then(|report| report.distortion.sqnr_db).unwrap_or(f64::NAN)
    };
    let errors: BTreeMap<&str, f64> = calibrated
        .output_errors
        .iter()
        .map(|(name, error)| (name.as_str(), error.unwrap_or(f64::NAN)))
        .collect();
    BTreeMap::from([
        ("layer_bytes".to_owned(), of(&bytes)),
        ("layer_multiply_accumulates".to_owned(), of(&cost)),
        ("layer_sqnr_db".to_owned(), of(&ratio)),
        ("output_error".to_owned(), of(&|name| errors[name])),
    ])
}

/// Returns the errors per tensor.
pub(crate) fn tensor_series(quantized: &Quantized) -> BTreeMap<String, Series> {
    let names: Vec<String> = quantized.reports.iter().map(|report| report.name.clone()).collect();
    let of = |value: fn(&Distortion) -> f64| Series {
        along: "tensor".to_owned(),
        names: names.clone(),
        values: quantized.reports.iter().map(|report| value(&report.distortion)).collect(),
    };
    let scales = quantized.reports.iter().map(|report| f64::from(report.scale)).collect();
    BTreeMap::from([
        ("flushed".to_owned(), of(|lost| lost.flushed)),
        ("max_error".to_owned(), of(|lost| lost.max_error)),
        ("mse".to_owned(), of(|lost| lost.mse)),
        ("saturated".to_owned(), of(|lost| lost.saturated)),
        ("scale".to_owned(), Series { along: "tensor".to_owned(), names: names.clone(), values: scales }),
        ("sqnr_db".to_owned(), of(|lost| lost.sqnr_db.unwrap_or(f64::NAN))),
    ])
}
