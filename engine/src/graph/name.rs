//! Names of tasks, as in `small(e=3,m=0,rounding=Stochastic)`, and the search for the task that a name means.
//! Knows nothing of results.

use super::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::text::fault::suggest;

/// The reason that a text does not name a single task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskNameError {
    /// The text fits several tasks where one is needed.
    #[error("`{text}` means {count} tasks, `{first}` and `{second}` among them: name {axes} as well")]
    Ambiguous {
        /// The text.
        text: String,
        /// The number of tasks that the text fits.
        count: usize,
        /// The name of one of them.
        first: String,
        /// The name of another.
        second: String,
        /// The axes on which they differ.
        axes: String,
    },
    /// The experiment has no such node.
    #[error("there is no task `{text}`: there is no node `{node}`; {hint}")]
    NoNode {
        /// The text.
        text: String,
        /// The node name in the text.
        node: String,
        /// A hint: the nearest valid name, or all valid names.
        hint: String,
    },
    /// An argument in the brackets does not have the form `axis=value`.
    #[error("`{text}`: expected `axis=value`, as in `{node}(e=3)`")]
    NotAPair {
        /// The argument.
        text: String,
        /// The node.
        node: String,
    },
    /// The node does not have the axis.
    #[error("node `{node}` has no axis `{axis}`; {hint}")]
    NoAxis {
        /// The node.
        node: String,
        /// The axis.
        axis: String,
        /// A hint: the nearest valid name, or all valid names.
        hint: String,
    },
    /// The axis does not have the value.
    #[error("axis `{axis}` has no value `{value}`; {hint}")]
    NoValue {
        /// The axis.
        axis: String,
        /// The value.
        value: String,
        /// A hint: the nearest valid value, or all valid values.
        hint: String,
    },
    /// Each axis has its value, but no point of the node has all of them.
    #[error(
        "there is no task `{text}`: no point of `{node}` has all of these values; `only` may leave them out"
    )]
    NoPoint {
        /// The text.
        text: String,
        /// The node.
        node: String,
    },
}

/// The most values of an axis that a message lists.
const MOST_LISTED: usize = 8;

impl<O: Ops> TaskGraph<O> {
    /// Returns the name of a task: its node, and the values of its axes in the order of the file.
    #[must_use]
    pub fn name(&self, task: TaskId) -> String {
        let (node, _) = self.place(task);
        let name = &self.experiment.nodes[node].name;
        let point: Vec<String> = self.point(task).map(|(axis, label)| format!("{axis}={label}")).collect();
        if point.is_empty() { name.clone() } else { format!("{name}({})", point.join(",")) }
    }

    /// Returns the name of a task with its axes sorted by name, so that it does not depend on their order in the
    /// file.
    #[must_use]
    pub fn sorted_name(&self, task: TaskId) -> String {
        let (node, _) = self.place(task);
        let mut point: Vec<String> =
            self.point(task).map(|(axis, label)| format!("{axis}={label}")).collect();
        point.sort_unstable();
        format!("{}({})", self.experiment.nodes[node].name, point.join(","))
    }

    /// Returns the axes of a task with the labels of their levels.
    pub fn point(&self, task: TaskId) -> impl Iterator<Item = (&str, &str)> {
        let (node, point) = self.place(task);
        let points = &self.node_tasks[node].points;
        points.axes.iter().filter_map(move |&axis| {
            let level = points.level(point, axis)?;
            let axis = &self.experiment.axes[axis];
            Some((axis.name.as_str(), axis.levels[level].label.as_str()))
        })
    }

    /// Finds the single task that a text means: a task's name, or a node with a subset of its axes that leaves one
    /// task.
    pub fn find(&self, text: &str) -> Result<TaskId, TaskNameError> {
        let meant = self.find_all(text)?;
        let [first, second, ..] = meant.as_slice() else { return Ok(meant[0]) };
        Err(TaskNameError::Ambiguous {
            text: text.to_owned(),
            count: meant.len(),
            first: self.name(*first),
            second: self.name(*second),
            axes: self.differing(&meant),
        })
    }

