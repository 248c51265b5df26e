//! A filter that the user types: `e=3 rounding=stochastic`, `state=failed`, `m>=2`, a part of a name.
//! Knows nothing of the items that it filters.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A filter: terms that an item must all satisfy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The text as typed.
    pub text: String,
    terms: Vec<FilterTerm>,
}

#[derive(Clone, Debug, PartialEq)]
enum FilterTerm {
    /// A part of the name.
    Word(String),
    /// A named value, and its relation to at least one of these values.
    Value { name: String, relation: Relation, values: Vec<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Is,
    IsNot,
    Below,
    Above,
    AtMost,
    AtLeast,
}

/// Longer signs come first, so that `>=` is not read as `>`.
const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("!=", Relation::IsNot),
    ("=", Relation::Is),
    ("<", Relation::Below),
    (">", Relation::Above),
];

impl Filter {
    /// Parses a filter; every text is valid. Spaces separate terms, commas separate the values of one term, and case
    /// does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        // `&&` joins terms in experiments, and here all terms are joined.
        let terms = text
            .split_whitespace()
            .filter(|term| *term != "&&")
            .map(|term| FilterTerm::parse(&term.to_lowercase()))
            .collect();
        Self { text: text.trim().to_owned(), terms }
    }

    /// Returns whether the filter has no terms.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns whether an item with this name and these named values satisfies the filter. An item that lacks a named
    /// value of the filter does not.
    pub fn matches<'v>(
        &self,
        name: impl Fn() -> String,
        value: impl Fn(&str) -> Option<Cow<'v, str>>,
    ) -> bool {
        self.terms.iter().all(|term| match term {
            FilterTerm::Word(word) => name().to_lowercase().contains(word),
            FilterTerm::Value { name, relation, values } => {
                value(name).is_some_and(|found| relation.holds(&found.to_lowercase(), values))
            }
        })
    }

    /// Returns the names of the values in the filter.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| match term {
            FilterTerm::Word(_) => None,
            FilterTerm::Value { name, .. } => Some(name.as_str()),
        })
    }
}

impl FilterTerm {
    fn parse(text: &str) -> Self {
        let place = |sign: &str| text.find(sign).filter(|at| *at > 0);
        let found = RELATIONS.iter().filter_map(|(sign, relation)| Some((place(sign)?, *sign, *relation)));
        // The first sign counts, and the longest of those at the same place.
        match found.min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len()))) {
            Some((at, sign, relation)) => {
                let values = text[at + sign.len()..].split(',').map(str::to_owned).collect();
                Self::Value { name: text[..at].to_owned(), relation, values }
            }
            None => Self::Word(text.to_owned()),
        }
    }
}

impl Relation {
    fn holds(self, found: &str, values: &[String]) -> bool {
        let order = |value: &String| match (found.parse::<f64>(), value.parse::<f64>()) {
            (Ok(found), Ok(value)) => found.partial_cmp(&value),
            _ => None,
        };
        let same = |value: &String| found == value || order(value) == Some(Ordering::Equal);
        match self {
            Self::Is => values.iter().any(same),
            Self::IsNot => !values.iter().any(same),
            Self::Below => values.iter().any(|value| order(value).is_some_and(Ordering::is_lt)),
            Self::Above => values.iter().any(|value| order(value).is_some_and(Ordering::is_gt)),
            Self::AtMost => values.iter().any(|value| order(value).is_some_and(Ordering::is_le)),
            Self::AtLeast => values.iter().any(|value| order(value).is_some_and(Ordering::is_ge)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_hold_together() {
        let check = |text: &str, expected: bool| {
            let value = |name: &str| match name {
                "e" => Some(Cow::from("3")),
                "rounding" => Some(Cow::from("Stochastic")),
                "dropout" => Some(Cow::from("0.0")),
                _ => None,
            };
            let found = Filter::parse(text).matches(|| "small(e=3)".to_owned(), value);
            assert_eq!(found, expected, "{text}");
        };
        check("", true);
        check("e=3", true);
        check("e=3 rounding=stochastic", true);
        check("e=3 rounding=nearest", false);
        check("E=3,4 ROUNDING!=Nearest", true);
        check("e>=3 e<4", true);
        check("e>=3 && e<4", true);
        check("e>3", false);
        check("dropout=0", true);
        check("small", true);
        check("net", false);
        check("scale=x", false);
        check("rounding>2", false);
        // Nothing stands before the sign, so the term is a part of a name.
        check("=3", true);
    }
}
