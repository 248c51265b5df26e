//! `table`: an experiment's tables from the results in the store.
//! Runs nothing.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use fewbits_engine::dense::NodeId;
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::ops::MetricRole;
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_engine::table::answer::Answer;
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::long;
use fewbits_engine::table::results::Results;
use fewbits_engine::table::table_sheets::{TableSheets, make};
use fewbits_engine::text::fault::suggest;
use fewbits_ops::StandardOps;
use fewbits_store::Store;

use super::{note, print};
use crate::cli::{Global, OutputFormat, TableArgs};
use crate::exit::{Coded, Exit};
use crate::inputs::Inputs;
use crate::output;
use crate::output::print_bytes;
use crate::render::{self, markdown, number::bytes};
use crate::session::{Session, open, reader};
use crate::ui::plain::printable;

/// Shows one table, or all.
pub fn table(args: &TableArgs, global: &Global) -> Result<Exit> {
    if let (OutputFormat::Parquet, None) = (args.format, &args.output) {
        return Err(Coded::usage("Parquet is not for reading: name a file to write with -o FILE"));
    }
    let session = open(&args.file.file, global)?;
    let (graph, store) = (&*session.graph, reader(global)?);
    let planner = Planner::new(graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let tables = &graph.experiment.tables;
    let mut failed = vec![];
    let shown = match (&args.name, args.format) {
        (Some(name), format) => {
            let table = tables.iter().find(|table| table.name == *name).ok_or_else(|| {
                let hint = suggest(name, tables.iter().map(|table| table.name.as_str()));
                Coded::usage(format!("{}: there is no table `{name}`; {hint}", args.file.file.display()))
            })?;
            ResultTables::load(&session, &plan, &store, std::slice::from_ref(table))?.one(table, format)?
        }
        (None, format @ (OutputFormat::Text | OutputFormat::Md)) if !tables.is_empty() => {
            let every = ResultTables::load(&session, &plan, &store, tables)?.every(format)?;
            failed = every.failed;
            every.text.into_bytes()
        }
        (None, format) => ResultTables::new(&session, &plan, &store, &[])?.rows(format)?,
    };
    let told = tell(&shown, args, &session, global);
    let exit = if failed.is_empty() { Exit::Done } else { Exit::Failed };
    // Failed tables are reported even if the output cannot be written.
    note(planner.notes().into_iter().chain(store.warnings()).chain(failed));
    told.map(|()| exit)
}

/// Prints a table, or writes it to the file that the user names.
fn tell(shown: &[u8], args: &TableArgs, session: &Session, global: &Global) -> Result<()> {
    let Some(path) = &args.output else { return print_bytes(shown) };
    let inputs = Inputs::collect(&session.graph, &session.ops, &args.file.file, global)?;
    match output::write(path, &inputs, |file| Ok(file.write_all(shown)?))? {
        Some(size) => print(&printable(&format!("{}: {}\n", path.display(), bytes(size)))),
        None => Ok(()),
    }
}

/// Holds all tables of an experiment as text.
pub struct RenderedTables {
    /// The tables, one after the other.
    pub text: String,
    /// One sentence for each table that failed.
    pub failed: Vec<String>,
}

/// Holds the answers to a question, as told.
pub struct ToldChoice {
    /// The answers, in the format asked for.
    pub text: Vec<u8>,
    /// The size of the first chosen point; `None` if a group has no point that fits.
    pub size: Option<f64>,
}

/// Holds the results of an experiment, for its tables.
pub struct ResultTables<'s> {
    session: &'s Session,
    results: Results,
}

impl<'s> ResultTables<'s> {
    /// Reads all results of the experiment, for these tables.
    pub fn new(session: &'s Session, plan: &Plan, store: &Store, tables: &[Table]) -> Result<Self> {
        let every: Vec<NodeId> = session.graph.node_tasks.ids().collect();
        Ok(Self { session, results: Results::load(&session.graph, plan, store, &every, tables)? })
    }

    /// Reads the results that these tables use.
    fn load(session: &'s Session, plan: &Plan, store: &Store, tables: &[Table]) -> Result<Self> {
        let graph = &*session.graph;
        let (shown, _) = mentioned(graph, tables);
        Ok(Self { session, results: Results::load(graph, plan, store, &shown, tables)? })
    }

    /// Reads the results that the experiment's tables use, and checks the others for damage.
    pub fn tables(session: &'s Session, plan: &Plan, store: &Store) -> Result<Self> {
        let graph = &*session.graph;
        let (shown, rest) = mentioned(graph, &graph.experiment.tables);
        let mut results = Results::load(graph, plan, store, &shown, &graph.experiment.tables)?;
        results.check(graph, plan, store, &rest)?;
        Ok(Self { session, results })
    }