    /// Finds the tasks of a node that have the values in the text; an empty result is an error.
    pub fn find_all(&self, text: &str) -> Result<Vec<TaskId>, TaskNameError> {
        let (name, rest) = text.split_once('(').map_or((text, ""), |(name, rest)| (name, rest));
        let name = name.trim();
        let nodes = &self.experiment.nodes;
        let Some(node) = nodes.find(|node| node.name == name) else {
            let hint = suggest(name, nodes.iter().map(|node| node.name.as_str()));
            return Err(TaskNameError::NoNode { text: text.to_owned(), node: name.to_owned(), hint });
        };
        // A label may contain separators, so a full name is compared first.
        if let Some(task) = self.tasks_of(node).find(|&task| self.name(task) == text.trim()) {
            return Ok(vec![task]);
        }
        let wanted = split(rest.strip_suffix(')').unwrap_or(rest));
        let axes = &self.node_tasks[node].points.axes;
        for pair in &wanted {
            let Some((axis, _)) = pair.split_once('=') else {
                return Err(TaskNameError::NotAPair { text: pair.clone(), node: name.to_owned() });
            };
            if !axes.iter().any(|&at| self.experiment.axes[at].name == axis.trim()) {
                let valid = axes.iter().map(|&at| self.experiment.axes[at].name.as_str());
                let hint = suggest(axis.trim(), valid);
                let (node, axis) = (name.to_owned(), axis.trim().to_owned());
                return Err(TaskNameError::NoAxis { node, axis, hint });
            }
            self.check_value(pair)?;
        }
        let meant: Vec<TaskId> = self.tasks_of(node).filter(|&task| self.matches(task, &wanted)).collect();
        if meant.is_empty() {
            return Err(TaskNameError::NoPoint { text: text.to_owned(), node: name.to_owned() });
        }
        Ok(meant)
    }

    /// Returns the axes on which some tasks of one node differ, in words.
    fn differing(&self, tasks: &[TaskId]) -> String {
        let first: Vec<(&str, &str)> = self.point(tasks[0]).collect();
        let differs =
            |at: &usize| tasks.iter().any(|task| self.point(*task).nth(*at) != first.get(*at).copied());
        let names = (0..first.len()).filter(differs).map(|at| format!("`{}`", first[at].0));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Checks that an axis has a value, which a text gives as `axis=value`.
    fn check_value(&self, pair: &str) -> Result<(), TaskNameError> {
        let Some((axis, value)) = pair.split_once('=') else { return Ok(()) };
        let axes = &self.experiment.axes;
        let Some(of) = axes.iter().find(|of| of.name == axis.trim()) else { return Ok(()) };
        let labels = of.levels.iter().map(|level| level.label.as_str());
        if labels.clone().any(|label| squeezed(label) == squeezed(unquoted(value))) {
            return Ok(());
        }
        let hint = if of.levels.len() <= MOST_LISTED {
            format!("it has {}", labels.map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", "))
        } else {
            suggest(value.trim(), labels)
        };
        Err(TaskNameError::NoValue { axis: of.name.clone(), value: value.trim().to_owned(), hint })
    }

    fn matches(&self, task: TaskId, wanted: &[String]) -> bool {
        wanted.iter().all(|pair| {
            pair.split_once('=').is_some_and(|(axis, value)| {
                self.point(task)
                    .any(|(name, label)| name == axis.trim() && squeezed(label) == squeezed(unquoted(value)))
            })
        })
    }
}

fn squeezed(text: &str) -> String {
    text.replace(char::is_whitespace, "")
}

/// Returns a value without the quotes around it, which a text may need.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// Splits into pairs `axis=value` at commas and spaces outside of brackets and quotes. A label may have commas and spaces, so a
/// pair ends only where the next one begins, or the text.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut depth, mut is_quoted) = (0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_separator = depth == 0 && !is_quoted && (c == ',' || c.is_whitespace());
        if is_separator && begins_pair(&text[at..]) {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    let is_blank = |c: char| c == ',' || c.is_whitespace();
    parts.iter().map(|part| part.trim_matches(is_blank).to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Returns whether a text begins with an axis and `=`, after commas and spaces.
fn begins_pair(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
    let rest = text.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    rest.len() < text.len() && rest.trim_start().starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn values_stay_whole() {
        assert_eq!(split("e=3, m=0 format=Float(e:2,m:1)"), ["e=3", "m=0", "format=Float(e:2,m:1)"]);
        assert_eq!(split("e = 3 m= 0"), ["e = 3", "m= 0"]);
        assert_eq!(split("by=8 bits, x=gptq, bias ,e=1"), ["by=8 bits", "x=gptq, bias", "e=1"]);
        assert_eq!(split("by=\"a, e=2\" e=1,"), ["by=\"a, e=2\"", "e=1"]);
        assert_eq!(split("x"), ["x"]);
        assert_eq!(split(" , "), Vec::<String>::new());
    }
}
