//! A text in an editor: its edits, and the places of bytes as editors count them.
//! Knows no experiment.

use fewbits_engine::text::fault::Span;
use lsp_types::{Position, Range, TextDocumentContentChangeEvent};

/// How an editor counts within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of 16 bits.
    Utf16,
}

/// A text in an editor.
#[derive(Clone, Debug)]
pub struct Document {
    /// The text.
    pub text: String,
    encoding: Encoding,
    /// The first byte of each line.
    lines: Vec<usize>,
}

impl Document {
    /// Opens a text.
    #[must_use]
    pub fn new(text: String, encoding: Encoding) -> Self {
        let lines = lines(&text);
        Self { text, encoding, lines }
    }

    /// Applies an edit. A place behind the end of a line or of the text is that end, and a place within a character is its
    /// beginning.
    pub fn edit(&mut self, change: TextDocumentContentChangeEvent) {
        match change.range {
            Some(range) => {
                let (start, end) = (self.offset(range.start), self.offset(range.end));
                self.text.replace_range(start.min(end)..start.max(end), &change.text);
            }
            None => self.text = change.text,
        }
        self.lines = lines(&self.text);
    }

    /// Returns the byte at a position.
    #[must_use]
    pub fn offset(&self, position: Position) -> usize {
        let Some(&start) = self.lines.get(position.line as usize) else { return self.text.len() };
        let line = self.text[start..].split(['\r', '\n']).next().unwrap_or_default();
        let wanted = position.character as usize;
        let mut units = 0;
        for (at, c) in line.char_indices() {
            units += self.units(c);
            if units > wanted {
                return start + at;
            }
        }
        start + line.len()
    }

    /// Returns the position of a byte.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.lines.partition_point(|start| *start <= offset) - 1;
        let character: usize = self.text[self.lines[line]..offset].chars().map(|c| self.units(c)).sum();
        Position::new(line as u32, character as u32)
    }

    /// Returns the range of a span.
    #[must_use]
    pub fn range(&self, span: Span) -> Range {
        Range::new(self.position(span.start), self.position(span.end))
    }

    fn units(&self, c: char) -> usize {
        match self.encoding {
            Encoding::Utf8 => c.len_utf8(),
            Encoding::Utf16 => c.len_utf16(),
        }
    }
}

/// Returns the first byte of each line. Lines end with `\\n`, `\\r\\n` or `\\r`.
fn lines(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_end =
        |at: &usize| bytes[*at] == b'\n' || (bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    std::iter::once(0).chain((0..bytes.len()).filter(is_end).map(|at| at + 1)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_counted_in_the_units_of_the_editor() {
        let text = "aé𝄞b\r\nx";
        for (encoding, at) in [(Encoding::Utf8, [0, 1, 3, 7]), (Encoding::Utf16, [0, 1, 2, 4])] {
            let document = Document::new(text.to_owned(), encoding);
            for (at, offset) in at.into_iter().zip([0, 1, 3, 7]) {
                assert_eq!(document.position(offset), Position::new(0, at), "{encoding:?}");
                assert_eq!(document.offset(Position::new(0, at)), offset, "{encoding:?}");
            }
            // Within a character, behind the end of a line, behind the text.
            assert_eq!(document.offset(Position::new(0, at[2] + 1)), 3);
            assert_eq!(document.offset(Position::new(0, 99)), 8);
            assert_eq!(document.offset(Position::new(9, 0)), text.len());
            assert_eq!(document.position(10), Position::new(1, 0));
        }
        // A carriage return alone ends a line too.
        assert_eq!(Document::new("a\rb\r\nc".to_owned(), Encoding::Utf8).position(5), Position::new(2, 0));
    }

    /// Applies an edit to lines of characters, as the protocol describes it.
    fn edited(text: &str, range: Range, new: &str, encoding: Encoding) -> String {
        let mut lines: Vec<(String, &str)> = vec![];
        let mut rest = text;
        loop {
            let end = rest.find(['\r', '\n']);
            let (line, tail) = rest.split_at(end.unwrap_or(rest.len()));
            let ending =
                ["\r\n", "\n", "\r", ""].into_iter().find(|ending| tail.starts_with(ending)).expect("an end");
            lines.push((line.to_owned(), ending));
            rest = &tail[ending.len()..];
            if ending.is_empty() {
                break;
            }
        }
        // The characters before a position, counted over the whole text.
        let count = |position: Position| {
            let at = position.line as usize;
            let before: usize =
                lines.iter().take(at).map(|(line, ending)| line.chars().count() + ending.len()).sum();
            let Some((line, _)) = lines.get(at) else { return text.chars().count() };
            let mut left = position.character as usize;
            let fits = |c: &char| {
                let units = if encoding == Encoding::Utf8 { c.len_utf8() } else { c.len_utf16() };
                let fits = units <= left;
                left = left.saturating_sub(units);
                fits
            };
            before + line.chars().take_while(fits).count()
        };
        let (start, end) = (count(range.start), count(range.end));
        let (start, end) = (start.min(end), start.max(end));
        let chars: Vec<char> = text.chars().collect();
        chars[..start].iter().copied().chain(new.chars()).chain(chars[end..].iter().copied()).collect()
    }

    proptest! {
        #[test]
        fn any_edit_is_an_edit_of_the_text(
            text in "[aé𝄞\r\n]{0,20}",
            edits in prop::collection::vec((0..4_u32, 0..8_u32, 0..4_u32, 0..8_u32, "[xé\n]{0,3}"), 0..8),
            is_utf16 in any::<bool>(),
        ) {
            let encoding = if is_utf16 { Encoding::Utf16 } else { Encoding::Utf8 };
            let mut document = Document::new(text, encoding);
            for (line, character, to_line, to_character, new) in edits {
                let range = Range::new(Position::new(line, character), Position::new(to_line, to_character));
                let change = TextDocumentContentChangeEvent { range: Some(range), range_length: None, text: new };
                let expected = edited(&document.text, range, &change.text, encoding);
                document.edit(change);
                prop_assert_eq!(&document.text, &expected);
                for (offset, _) in document.text.char_indices().filter(|(_, c)| *c != '\r' && *c != '\n') {
                    prop_assert_eq!(document.offset(document.position(offset)), offset);
                }
            }
        }
    }
}
