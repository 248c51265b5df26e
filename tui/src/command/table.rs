//! `table`: an experiment's tables from what is in the store; runs nothing.

use anyhow::{Result, anyhow};
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::spec::table::{Shape, Table as Wanted};
use fewbits_engine::table::long;
use fewbits_engine::table::results::Results;
use fewbits_engine::table::sheet::{Layout, make};
use fewbits_engine::text::fault::suggest;
use fewbits_store::Store;

use super::{note, print};
use crate::cli::{Format, Global, Table};
use crate::exit::{Coded, Exit};
use crate::render;
use crate::session::{Session, open, reader};
use crate::ui::plain::printable;

/// Shows one table, or all.
pub fn table(args: &Table, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let (graph, store) = (&*session.graph, reader(global)?);
    let planner = Planner::new(graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let all = Shown::new(&session, &plan, &store)?;
    let text = match (&args.name, args.format) {
        (Some(name), format) => {
            let tables = &graph.experiment.tables;
            let table = tables.iter().find(|table| table.name == *name).ok_or_else(|| {
                let hint = suggest(name, tables.iter().map(|table| table.name.as_str()));
                Coded::usage(format!("{}: there is no table `{name}`; {hint}", args.file.file.display()))
            })?;
            all.one(table, format)?
        }
        (None, format @ (Format::Json | Format::Csv)) => all.rows(format)?,
        (None, format) => all.every(format)?,
    };
    note(planner.notes().into_iter().chain(store.warnings()));
    print(&text)?;
    Ok(Exit::Done)
}

/// The results of an experiment, ready to be shown.
pub struct Shown<'s> {
    session: &'s Session,
    results: Results,
}

impl<'s> Shown<'s> {
    /// Reads what is in the store.
    pub fn new(session: &'s Session, plan: &Plan, store: &Store) -> Result<Self> {
        let every: Vec<usize> = (0..session.graph.steps.len()).collect();
        Ok(Self { session, results: Results::read(&session.graph, plan, store, &every)? })
    }

    /// Reads what the experiment's tables show, and checks the rest.
    pub fn tables(session: &'s Session, plan: &Plan, store: &Store) -> Result<Self> {
        let graph = &*session.graph;
        let tables = &graph.experiment.tables;
        let shown = |node: &usize| {
            let name = &graph.experiment.nodes[*node].name;
            tables.iter().flat_map(Wanted::expressions).any(|expression| expression.mentions(name))
        };
        let (shown, rest): (Vec<usize>, Vec<usize>) = (0..graph.steps.len()).partition(shown);
        let mut results = Results::read(graph, plan, store, &shown)?;
        results.check(graph, plan, store, &rest)?;
        Ok(Self { session, results })
    }

    /// Returns how many results turned out damaged; what is shown lacks them.
    pub fn damaged(&self) -> usize {
        self.results.damaged()
    }

    /// Returns all tables, one after the other; the long table where the experiment asks for none.
    pub fn every(&self, format: Format) -> Result<String> {
        let tables = &self.session.graph.experiment.tables;
        if tables.is_empty() {
            return self.rows(format);
        }
        Ok(tables.iter().map(|table| self.one(table, format)).collect::<Result<Vec<_>>>()?.join("\n"))
    }

    /// Returns the best points in a few lines: the front of the first Pareto table; nothing where there is none.
    pub fn best(&self) -> String {
        let tables = &self.session.graph.experiment.tables;
        let pareto = tables.iter().find(|table| matches!(table.shape, Shape::Pareto { .. }));
        let made = pareto.and_then(|table| {
            make(&*self.session.ops, &self.session.graph, &self.results, table, Layout::Flat).ok()
        });
        printable(&made.map_or(String::new(), |made| render::best::best(&made)))
    }

    fn rows(&self, format: Format) -> Result<String> {
        let rows = long::rows(&self.session.graph, &self.results);
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(&rows)? + "\n",
            Format::Csv => render::long::csv(&rows)?,
            Format::Text => printable(&render::long::text(&rows, false)),
            Format::Md => printable(&render::long::text(&rows, true)),
        })
    }

    fn one(&self, table: &Wanted, format: Format) -> Result<String> {
        let layout = if matches!(format, Format::Text | Format::Md) { Layout::Grid } else { Layout::Flat };
        let made = make(&*self.session.ops, &self.session.graph, &self.results, table, layout)
            .map_err(|error| anyhow!("table `{}`: {error}", table.name))?;
        let text = render::table::render(&made, format)?;
        Ok(if layout == Layout::Grid { printable(&text) } else { text })
    }
}
