//! The JSON form of a network in a model file. Equal networks have equal texts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::network::definition::{INPUT, ModelError, Network, UnshapedLayer, whole};
use crate::network::layer::LayerOp;
use crate::network::wiring::LayerPlace;
use crate::network::wiring::Source;

#[derive(Serialize, Deserialize)]
struct Stored {
    input: [usize; 3],
    classes: usize,
    layers: Vec<StoredLayer>,
}

#[derive(Serialize, Deserialize)]
struct StoredLayer {
    name: String,
    inputs: Vec<String>,
    #[serde(flatten)]
    op: LayerOp,
}

impl Network {
    /// Returns the network as canonical JSON (RFC 8785): input, classes, and a list of layers with named
    /// inputs.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let name = |source: &Source| match source {
            Source::Images => INPUT.to_owned(),
            Source::Layer(at) => self.layers[*at].name.clone(),
        };
        let layers = self.layers.iter().map(|layer| StoredLayer {
            name: layer.name.clone(),
            inputs: layer.sources.iter().map(name).collect(),
            op: layer.op,
        });
        let stored = Stored { input: self.input, classes: self.classes, layers: layers.collect() };
        serde_json_canonicalizer::to_string(&stored)
    }

    /// Decodes the output of [`Network::to_json`]. Errors for any other text, even for another spelling of
    /// the same network.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let stored: Stored = serde_json::from_str(text).map_err(|fault| whole(&fault.to_string()))?;
        let mut places = HashMap::from([(INPUT.to_owned(), Source::Images)]);
        let mut layers = Vec::with_capacity(stored.layers.len());
        for (at, StoredLayer { name, inputs, op }) in stored.layers.into_iter().enumerate() {
            let source = |input: &String| {
                let what = || format!("its input {input:?} is no earlier layer");
                let fault =
                    || ModelError { layer: Some(LayerPlace::number(at)), kind: op.kind(), what: what() };
                places.get(input).copied().ok_or_else(fault)
            };
            let sources = inputs.iter().map(source).collect::<Result<_, _>>()?;
            places.entry(name.clone()).or_insert(Source::Layer(at));
            layers.push(UnshapedLayer { name, op, sources });
        }
        let network = Self::new(stored.input, stored.classes, layers)?;
        match network.to_json() {
            Ok(canonical) if canonical == text => Ok(network),
            _ => Err(whole("its JSON is not in canonical form")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::architecture::{Architecture, LayerSpec};

    fn layers(specs: Vec<LayerSpec>) -> Result<Network, ModelError> {
        Network::resolve(&Architecture::Layers(specs), [3, 32, 32], 10)
    }

    /// The models in existing stores contain this JSON form, so a change makes these models unreadable. The
    /// text has every kind of layer with every field.
    #[test]
    fn the_stored_form_of_every_layer_is_pinned() {
        let text = concat!(
            r#"{"classes":10,"input":[1,12,12],"layers":["#,
            r#"{"bias":false,"dilation":2,"groups":1,"inputs":["input"],"kernel":3,"name":"first","op":"conv","out":4,"padding":1,"stride":2},"#,
            r#"{"eps":0.001,"inputs":["first"],"momentum":0.5,"name":"norm","op":"batch_norm"},"#,
            r#"{"inputs":["norm"],"name":"affine1","op":"affine"},"#,
            r#"{"inputs":["affine1"],"name":"relu1","op":"relu"},"#,
            r#"{"inputs":["relu1"],"name":"maxpool1","op":"max_pool","size":2,"stride":1},"#,
            r#"{"inputs":["maxpool1"],"name":"flatten1","op":"flatten"},"#,
            r#"{"inputs":["flatten1"],"name":"dropout1","op":"dropout","p":0.125},"#,
            r#"{"bias":true,"inputs":["dropout1"],"name":"last","op":"linear","out":10}]}"#
        );
        let network = Network::from_json(text).unwrap();
        assert_eq!(network.to_json().unwrap(), text);
        let kinds = network.layers.iter().map(|layer| layer.op.kind()).collect::<Vec<_>>();
        assert_eq!(kinds, ["conv", "batchnorm", "affine", "relu", "maxpool", "flatten", "dropout", "linear"]);
    }

    #[test]
    fn foreign_json_is_refused() {
        let network = layers(vec![LayerSpec::Flatten, LayerSpec::linear(10)]).unwrap();
        let text = network.to_json().unwrap();
        for (from, to) in [
            ("\"inputs\":[\"flatten1\"]", "\"inputs\":[\"input\"]"),
            ("\"classes\"", "\"more\":1,\"classes\""),
            ("\"classes\"", " \"classes\""),
            ("[3,32,32]", "[3,32,0]"),
            ("[3,32,32]", "[4294967296,4294967296,4294967296]"),
            ("\"out\":10", "\"out\":-10"),
            ("\"op\":\"linear\"", "\"op\":\"linearr\""),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text);
            assert!(Network::from_json(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn branches_are_named_inputs() {
        let residual = LayerSpec::Residual { body: vec![LayerSpec::conv(3, 1)], shortcut: vec![] };
        let network =
            layers(vec![residual, LayerSpec::GlobalAvgPool, LayerSpec::Flatten, LayerSpec::linear(10)])
                .unwrap();
        let text = network.to_json().unwrap();
        assert!(text.contains(r#"{"inputs":["conv1","input"],"name":"add1","op":"add"}"#), "{text}");
        assert_eq!(Network::from_json(&text).unwrap(), network);
        for (from, to, fault) in [
            (r#"["conv1","input"]"#, r#"["conv1","flatten1"]"#, "is no earlier layer"),
            (r#"["conv1","input"]"#, r#"["conv1"]"#, "it joins fewer than two branches"),
            (r#"["conv1","input"]"#, r#"["input","input"]"#, "no layer reads its output"),
            (r#"["conv1","input"]"#, "[]", "it reads no earlier layer"),
            (r#""inputs":["add1"]"#, r#""inputs":["add1","conv1"]"#, "takes one input, not 2"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text);
            assert!(Network::from_json(&bad).unwrap_err().to_string().contains(fault), "{bad}");
        }
    }
}
