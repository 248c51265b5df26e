//! The experiments that `new` writes: those of `experiments/`, as they are there.
//! Knows nothing of files.

use clap::builder::PossibleValuesParser;

/// The template that is taken where none is named.
pub const FIRST: &str = TEMPLATES[0].0;

/// Name and text of each template; the first is for who has written none yet.
pub const TEMPLATES: [(&str, &str); 9] = [
    ("minimal", include_str!("../../experiments/minimal.ron")),
    ("quickstart", include_str!("../../experiments/quickstart.ron")),
    ("formats", include_str!("../../experiments/formats.ron")),
    ("mnist", include_str!("../../experiments/mnist.ron")),
    ("cifar10", include_str!("../../experiments/cifar10.ron")),
    ("paper-mnist", include_str!("../../experiments/paper-mnist.ron")),
    ("paper-cifar10", include_str!("../../experiments/paper-cifar10.ron")),
    ("ship-mnist", include_str!("../../experiments/ship-mnist.ron")),
    ("ship-cifar10", include_str!("../../experiments/ship-cifar10.ron")),
];

/// Returns a parser of the templates' names.
pub fn names() -> PossibleValuesParser {
    TEMPLATES.map(|(name, _)| name).into()
}

/// Returns the text of a template for a file, which its comments then name; none if there is no such template.
pub fn text(name: &str, file: &str) -> Option<String> {
    let (_, text) = TEMPLATES.iter().find(|(template, _)| *template == name)?;
    // A name that would end the comment it is put in is left out.
    let file = if file.contains(char::is_control) { "FILE" } else { file };
    Some(text.replace(&format!("experiments/{name}.ron"), file))
}
