//! Faults of an experiment file: each has its place, a message and a hint.
//! Knows nothing of how faults are shown.

use std::fmt::Write as _;
use std::ops::Range;

use super::note::Note;

/// A range of bytes in the text of an experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Returns the span as a range of bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns the span before single bytes were inserted at these places, one after the other.
    #[must_use]
    pub fn without(self, inserted: &[usize]) -> Self {
        let before = |place: usize| inserted.iter().rev().fold(place, |at, new| at - usize::from(at > *new));
        Self { start: before(self.start), end: before(self.end) }
    }
}

/// One fault at its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The place of the fault in the text.
    pub span: Span,
    /// The message: the mistake, in the user's own names.
    pub message: String,
    /// The hint: how to correct the mistake; empty when the message already says it.
    pub hint: String,
}

impl Fault {
    /// Returns the misspelt word that [`suggest`] found the right one for, by its place in the text, and the right word;
    /// `None` if there is none, or if its place is not certain.
    #[must_use]
    pub fn respelling(&self, text: &str) -> Option<(Span, &str)> {
        let right = self.hint.strip_prefix(NEAR)?.strip_suffix("`?")?;
        let written = text.get(self.span.range())?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut places = vec![];
        for wrong in self
            .message
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| *word != right && word.chars().all(is_word))
        {
            for (at, _) in written.match_indices(wrong).filter(|_| !wrong.is_empty()) {
                let (before, after) = (&written[..at], &written[at + wrong.len()..]);
                if !before.ends_with(is_word)
                    && !after.starts_with(is_word)
                    && nearest(wrong, &[right]).is_some()
                {
                    let start = self.span.start + at;
                    places.push(Span { start, end: start + wrong.len() });
                }
            }
        }
        places.dedup();
        let [place] = places.as_slice() else { return None };
        Some((*place, right))
    }
}

/// The faults found so far; reading goes on after each fault, so that one check reports all of them. The schema also
/// lets it collect the notes of parameter readers.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<Fault>,
    notes: Option<Vec<(Span, Note)>>,
}

impl Faults {
    /// Makes an empty collection that also takes the readers' notes.
    #[must_use]
    pub fn noting() -> Self {
        Self { found: vec![], notes: Some(vec![]) }
    }

    /// Returns whether notes are taken.
    #[must_use]
    pub fn is_noting(&self) -> bool {
        self.notes.is_some()
    }

    /// Adds a note about the value at a place, if notes are taken.
    pub fn note(&mut self, span: Span, note: impl FnOnce() -> Note) {
        if let Some(notes) = &mut self.notes {
            notes.push((span, note()));
        }
    }

    /// Returns the notes about the value at a place, in the order taken.
    pub fn notes(&self, span: Span) -> impl Iterator<Item = &Note> {
        self.notes.iter().flatten().filter(move |(of, _)| *of == span).map(|(_, note)| note)
    }

    /// Returns all notes with their places.
    #[must_use]
    pub fn into_notes(self) -> Vec<(Span, Note)> {
        self.notes.unwrap_or_default()
    }

    /// Adds a fault.
    pub fn add(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Fault { span, message: message.into(), hint: hint.into() });
    }

    /// Returns whether there is no fault.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the faults in the order of their places, without duplicates.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Fault> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        self.found.extend(faults);
    }
}

/// The beginning of a hint with the nearest valid name.
const NEAR: &str = "did you mean `";

/// Returns a hint: the nearest valid name, or a list of all valid names.
#[must_use]
pub fn suggest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let mut valid: Vec<&str> = valid.into_iter().collect();
    if let Some(near) = nearest(wrong, &valid) {
        return format!("{NEAR}{near}`?");
    }
    valid.sort_unstable();
    valid.dedup();
    match valid.as_slice() {
        [] => "there is none here".to_owned(),
        [only] => format!("only `{only}` is valid here"),
        [rest @ .., last] => {
            let mut text = "valid here: ".to_owned();
            for name in rest {
                let _ = write!(text, "`{name}`, ");
            }
            let _ = write!(text, "`{last}`");
            text
        }
    }
}

/// Returns whether a valid name is so near to the wrong one that [`suggest`] names it.
#[must_use]
pub fn is_misspelt<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> bool {
    nearest(wrong, &valid.into_iter().collect::<Vec<_>>()).is_some()
}

fn nearest<'a>(wrong: &str, valid: &[&'a str]) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let (distance, name) = valid
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), *name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1.max(wrong.chars().count() / 3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let valid = ["hidden", "dropout", "seed"];
        assert_eq!(suggest("droput", valid), "did you mean `dropout`?");
        assert_eq!(suggest("Seed", valid), "did you mean `seed`?");
        assert_eq!(suggest("epochs", valid), "valid here: `dropout`, `hidden`, `seed`");
        assert_eq!(suggest("x", []), "there is none here");
    }

    #[test]
    fn a_misspelt_word_is_found_where_its_place_is_certain() {
        let respelling = |written: &str, wrong: &str, right: &str| {
            let fault = Fault {
                span: Span { start: 2, end: 2 + written.len() },
                message: format!("there is no node `{wrong}`"),
                hint: suggest(wrong, [right]),
            };
            let text = format!("  {written}");
            fault
                .respelling(&text)
                .map(|(place, right)| format!("{}{right}{}", &text[2..place.start], &text[place.end..]))
        };
        let found = respelling("\"1.0 - acuracy.accuracy\"", "acuracy", "accuracy");
        assert_eq!(found.as_deref(), Some("\"1.0 - accuracy.accuracy\""));
        assert_eq!(respelling("Axis(\"sed\")", "sed", "seed").as_deref(), Some("Axis(\"seed\")"));
        assert_eq!(respelling("r\"nett\"", "nett", "net").as_deref(), Some("r\"net\""));
        assert_eq!(
            respelling("Evaluat /* ( */ (a: 1)", "Evaluat", "Evaluate").as_deref(),
            Some("Evaluate /* ( */ (a: 1)")
        );
        assert_eq!(respelling("\"nett + nett\"", "nett", "net"), None, "it stands there twice");
        assert_eq!(respelling("\"n\"", "nett", "net"), None, "it does not stand there");
    }
}