    /// Returns the number of damaged results; they count as missing.
    pub fn damaged(&self) -> usize {
        self.results.damaged()
    }

    /// Renders the tables that a run prints, and says how to see the others.
    pub fn shown(&self, file: &Path) -> Result<RenderedTables> {
        let experiment = &self.session.graph.experiment;
        let shown = experiment.shown_tables();
        let is_shown = |table: &&Table| shown.iter().any(|of| of.name == table.name);
        let others: Vec<&str> = experiment
            .tables
            .iter()
            .filter(|table| !is_shown(table))
            .map(|table| table.name.as_str())
            .collect();
        let mut rendered = self.rendered(&shown, OutputFormat::Text)?;
        if !others.is_empty() {
            let file = quoted(&file.to_string_lossy());
            let count = if others.len() == 1 {
                "1 more table".to_owned()
            } else {
                format!("{} more tables", others.len())
            };
            let names = others.join(", ");
            let line = if rendered.text.is_empty() { "" } else { "\n" };
            rendered.text += &printable(&format!(
                "{line}{count}: {names}. Show one with `fewbits table {file} NAME`, all without a name.\n"
            ));
        }
        Ok(rendered)
    }

    /// Renders all tables in a text format; the long table if the experiment has none.
    pub fn every(&self, format: OutputFormat) -> Result<RenderedTables> {
        let tables: Vec<&Table> = self.session.graph.experiment.tables.iter().collect();
        if tables.is_empty() {
            let text = String::from_utf8(self.rows(format)?).context("the tables are no text")?;
            return Ok(RenderedTables { text, failed: vec![] });
        }
        self.rendered(&tables, format)
    }

