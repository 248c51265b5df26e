//! The fields of a quantization: `format`, `rounding`, `scale`; and those of single layers, which change the general one.

use std::collections::BTreeMap;

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::mismatch;
use fewbits_engine::text::value::{Struct, Value, ValueKind};

use crate::format::{Format, Rounding};
use crate::quantize::Quantization;
use crate::scale::Scale;

/// Reads format, rounding and scale. Missing fields come from `usual`; a new format comes with its own scale.
pub(super) fn read_quantization(
    fields: &mut Fields<'_>,
    usual: Option<&Quantization>,
    faults: &mut Faults,
) -> Option<Quantization> {
    fields.about(&[
        ("format", "The number format of the weights."),
        ("rounding", "How a number goes to a code."),
        ("scale", "What weights are divided by before rounding; without it, the format's own."),
    ]);
    let owned = usual.cloned();
    let (has_format, scale_span) = (fields.has("format"), fields.span_of("scale"));
    let format: Option<Format> = match &owned {
        Some(usual) => fields.optional("format", usual.format.clone(), faults),
        None => fields.required("format", faults),
    };
    let usual_rounding = owned.as_ref().map_or(Rounding::Nearest, |usual| usual.rounding);
    let rounding = fields.optional("rounding", usual_rounding, faults);
    fields.otherwise("scale", "the format's own");
    let scale = match fields.take("scale") {
        Some(value) => read_scale(value, format.as_ref(), faults).ok(),
        // The usual scale was checked together with its format.
        None if !has_format && let Some(usual) = &owned => {
            return Some(Quantization { format: format?, rounding: rounding?, scale: usual.scale });
        }
        None => Some(None),
    };
    match Quantization::new(format?, rounding?, scale?) {
        Ok(quantization) => Some(quantization),
        Err(error) => {
            faults.add(scale_span, error.to_string(), "");
            None
        }
    }
}

/// A value with faults, which are told.
struct Faulty;

/// Reads a scale of a format; `None` stands for the format's own.
fn read_scale(value: &Value, format: Option<&Format>, faults: &mut Faults) -> Result<Option<Scale>, Faulty> {
    // `Own` lets one axis hold formats that include a scale and formats that take one.
    if is_named(value, "Own") {
        let is_whole = Fields::open(value, "Own", faults).is_some_and(|fields| fields.finish(faults));
        return if is_whole { Ok(None) } else { Err(Faulty) };
    }
    let scale = Scale::from_value(value, faults).ok_or(Faulty)?;
    Ok(Some(with_usual_fit(scale, value, format.ok_or(Faulty)?)))
}

