//! Completions: the candidates for a shell, from the experiment and the store that the command line names.
//! Writes nothing, locks nothing and reports nothing: files that cannot be read give no candidates.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use fewbits_engine::graph::{TaskGraph, base_of};
use fewbits_engine::ops::Ops;
use fewbits_engine::schema::{ChoiceSchema, ValueSchema};
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::text::fault::Faults;
use fewbits_ops::StandardOps;
use fewbits_ops::dataset::published::{CIFAR10, FASHION_MNIST, MNIST};
use fewbits_store::Store;

use crate::cli::{Cli, Global};
use crate::command::schema;
use crate::session::{data_dir, store_dir, variable};
use crate::ui::plain::printable;

/// The environment variable in which the completion script passes the shell's name.
const VARIABLE: &str = "FEWBITS_COMPLETE";

/// The most tasks that are candidates; a larger experiment gives its nodes.
const MOST_TASKS: usize = 2_000;

/// The greatest length of an experiment file, in bytes: parsing a longer one would delay the shell.
const MOST_BYTES: u64 = 1 << 20;

/// Answers a shell's request for candidates. Returns whether there was one.
pub fn answer() -> bool {
    let Some(shell) = variable(VARIABLE) else { return false };
    // The shell would show a panic's message within the line that is being typed.
    std::panic::set_hook(Box::new(|_| {}));
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let typed = Arc::new(Typed::parse(shell, words));
    let factory = || completed(Cli::command(), &typed);
    let here = std::env::current_dir().ok();
    let _ =
        CompleteEnv::with_factory(factory).var(VARIABLE).try_complete(std::env::args_os(), here.as_deref());
    true
}

/// Returns the completion script of a shell.
pub fn script(shell: Shell) -> Result<String> {
    let shells = Shells::builtins();
    let completer = shells
        .completer(&shell.to_string())
        .ok_or_else(|| anyhow!("{shell}: there is no script for this shell"))?;
    let program = PathBuf::from(std::env::args_os().next().unwrap_or_else(|| "fewbits".into()));
    // If the program was called by a path, the script calls it by its absolute path.
    let is_path = program.components().count() > 1;
    let program = if is_path { std::path::absolute(&program)? } else { program };
    let mut script = vec![];
    completer.write_registration(VARIABLE, "fewbits", "fewbits", &program.to_string_lossy(), &mut script)?;
    Ok(String::from_utf8(script)?)
}

/// The words typed so far, as far as candidates depend on them.
struct Typed {
    shell: String,
    file: Option<PathBuf>,
    global: Option<Global>,
}

impl Typed {
    /// Parses an incomplete command line, ignoring errors.
    fn parse(shell: String, words: impl Iterator<Item = OsString>) -> Self {
        let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok();
        let mut leaf: Option<&ArgMatches> = matches.as_ref();
        while let Some((_, inner)) = leaf.and_then(ArgMatches::subcommand) {
            leaf = Some(inner);
        }
        let file = leaf.and_then(|leaf| leaf.try_get_one::<PathBuf>("file").ok().flatten().cloned());
        Self { shell, file, global: leaf.and_then(|leaf| Global::from_arg_matches(leaf).ok()) }
    }

    fn text(&self) -> Option<String> {
        let about = std::fs::metadata(self.file.as_ref()?).ok()?;
        let is_short = about.is_file() && about.len() <= MOST_BYTES;
        is_short.then(|| std::fs::read_to_string(self.file.as_ref()?).ok()).flatten()
    }

    fn ops(&self) -> StandardOps {
        let base = self.file.as_deref().map_or(Path::new("."), base_of);
        StandardOps::new(self.global.as_ref().map_or_else(PathBuf::new, data_dir), base.to_path_buf())
    }

    /// Returns the experiment as far as it can be parsed.
    fn experiment(&self) -> Option<Experiment> {
        Experiment::parse(&self.text()?, self.ops().kinds(), &mut Faults::default())
    }

    fn tables(&self) -> Vec<String> {
        let tables = self.experiment().map(|experiment| experiment.tables);
        tables.into_iter().flatten().map(|table| table.name).collect()
    }

    /// Returns the names of the tasks; of the nodes if there are too many tasks or the file has faults.
    fn tasks(&self) -> Vec<String> {
        let graph = self.text().and_then(|text| TaskGraph::parse(&text, &self.ops(), MOST_TASKS).ok());
        match graph {
            Some(graph) => graph.tasks().map(|task| self.quoted(graph.name(task))).collect(),
            None => {
                let nodes = self.experiment().map(|experiment| experiment.nodes);
                nodes.into_iter().flatten().map(|node| node.name).collect()
            }
        }
    }

    /// Returns the ids of the runs, the newest first.
    fn runs(&self) -> Vec<String> {
        let dir = self.global.as_ref().and_then(|global| store_dir(global).ok());
        let runs = dir.and_then(|dir| Store::open_reader(&dir).ok()?.runs().ok());
        runs.into_iter().flatten().rev().collect()
    }

    /// Quotes a text for the shells that insert candidates without quoting them.
    fn quoted(&self, text: String) -> String {
        let is_needed = text.contains(|c: char| !c.is_alphanumeric() && c != '_');
        let inserts = ["bash", "powershell", "pwsh"].contains(&&*self.shell);
        if is_needed && inserts && !text.contains('\'') { format!("'{text}'") } else { text }
    }
}

/// Adds candidates to the arguments of a command and of its subcommands.
fn completed(command: clap::Command, typed: &Arc<Typed>) -> clap::Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|arg| completing(&name, arg, typed));
    command.mut_subcommands(|inner| completed(inner, typed))
}

/// Adds candidates to an argument, if it has any.
fn completing(command: &str, arg: Arg, typed: &Arc<Typed>) -> Arg {
    let names: fn(&Typed) -> Vec<String> = match (command, arg.get_id().as_str()) {
        ("new", "file") => return arg,
        (_, "file" | "files") => {
            let is_experiment = |path: &Path| path.extension() == Some(OsStr::new("ron"));
            return arg.add(ArgValueCompleter::new(PathCompleter::any().filter(is_experiment)));
        }
        ("why", "task") => Typed::tasks,
        ("table", "name") => Typed::tables,
        ("watch", "run") | ("runs", "pin" | "unpin") => Typed::runs,
        ("values" | "round", "format") => |_| formats(),
        ("round", "rounding") => |_| roundings(),
        ("schema", "name") => |_| schema::all().names().into_iter().map(str::to_owned).collect(),
        ("fetch", "name") => |_| [MNIST, FASHION_MNIST, CIFAR10].map(|data| data.name.to_owned()).to_vec(),
        _ => return arg,
    };
    let typed = Arc::clone(typed);
    arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates(names(&typed), current)))
}

fn formats() -> Vec<String> {
    let choices = schema::all().choices.into_iter().filter(|choice| choice.noun() == "format");
    choices.flat_map(|choice: ChoiceSchema| choice.variants).map(|variant| variant.name).collect()
}

fn roundings() -> Vec<String> {
    let variants = schema::all().choices.into_iter().flat_map(|choice| choice.variants);
    let field = variants.flat_map(|variant| variant.fields).find(|field| field.name == "rounding");
    match field.map(|field| field.value) {
        Some(ValueSchema::Name(names)) => names,
        Some(_) | None => vec![],
    }
}

/// Returns the names that start with the typed text. Leaves out names with control characters.
fn candidates(names: Vec<String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let goes_on =
        |name: &String| name.trim_start_matches('\'').starts_with(&*current) && printable(name) == *name;
    names.into_iter().filter(goes_on).map(CompletionCandidate::new).collect()
}