    /// Renders tables in a text format. A table that fails does not affect the others.
    fn rendered(&self, tables: &[&Table], format: OutputFormat) -> Result<RenderedTables> {
        let (mut made, mut failed) = (vec![], vec![]);
        for table in tables {
            match self.one(table, format) {
                Ok(text) => made.push(text),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        let text = String::from_utf8(made.join(&b'\n')).context("the tables are no text")?;
        Ok(RenderedTables { text, failed })
    }

    /// Returns a few lines with the best points: the front of the first Pareto table. Empty without such a table.
    pub fn best(&self) -> String {
        let tables = &self.session.graph.experiment.tables;
        let pareto = tables.iter().find(|table| matches!(table.kind, TableKind::Pareto { .. }));
        let made = pareto.and_then(|table| {
            make(&*self.session.ops, &self.session.graph, &self.results, table, Layout::Grid).ok()
        });
        printable(&made.map_or(String::new(), |made| render::best::best(&made)))
    }

    fn rows(&self, format: OutputFormat) -> Result<Vec<u8>> {
        render::long::render(&long::long_table(&self.session.graph, &self.results)?, format)
    }

    fn one(&self, table: &Table, format: OutputFormat) -> Result<Vec<u8>> {
        let layout =
            if matches!(format, OutputFormat::Text | OutputFormat::Md) { Layout::Grid } else { Layout::Flat };
        let made = make(&*self.session.ops, &self.session.graph, &self.results, table, layout)
            .map_err(|error| anyhow!("table `{}`: {error}", table.name))?;
        let mut text = render::table::render(&made, format)?;
        if layout == Layout::Grid {
            text.extend(self.answer(&made, table, format).into_bytes());
        }
        Ok(text)
    }

    /// Returns the sentences of a `Choose` table's answer; none for other tables.
    fn sentences(&self, made: &TableSheets, table: &Table) -> Vec<String> {
        render::choice::answers(&made.answers, table, &self.session.graph.experiment)
    }

    /// Returns the answer of a `Choose` table as text; empty for other tables.
    fn answer(&self, made: &TableSheets, table: &Table, format: OutputFormat) -> String {
        let said = self.sentences(made, table);
        if said.is_empty() {
            return String::new();
        }
        let said = match format {
            OutputFormat::Md => {
                said.iter().map(|sentence| markdown::line(sentence)).collect::<Vec<_>>().join("\n\n")
            }
            _ => said.join("\n"),
        };
        printable(&format!("\n{said}\n"))
    }

    /// Returns the answers to a question. Text and Markdown have the sentences above the figures.
    pub fn choice(&self, table: &Table, format: OutputFormat) -> Result<ToldChoice> {
        let made = make(&*self.session.ops, &self.session.graph, &self.results, table, Layout::Grid)
            .map_err(|error| anyhow!("table `{}`: {error}", table.name))?;
        let first = made.answers.first().filter(|_| render::choice::fit(&made));
        let size = first.and_then(|choice| Some(choice.candidates[choice.chosen?].size.mean));
        if format == OutputFormat::Json {
            let TableKind::Choose(choose) = &table.kind else {
                return Err(anyhow!("`{}` is no question", table.name));
            };
            let answer = render::choice::json(&made, choose, &self.sentences(&made, table))?;
            return Ok(ToldChoice {
                text: (serde_json::to_string_pretty(&answer)? + "\n").into_bytes(),
                size,
            });
        }
        let figures = render::table::render(&made, format)?;
        if !matches!(format, OutputFormat::Text | OutputFormat::Md) {
            return Ok(ToldChoice { text: figures, size });
        }
        let said = format!("{}\n", self.answer(&made, table, format).trim_start());
        let commands = if format == OutputFormat::Text { self.exports(&made.answers, table) } else { vec![] };
        let next = if commands.is_empty() { String::new() } else { format!("\n{}\n", commands.join("\n")) };
        Ok(ToldChoice { text: [said.into_bytes(), figures, printable(&next).into_bytes()].concat(), size })
    }

    /// Returns the commands that export a network of each chosen point, each network once.
    fn exports(&self, answers: &[Answer], table: &Table) -> Vec<String> {
        let graph = &self.session.graph;
        let mut seen: Vec<TaskId> = vec![];
        let mut commands = vec![];
        for (first, networks) in answers.iter().filter_map(|answer| self.chosen_network(answer, table)) {
            if seen.contains(&first) {
                continue;
            }
            seen.push(first);
            let Some(file) = graph.file.as_deref() else { continue };
            let file = Path::new(file);
            let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
            let file = here.and_then(|here| file.strip_prefix(here).ok()).unwrap_or(file).to_string_lossy();
            let one = match networks {
                1 => "this network".to_owned(),
                several => format!("one of these {several} networks"),
            };
            let number = if seen.len() > 1 { format!("-{}", seen.len()) } else { String::new() };
            let folder = quoted(&format!("{}-c{number}", graph.experiment.nodes[graph.node(first)].name));
            let (file, task) = (quoted(&file), quoted(&graph.name(first)));
            commands.push(format!("C of {one}:  fewbits export {file} {task} --to c -o {folder}"));
        }
        commands
    }

    /// Returns a network of the chosen point, and how many there are; `None` if the size is not that of a network.
    fn chosen_network(&self, answer: &Answer, table: &Table) -> Option<(TaskId, usize)> {
        let TableKind::Choose(choose) = &table.kind else { return None };
        let graph = &self.session.graph;
        let experiment = &graph.experiment;
        let levels = &answer.candidates[answer.chosen?].levels;
        let chosen: Vec<(&str, &str)> = experiment.labels(&answer.axes, levels).collect();
        let is_chosen = |task: &TaskId| {
            graph
                .point(*task)
                .all(|(axis, label)| chosen.iter().all(|(of, value)| *of != axis || *value == label))
        };
        let is_network = |task: &TaskId| graph.kind(*task).output == Some("model");
        // The size is that of a network, or what a Footprint says of its network.
        let network =
            |task: TaskId| Some(task).filter(is_network).or_else(|| graph.inputs(task).first().copied());
        let sized = experiment.nodes_in(&[&choose.size]);
        let tasks = sized.into_iter().flat_map(|node| graph.tasks_of(node)).filter(is_chosen);
        let mut networks: Vec<TaskId> = tasks.filter_map(network).filter(is_network).collect();
        // A size beside that of the network before quantization names both.
        let is_sized = |task: &&TaskId| graph.kind(**task).metric(MetricRole::Bytes).is_some();
        let first = *networks.iter().find(is_sized).or(networks.first())?;
        networks.retain(|task| graph.node(*task) == graph.node(first));
        networks.dedup();
        Some((first, networks.len()))
    }
}

/// Returns a word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Returns the nodes that the tables use, and the other nodes.
fn mentioned(graph: &TaskGraph<StandardOps>, tables: &[Table]) -> (Vec<NodeId>, Vec<NodeId>) {
    let expressions: Vec<_> = tables.iter().flat_map(Table::expressions).collect();
    let shown = graph.experiment.nodes_in(&expressions);
    graph.node_tasks.ids().partition(|node| shown.contains(node))
}
