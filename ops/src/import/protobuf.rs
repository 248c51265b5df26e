//! The check of a protocol buffer before it is parsed. Knows which fields of an ONNX model are messages, nothing else
//! of ONNX.
//!
//! The parser allocates what a length in the file asks for, follows nested graphs to any depth, never ends at a number of
//! more than ten bytes, and reads on behind a list whose last number does not end. So every length is first compared with
//! the bytes that are left, the depth is limited, and lists of numbers are read to their end.

/// The greatest depth of messages: models without subgraphs need 7.
const DEPTH: usize = 16;

/// A message of ONNX (`onnx.proto`), as far as other messages are inside.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    Sequence,
    TensorType,
    Shape,
    /// A message without messages inside.
    Plain,
}

/// The numbers of a field that holds a list of them.
#[derive(Clone, Copy)]
enum Packed {
    Varints,
    /// Numbers of this many bytes.
    Wide(usize),
}

impl Message {
    /// Returns the message in a field; `None` for a field of numbers, text or bytes.
    fn inside(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) | (Self::Shape, 1) => Self::Plain,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph | Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) | (Self::Sequence, 1) => Self::Type,
            (Self::Type, 4) => Self::Sequence,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            _ => return None,
        })
    }

    /// Returns the numbers in a field that holds a list of them; `None` for another field.
    fn packed(self, field: u64) -> Option<Packed> {
        Some(match (self, field) {
            (Self::Tensor, 4) => Packed::Wide(4),
            (Self::Tensor, 1 | 5 | 7) => Packed::Varints,
            (Self::Tensor, 10) => Packed::Wide(8),
            _ => return None,
        })
    }
}

impl Packed {
    /// Returns whether a list of such numbers ends with a whole one.
    fn is_whole(self, mut list: &[u8]) -> bool {
        match self {
            Self::Wide(bytes) => list.len().is_multiple_of(bytes),
            Self::Varints => {
                while !list.is_empty() {
                    if varint(&mut list).is_none() {
                        return false;
                    }
                }
                true
            }
        }
    }
}

/// Checks the lengths and the depth of the messages of an ONNX model. Errors with the fault and its offset.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    message(bytes, 0, Message::Model, 0)
}

fn message(mut bytes: &[u8], mut offset: usize, kind: Message, depth: usize) -> Result<(), String> {
    if depth > DEPTH {
        return Err(format!("at byte {offset}: messages are nested more than {DEPTH} deep"));
    }
    let all = (offset + bytes.len(), bytes.len());
    let place = |rest: &[u8]| all.0 - rest.len();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or_else(|| format!("at byte {offset}: no protocol buffer"))?;
        let length = match tag & 7 {
            0 => {
                varint(&mut bytes).ok_or_else(|| format!("at byte {offset}: a number that does not end"))?;
                0
            }
            1 => 8,
            2 => varint(&mut bytes).ok_or_else(|| format!("at byte {offset}: a length that does not end"))?,
            5 => 4,
            _ => return Err(format!("at byte {offset}: no protocol buffer")),
        };
        let left = bytes.len() as u64;
        if length > left {
            return Err(format!("at byte {offset}: a field of {length} bytes, where {left} are left"));
        }
        let (field, rest) = bytes.split_at(length as usize);
        if let (2, Some(inside)) = (tag & 7, kind.inside(tag >> 3)) {
            message(field, place(bytes), inside, depth + 1)?;
        }
        if let (2, Some(packed)) = (tag & 7, kind.packed(tag >> 3))
            && !packed.is_whole(field)
        {
            return Err(format!("at byte {offset}: a list of numbers whose last one does not end"));
        }
        bytes = rest;
        offset = place(bytes);
    }
    Ok(())
}

/// Takes a number of seven bits per byte from the front; `None` if it does not end within ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..10 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(7 * at).unwrap_or(0);
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_the_file_and_deep_graphs_are_refused() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[0x08, 0x07]), Ok(()));
        let length = [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
        assert!(check(&length).unwrap_err().contains("where 1 are left"));
        // A length inside a graph that reaches beyond the graph.
        assert_eq!(
            check(&[0x3a, 3, 0x0a, 9, 0]).unwrap_err(),
            "at byte 2: a field of 9 bytes, where 1 are left"
        );
        assert!(check(&[0x0b]).unwrap_err().starts_with("at byte 0: "));
        // Lists of numbers in a tensor of a graph: a number of eleven bytes, one that does not end, and parts of floats.
        let tensor = |list: &[u8]| {
            let tensor = [&[0x2a, list.len() as u8], list].concat();
            check(&[&[0x3a, tensor.len() as u8], &tensor[..]].concat())
        };
        let endless = [&[0x3a, 11][..], &[0xff; 10], &[0]].concat();
        for list in [&endless[..], &[0x2a, 2, 1, 0x80], &[0x22, 5, 0, 0, 0, 0, 0], &[0x52, 4, 0, 0, 0, 0]] {
            assert_eq!(tensor(list).unwrap_err(), "at byte 4: a list of numbers whose last one does not end");
        }
        assert_eq!(tensor(&[0x3a, 3, 0xff, 1, 0]), Ok(()));
        // A graph in an attribute of a node of a graph, and a sequence of sequences as the type of an input, again and again.
        let within = |tag: u8, mut inner: Vec<u8>| {
            let mut outer = vec![tag, (inner.len() & 0x7f) as u8 | 0x80, (inner.len() >> 7) as u8];
            outer.append(&mut inner);
            outer
        };
        let graphs = (0..12).fold(vec![], |inner, _| within(0x0a, within(0x2a, within(0x32, inner))));
        let types = (0..12).fold(vec![], |inner, _| within(0x22, within(0x0a, inner)));
        for model in [within(0x3a, graphs), within(0x3a, within(0x5a, within(0x12, types)))] {
            assert!(check(&model).unwrap_err().contains("nested more than 16 deep"));
        }
    }
}
