//! The templates of `new`: the files of `experiments/`, built in.
//! Knows nothing of the file that is written.

use clap::builder::PossibleValuesParser;

/// The default template.
pub const FIRST: &str = TEMPLATES[0].0;

/// The name and text of each template; the first is for beginners.
pub const TEMPLATES: [(&str, &str); 16] = [
    ("minimal", include_str!("../../experiments/minimal.ron")),
    ("quickstart", include_str!("../../experiments/quickstart.ron")),
    ("formats", include_str!("../../experiments/formats.ron")),
    ("own", include_str!("../../experiments/own.ron")),
    ("algorithms", include_str!("../../experiments/algorithms.ron")),
    ("per-layer", include_str!("../../experiments/per-layer.ron")),
    ("faults", include_str!("../../experiments/faults.ron")),
    ("integers", include_str!("../../experiments/integers.ron")),
    ("mnist", include_str!("../../experiments/mnist.ron")),
    ("cifar10", include_str!("../../experiments/cifar10.ron")),
    ("mlperf-tiny", include_str!("../../experiments/mlperf-tiny.ron")),
    ("resnet8", include_str!("../../experiments/resnet8.ron")),
    ("paper-mnist", include_str!("../../experiments/paper-mnist.ron")),
    ("paper-cifar10", include_str!("../../experiments/paper-cifar10.ron")),
    ("ship-mnist", include_str!("../../experiments/ship-mnist.ron")),
    ("ship-cifar10", include_str!("../../experiments/ship-cifar10.ron")),
];

/// Returns a parser of template names.
pub fn names() -> PossibleValuesParser {
    TEMPLATES.map(|(name, _)| name).into()
}

/// Returns the text of a template, with `file` as the file name in its comments. `None` if there is no such template.
pub fn text(name: &str, file: &str) -> Option<String> {
    let (_, text) = TEMPLATES.iter().find(|(template, _)| *template == name)?;
    // A line break in the name would end the comment.
    let file = if file.contains(char::is_control) { "FILE" } else { file };
    Some(text.replace(&format!("experiments/{name}.ron"), file))
}
