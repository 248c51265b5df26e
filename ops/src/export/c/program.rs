//! The files of an exported network: header, source, tables, test, Makefile, manifest and README. Knows nothing of their place on
//! disk.

use serde_json::{Value as Json, json};
use thiserror::Error;

use super::integer;
use super::literal;
use super::name::MOST_LETTERS;
use super::schedule::Schedule;
use super::source::{ByteRule, Source};
use super::table::{Table, Tables};
use crate::backend::own::inference::{self, InferenceError};
use crate::dataset::images::{Images, Pixels};
use crate::dataset::normalize::Normalize;
use crate::integer::error::IntegerError;
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::quantize::Encoded;

/// The most numbers in a tensor or a scratch buffer: places are counted in bits, of at most 32 per number, with 32-bit integers.
pub(super) const MOST_NUMBERS: usize = 1 << 27;

/// A network to export.
pub struct Export<'a> {
    /// The name of the files, and in front of every public name: a C identifier.
    pub name: &'a str,
    /// The network.
    pub model: &'a Model,
    /// Its tensors, with their codes.
    pub tensors: &'a [Encoded],
    /// The images of the test.
    pub images: &'a Images,
    /// How the bytes of images become numbers; `None` if images are numbers.
    pub normalize: Option<&'a Normalize>,
    /// The names of the classes: one for each output, or two for a single output.
    pub classes: &'a [String],
    /// A sentence on the network's origin.
    pub about: &'a str,
    /// The facts for the manifest: task, key, parameters, metrics, sources.
    pub facts: &'a Json,
}

/// The files of a network in C.
#[derive(Debug)]
pub struct Program {
    /// The names of the files, each with its text.
    pub files: Vec<(String, String)>,
    /// The bytes of the constant tables.
    pub weight_bytes: usize,
    /// The bytes of the scratch buffer.
    pub scratch_bytes: usize,
}

