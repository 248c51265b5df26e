//! A line of text that a person edits, with the keys of a shell.
//! Knows nothing of the meaning of the text.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The most bytes of a line.
const MOST: usize = 500;

/// The modifiers that make a key a command instead of a letter.
const CHORD: KeyModifiers = KeyModifiers::CONTROL.union(KeyModifiers::ALT).union(KeyModifiers::SUPER);

/// A line and the cursor in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineEditor {
    text: String,
    /// The byte before which the next letter goes.
    at: usize,
}

impl LineEditor {
    /// Edits a text, with the cursor at its end.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { at: text.len(), text }
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text before the cursor and the text from the cursor on.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.at)
    }

    /// Applies a key: a letter, or a chord of a shell. Any other key changes nothing.
    pub fn key(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Backspace if key.modifiers.intersects(CHORD) => self.cut(self.word()),
            KeyCode::Char('w') if is_control => self.cut(self.word()),
            KeyCode::Char('u') if is_control => self.cut(0),
            KeyCode::Char('k') if is_control => self.text.truncate(self.at),
            KeyCode::Char('a') if is_control => self.at = 0,
            KeyCode::Char('e') if is_control => self.at = self.text.len(),
            KeyCode::Char('b') if is_control => self.at = self.before(),
            KeyCode::Char('f') if is_control => self.at = self.after(),
            KeyCode::Char('h') if is_control => self.cut(self.before()),
            KeyCode::Char('d') if is_control => self.delete(),
            KeyCode::Char(c)
                if !key.modifiers.intersects(CHORD) && !c.is_control() && self.text.len() < MOST =>
            {
                self.text.insert(self.at, c);
                self.at += c.len_utf8();
            }
            KeyCode::Backspace => self.cut(self.before()),
            KeyCode::Delete => self.delete(),
            KeyCode::Left => self.at = self.before(),
            KeyCode::Right => self.at = self.after(),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            _ => {}
        }
    }

    /// Removes the text from a byte up to the cursor.
    fn cut(&mut self, from: usize) {
        self.text.replace_range(from..self.at, "");
        self.at = from;
    }

    fn delete(&mut self) {
        let end = self.after();
        self.text.replace_range(self.at..end, "");
    }

    /// Returns the start of the letter before the cursor.
    fn before(&self) -> usize {
        self.text[..self.at].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    /// Returns the end of the letter at the cursor.
    fn after(&self) -> usize {
        self.at + self.text[self.at..].chars().next().map_or(0, char::len_utf8)
    }

    /// Returns the start of the word before the cursor.
    fn word(&self) -> usize {
        let start = self.text[..self.at].trim_end();
        start.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_shell_edit_the_line() {
        let check = |text: &str, keys: &[&str], expected: &str| {
            let mut line = LineEditor::new(text.to_owned());
            for key in keys {
                let (modifiers, name) = match key.split_once('-') {
                    Some(("C", name)) => (KeyModifiers::CONTROL, name),
                    Some(("M", name)) => (KeyModifiers::ALT, name),
                    _ => (KeyModifiers::NONE, *key),
                };
                let code = match name {
                    "Left" => KeyCode::Left,
                    "Del" => KeyCode::Delete,
                    "Back" => KeyCode::Backspace,
                    "F1" => KeyCode::F(1),
                    letter => KeyCode::Char(letter.chars().next().expect(letter)),
                };
                line.key(KeyEvent::new(code, modifiers));
            }
            let (before, after) = line.parts();
            assert_eq!(format!("{before}|{after}"), expected, "{text} {keys:?}");
        };
        check("e=2  m=1 ", &["C-w"], "e=2  |");
        check("e=2 m=1", &["C-w", "C-w", "C-w"], "|");
        check("e=2 m=1", &["C-u"], "|");
        check("e=2 m=1", &["C-a", "x"], "x|e=2 m=1");
        check("e=2", &["C-a", "C-e", "x"], "e=2x|");
        check("e=2", &["Left", "Left", "C-k"], "e|");
        check("e=2", &["Left", "C-u"], "|2");
        check("aéb", &["Left", "Back"], "a|b");
        check("aéb", &["C-a", "C-f", "Del", "C-d", "Del"], "a|");
        check("e=2", &["C-x", "C-z", "M-x", "F1"], "e=2|");
        check("e=2 m=1", &["M-Back"], "e=2 |");
        check("", &["C-w", "C-u", "Back", "Del", "Left", "C-h"], "|");
    }
}
