//! The views by name, in the order of their tabs.
//! Knows nothing of their contents.

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Progress, nodes, running tasks, and the log.
    Run,
    /// The curves of trainings.
    Training,
    /// The experiment's tables.
    Tables,
    /// Pareto tables: accuracy against size.
    Pareto,
    /// The details of one task.
    Task,
    /// Past runs.
    Runs,
}

/// All views, in the order of their tabs.
pub const ALL: [View; 6] = [View::Run, View::Training, View::Tables, View::Pareto, View::Task, View::Runs];

impl View {
    /// Returns the number on the view's tab.
    #[must_use]
    pub fn number(self) -> usize {
        ALL.iter().position(|view| *view == self).unwrap_or(0) + 1
    }

    /// Returns the view's name.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Training => "Training",
            Self::Tables => "Tables",
            Self::Pareto => "Pareto",
            Self::Task => "Task",
            Self::Runs => "Runs",
        }
    }

    /// Returns a short description of the view.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Run => "progress, nodes, running tasks, log",
            Self::Training => "curves of the marked trainings",
            Self::Tables => "the file's tables, as results come in",
            Self::Pareto => "accuracy against size",
            Self::Task => "everything about one task",
            Self::Runs => "past runs, to replay or compare with",
        }
    }

    /// Returns the next view.
    #[must_use]
    pub fn next(self) -> Self {
        ALL[self.number() % ALL.len()]
    }

    /// Returns the previous view.
    #[must_use]
    pub fn previous(self) -> Self {
        ALL[(self.number() + ALL.len() - 2) % ALL.len()]
    }
}