/// An error in the export of a network as C.
#[derive(Debug, Error)]
pub enum CError {
    /// The name cannot be used in C.
    #[error(
        "{name:?} cannot name the C files; choose at most {MOST_LETTERS} letters, digits and single _, which begin with a letter, do not end with _ and are neither a header of C nor `test`, `main`, `startup`, `layer`, `range` or `factors`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A tensor has too many numbers.
    #[error(
        "{what} has {numbers} numbers; the C code counts the bits of at most {MOST_NUMBERS} with 32-bit integers"
    )]
    Size {
        /// The tensor, or the scratch buffer.
        what: String,
        /// Its numbers.
        numbers: usize,
    },
    /// A number is infinite or NaN.
    #[error("{tensor}: element {element} is {value}; only finite weights are exported")]
    Weight {
        /// The tensor.
        tensor: String,
        /// The element in the flattened tensor.
        element: usize,
        /// The number.
        value: f32,
    },
    /// A layer that occurs in training only.
    #[error("layer {layer}: {kind} occurs in training only")]
    Layer {
        /// The layer's name.
        layer: String,
        /// The layer's kind.
        kind: &'static str,
    },
    /// The integer parameters have a fault.
    #[error(transparent)]
    Integer(#[from] IntegerError),
    /// The logits of the test images cannot be computed.
    #[error(transparent)]
    Logits(#[from] InferenceError),
}

impl Export<'_> {
    /// Returns the files. Errors if the name is no C identifier, the network has a layer that only training has, a weight that is
    /// not finite or too many numbers, or if the images do not fit the network.
    pub fn program(&self) -> Result<Program, CError> {
        self.check()?;
        if self.model.integers().is_some() {
            return integer::program(self);
        }
        let network = self.model.network();
        let tables = Tables::of(self.name, self.tensors);
        let is_coded =
            |name: &str| tables.tensors.iter().any(|tensor| tensor.name == name && tensor.is_coded);
        let bytes = match (&self.images.pixels, self.normalize) {
            (Pixels::Bytes { .. }, Some(normalize)) => ByteRule::of(normalize),
            _ => vec![],
        };
        let schedule = Schedule::of(network, &is_coded, !bytes.is_empty());
        if schedule.scratch > MOST_NUMBERS {
            return Err(CError::Size { what: "the scratch buffer".to_owned(), numbers: schedule.scratch });
        }
        let logits = inference::logits(self.model, self.images, &|| false)?;
        let (weight_bytes, scratch_bytes) = (tables.bytes(), 4 * schedule.scratch);
        let source = Source { name: self.name, network, tables: &tables, schedule: &schedule, bytes: &bytes };
        let words = Words { decide: OF_OUTPUTS, decide_one: OF_ONE_OUTPUT, takes_bytes: !bytes.is_empty() };
        let filled = self.template(&words, &bytes, [weight_bytes, scratch_bytes]);
        let golden = Golden {
            name: "logits",
            kind: "uint32_t",
            about: "Images, and the bits of their logits as fewbits computes them.",
            elements: logits.iter().map(|logit| format!("{:#010x}u", logit.to_bits())).collect(),
            takes_bytes: !bytes.is_empty(),
        };
        let formats: serde_json::Map<String, Json> =
            tables.tensors.iter().map(|tensor| (tensor.name.clone(), json!(tensor.format))).collect();
        let described = json!({ "tensors": formats });
        let name = self.name;
        let files = vec![
            (format!("{name}.h"), filled(include_str!("template/header.h"))),
            (format!("{name}.c"), source.text()),
            (format!("{name}_weights.c"), self.weights(&tables.tables)),
            (format!("{name}_golden.c"), self.golden(&golden)),
            ("test.c".to_owned(), filled(include_str!("template/test.c"))),
            ("Makefile".to_owned(), filled(include_str!("template/Makefile"))),
            ("README.md".to_owned(), filled(include_str!("template/README.md"))),
            ("manifest.json".to_owned(), self.manifest(&described, [weight_bytes, scratch_bytes])),
        ];
        Ok(Program { files, weight_bytes, scratch_bytes })
    }

    fn check(&self) -> Result<(), CError> {
        Self::check_name(self.name)?;
        for layer in &self.model.network().layers {
            if let LayerOp::BatchNorm { .. } | LayerOp::Dropout { .. } = layer.op {
                return Err(CError::Layer { layer: layer.name.clone(), kind: layer.op.kind() });
            }
        }
        for Encoded { name, weights, .. } in self.tensors {
            if weights.len() > MOST_NUMBERS {
                return Err(CError::Size { what: name.clone(), numbers: weights.len() });
            }
            if let Some(element) = weights.iter().position(|weight| !weight.is_finite()) {
                return Err(CError::Weight { tensor: name.clone(), element, value: weights[element] });
            }
        }
        Ok(())
    }

    /// Returns a function that fills the gaps of a template.
    pub(super) fn template(
        &self,
        words: &Words,
        bytes: &[ByteRule],
        [weight_bytes, scratch_bytes]: [usize; 2],
    ) -> impl Fn(&str) -> String {
        let [channels, height, width] = self.model.network().input;
        let about = literal::comment(self.about);
        let takes_bytes = words.takes_bytes;
        let mut gaps = vec![
            ("@ABOUT@", about),
            ("@SHAPE@", format!("{channels} x {height} x {width}")),
            ("@INPUTS@", (channels * height * width).to_string()),
            ("@OUTPUTS@", self.model.network().classes.to_string()),
            ("@CLASSES@", self.classes.len().to_string()),
            ("@SCRATCH@", scratch_bytes.to_string()),
            ("@WEIGHTS@", weight_bytes.to_string()),
            ("@COUNT@", self.images.len().to_string()),
            ("@TYPE@", if takes_bytes { "uint8_t" } else { "float" }.to_owned()),
            ("@INFER@", if takes_bytes { "infer_bytes" } else { "infer" }.to_owned()),
            ("@RULE@", rule(bytes)),
            ("@GUARD@", format!("{}_H", self.name.to_uppercase())),
            ("@UPPER@", self.name.to_uppercase()),
            ("@NAME@", self.name.to_owned()),
        ];
        let of_bytes = if takes_bytes { include_str!("template/bytes.h") } else { "" };
        let [labelled, labels] = if self.labels().is_some() { [LABELLED, LABELS] } else { [PLAIN, ""] };
        // These have gaps themselves.
        let [declare, decide, meaning] =
            if self.model.network().classes == 1 { words.decide_one } else { words.decide };
        let outer = [
            ("@BYTES@", of_bytes),
            ("@LABELLED@", labelled),
            ("@LABELS@", labels),
            ("@DECLARE@", declare),
            ("@DECIDE@", decide),
            ("@MEANING@", meaning),
        ];
        gaps.splice(0..0, outer.map(|(gap, text)| (gap, text.to_owned())));
        move |text| gaps.iter().fold(text.to_owned(), |text, (gap, content)| text.replace(gap, content))
    }

    /// Returns `NAME_weights.c`: the tables, and the names of the classes.
    pub(super) fn weights(&self, tables: &[Table]) -> String {
        let name = self.name;
        let mut text = format!(
            "/* The weights of the network {name} as constant tables, {} bytes, and the names of its classes. */\n#include \"{name}.h\"\n\n",
            tables.iter().map(Table::bytes).sum::<usize>()
        );
        text.extend(tables.iter().map(Table::declaration));
        text.push('\n');
        for table in tables {
            text.push_str(&table.definition());
            text.push('\n');
        }
        let classes = literal::lines(self.classes.iter().map(|class| literal::text(class)));
        text + &format!(
            "const char *const {name}_classes[{}_CLASSES] = {{\n{classes}}};\n",
            name.to_uppercase()
        )
    }

    /// Returns `NAME_golden.c`: images and what the network makes of them.
    pub(super) fn golden(&self, golden: &Golden) -> String {
        let (name, count, size) = (self.name, self.images.len(), self.images.size());
        let (classes, takes_bytes) = (self.model.network().classes, golden.takes_bytes);
        let kind = if takes_bytes { "uint8_t" } else { "float" };
        let images: Vec<String> = match &self.images.pixels {
            Pixels::Bytes { bytes, .. } if takes_bytes => bytes.iter().map(u8::to_string).collect(),
            _ => {
                let places: Vec<u32> = (0..count as u32).collect();
                self.images.numbers(&places).into_iter().map(literal::float).collect()
            }
        };
        let rows = |elements: &[String], of_row: usize| -> String {
            elements
                .chunks(of_row.max(1))
                .map(|row| format!("    {{\n{}    }},\n", literal::lines(row.iter().cloned())))
                .collect()
        };
        let (images, made) = (rows(&images, size), rows(&golden.elements, classes));
        let Golden { name: what, kind: made_kind, about, .. } = golden;
        let labels = self.labels().map_or(String::new(), |labels| {
            let numbers = literal::lines(labels.iter().map(u8::to_string));
            format!(
                "\nextern const uint8_t {name}_golden_labels[{count}];\nconst uint8_t {name}_golden_labels[{count}] = {{\n{numbers}}};\n"
            )
        });
        let text = format!(
            "/* {about} */\n#include <stdint.h>\n\nextern const {kind} {name}_golden_images[{count}][{size}];\nextern const {made_kind} {name}_golden_{what}[{count}][{classes}];\n\nconst {kind} {name}_golden_images[{count}][{size}] = {{\n{images}}};\n\nconst {made_kind} {name}_golden_{what}[{count}][{classes}] = {{\n{made}}};\n"
        );
        text + &labels
    }

    /// Returns the labels of the images, if they have some.
    fn labels(&self) -> Option<&[u8]> {
        let labels = self.images.labels.as_ref()?;
        let is_known = labels.numbers.iter().all(|label| usize::from(*label) < self.classes.len());
        is_known.then_some(&labels.numbers[..])
    }

    /// Returns `manifest.json`; `described` has what the tables do not say.
    pub(super) fn manifest(&self, described: &Json, [weight_bytes, scratch_bytes]: [usize; 2]) -> String {
        let mut manifest = json!({
            "name": self.name,
            "weight_bytes": weight_bytes,
            "scratch_bytes": scratch_bytes,
            "input": self.model.network().input,
            "classes": self.classes,
            "bytes_become": self.normalize.map(|normalize| rule(&ByteRule::of(normalize))),
        });
        if let Some(all) = manifest.as_object_mut() {
            for more in [described, self.facts].into_iter().filter_map(Json::as_object) {
                all.extend(more.clone());
            }
        }
        format!("{manifest:#}\n")
    }
}