/// Reads `formats`, a list of formats to choose from, with the general `rounding` and `scale` of those that have none of their
/// own: `[Int(3), (format: Int(4), scale: Real(per: Channel))]`.
pub(super) fn read_list(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Vec<Quantization>> {
    fields.about(&[
        ("rounding", "How a number goes to a code, for formats without a rounding of their own."),
        ("scale", "What weights are divided by before rounding, for formats without a scale of their own."),
    ]);
    let span = fields.span_of("formats");
    let items: Option<Vec<Value>> = fields.required("formats", faults);
    let rounding: Option<Rounding> = fields.optional("rounding", Rounding::Nearest, faults);
    fields.otherwise("scale", "each format's own");
    let scale = fields.take("scale");
    // A scale with a fault is one even if every format has its own.
    let is_scale_whole =
        scale.is_none_or(|scale| is_named(scale, "Own") || Scale::from_value(scale, faults).is_some());
    let items = items?;
    let mut all: Vec<Quantization> = vec![];
    let mut whole = is_scale_whole && rounding.is_some();
    // With a fault in the rounding, the other faults are still found.
    let rounding = rounding.unwrap_or(Rounding::Nearest);
    for item in &items {
        match read_item(item, rounding, scale, faults) {
            Some(quantization) if all.contains(&quantization) => {
                faults.add(item.span, "this format is there twice", "remove one of the two");
                whole = false;
            }
            Some(quantization) => all.push(quantization),
            None => whole = false,
        }
    }
    if items.is_empty() {
        faults.add(span, "there is no format to choose", "list at least one, such as `[Int(3), Int(4)]`");
        return None;
    }
    whole.then_some(all)
}

/// Reads a format of a list.
fn read_item(
    value: &Value,
    rounding: Rounding,
    scale: Option<&Value>,
    faults: &mut Faults,
) -> Option<Quantization> {
    let (format, rounding, own) = match &value.kind {
        ValueKind::Struct(Struct { name: None, .. }) => {
            let mut fields = Fields::open(value, "(…)", faults)?;
            fields.about(&[
                ("format", "The number format."),
                ("rounding", "How a number goes to a code; without it, the general one."),
                ("scale", "What weights are divided by before rounding; without it, the general one."),
            ]);
            let format: Option<Format> = fields.required("format", faults);
            let rounding = fields.optional("rounding", rounding, faults);
            fields.otherwise("scale", "the general one");
            let own = fields.take("scale");
            fields.finish(faults);
            (format?, rounding?, own)
        }
        _ => (Format::from_value(value, faults)?, rounding, None),
    };
    let scale = match own.or(scale) {
        Some(scale) => read_scale(scale, Some(&format), faults).ok()?,
        None => None,
    };
    match Quantization::new(format, rounding, scale) {
        Ok(quantization) => Some(quantization),
        Err(error) => {
            faults.add(value.span, error.to_string(), "");
            None
        }
    }
}

fn is_named(value: &Value, wanted: &str) -> bool {
    matches!(&value.kind, ValueKind::Struct(Struct { name: Some(name), .. }) if **name == *wanted)
}

/// Returns a scale with the usual fit of a format, if the text names no fit.
fn with_usual_fit(scale: Scale, value: &Value, format: &Format) -> Scale {
    let is_given = matches!(&value.kind, ValueKind::Struct(body) if body.fields.iter().any(|field| &*field.name == "fit"));
    match scale {
        Scale::Real { per, store, .. } if !is_given => Scale::Real { per, fit: format.usual_fit(), store },
        other => other,
    }
}

/// Reads a layer's override: `(format: Int(8), scale: …)`, or only a format. If the general quantization has faults, reports
/// the override's faults that do not depend on it.
pub(super) fn read_override(
    value: &Value,
    usual: Option<&Quantization>,
    faults: &mut Faults,
) -> Option<Quantization> {
    if let ValueKind::Struct(Struct { name: Some(_), .. }) = &value.kind {
        let format = Format::from_value(value, faults)?;
        return match Quantization::new(format, usual?.rounding, None) {
            Ok(quantization) => Some(quantization),
            Err(error) => {
                faults.add(value.span, error.to_string(), "");
                None
            }
        };
    }
    if !matches!(value.kind, ValueKind::Struct(_)) {
        mismatch(value, "a format for this layer, such as `Int(8)`, or `(format: …, scale: …)`", faults);
        return None;
    }
    let usual = usual?;
    let mut fields = Fields::open(value, "(…)", faults)?;
    let quantization = read_quantization(&mut fields, Some(usual), faults);
    fields.finish(faults).then_some(quantization?)
}

/// Reads `{"conv1": (format: Int(8))}`.
pub(super) fn read_layers(
    value: &Value,
    usual: Option<&Quantization>,
    faults: &mut Faults,
) -> Option<BTreeMap<String, Quantization>> {
    let ValueKind::Map(entries) = &value.kind else {
        mismatch(value, "a map from names of layers, `{\"conv1\": (format: …)}`", faults);
        return None;
    };
    let mut layers = BTreeMap::new();
    let mut whole = true;
    for (key, value) in entries {
        let (name, quantization) = (String::from_value(key, faults), read_override(value, usual, faults));
        let Some((name, quantization)) = name.zip(quantization) else {
            whole = false;
            continue;
        };
        if layers.insert(name.clone(), quantization).is_some() {
            faults.add(key.span, format!("layer `{name}` is there twice"), "remove one of the two");
            whole = false;
        }
    }
    whole.then_some(layers)
}