/// The words of templates that depend on the arithmetic.
pub(super) struct Words {
    /// The lines that find the class of an image: variables, statement, and the rule in words.
    pub decide: [&'static str; 3],
    /// The same for a network with one output.
    pub decide_one: [&'static str; 3],
    /// Whether images are bytes.
    pub takes_bytes: bool,
}

/// What a network makes of images.
pub(super) struct Golden {
    /// The last word of the table's name.
    pub name: &'static str,
    /// The C type of an element.
    pub kind: &'static str,
    /// A sentence on the file.
    pub about: &'static str,
    /// The elements, image by image.
    pub elements: Vec<String>,
    /// Whether images are bytes.
    pub takes_bytes: bool,
}

/// The lines that find the class of an image in binary32.
const OF_OUTPUTS: [&str; 3] = [
    "best = 0, i",
    "for (i = 1; i < @UPPER@_OUTPUTS; i++) if (logits[i] > logits[best]) best = i;",
    "the largest one is that of the image's class",
];
const OF_ONE_OUTPUT: [&str; 3] =
    ["best", "best = logits[0] > 0.0f;", "the image is of the second class if the only one is above 0"];

/// The lines of the test about images with and without labels.
const LABELLED: &str = "        printf(\"image %d: %s, labelled %s\\n\", image, @NAME@_classes[best], @NAME@_classes[@NAME@_golden_labels[image]]);";
const PLAIN: &str = "        printf(\"image %d: %s\\n\", image, @NAME@_classes[best]);";
const LABELS: &str = "extern const uint8_t @NAME@_golden_labels[@COUNT@];\n";

/// Returns the rule by which bytes become numbers, in words.
fn rule(bytes: &[ByteRule]) -> String {
    let words = |rule: &ByteRule| match rule {
        ByteRule::Plain => "byte".to_owned(),
        ByteRule::Unit => "byte / 255".to_owned(),
        ByteRule::Standard { mean, std } => format!("(byte / 255 - {mean}) / {std}"),
    };
    let all: Vec<String> = bytes.iter().map(words).collect();
    if all.len() > 1 { format!("{} of the channels in order", all.join(", ")) } else { all.concat() }
}
