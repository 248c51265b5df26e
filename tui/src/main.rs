//! The binary `fewbits`: parses arguments and calls the command.
//! Knows nothing of the commands' work.

/// Writes to standard error. Ignores errors: if the stream is closed, the text is lost.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!($($text)*));
    }};
}

/// Writes a line to standard error, as `say!` does.
macro_rules! sayln {
    ($($text:tt)*) => {
        say!("{}\n", format_args!($($text)*))
    };
}

mod cli;
mod cluster;
mod command;
mod complete;
mod dashboard;
mod diagnose;
mod exit;
mod figure;
mod file_watch;
mod found_model;
mod inputs;
mod interrupt;
mod lsp;
mod output;
mod question;
mod reach;
mod recorded;
mod render;
mod report;
mod session;
mod template;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::code_of;
use crate::ui::plain::printable;

fn main() -> ExitCode {
    if complete::answer() {
        return ExitCode::SUCCESS;
    }
    std::panic::set_hook(Box::new(report_panic));
    let cli = Cli::parse();
    let global = &cli.global;
    let result = match &cli.command {
        Command::Run(args) => command::run::run(args, global),
        Command::Worker(args) => command::worker::worker(args, global),
        Command::Doctor(args) => command::doctor::doctor(args, global),
        Command::Plan(args) => command::plan::plan(args, global),
        Command::Check(args) => command::check::check(args, global),
        Command::Fmt(args) => command::fmt::fmt(args, global),
        Command::Lsp { .. } => command::lsp::lsp(global),
        Command::Why(args) => command::why::why(args, global),
        Command::Table(args) => command::table::table(args, global),
        Command::Choose(args) => command::choose::choose(args, global),
        Command::Report(args) => command::report::report(args, global),
        Command::Plot(args) => command::report::plot(args, global),
        Command::Weights(args) => command::weights::weights(args, global),
        Command::Export(args) => command::export::export(args, global),
        Command::Diff(args) => command::diff::diff(args, global),
        Command::Cite(args) => command::cite::cite(args, global),
        Command::Watch(args) => command::watch::watch(args, global),
        Command::Runs(args) => command::runs::runs(args, global),
        Command::Store(args) => command::store::store(args, global),
        Command::Data(args) => command::data::data(args, global),
        Command::Values(args) => command::values::values(args, global),
        Command::Round(args) => command::round::round(args, global),
        Command::New(args) => command::new::new(args, global),
        Command::Schema(args) => command::schema::schema(args),
        Command::Completions { shell } => command::completions::completions(*shell),
        Command::Man { dir } => command::man::man(dir.as_deref()),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            dashboard::terminal::give_back();
            let text = format!("{error:#}");
            // Faults have colour codes, which `printable` would replace. Other messages may contain names from outside.
            let faults = text.contains("-->");
            sayln!("{}", if faults { text } else { format!("fewbits: {}", printable(&text)) });
            code_of(&error).into()
        }
    }
}

/// Reports a panic in one sentence instead of a trace. Panics of tasks are not reported here: they become the error of
/// the task. Nor are those of the index, on its thread or on sled's own: they become a warning.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let is_caught = |name: &str| ["compute", "job", "fewbits-index"].iter().any(|of| name.starts_with(of));
    let is_sled = info.location().is_some_and(|place| place.file().contains("/sled-"));
    if is_sled || thread.name().is_some_and(is_caught) {
        return;
    }
    dashboard::terminal::give_back();
    let place =
        info.location().map_or(String::new(), |place| format!(" at {}:{}", place.file(), place.line()));
    let text = info.payload_as_str().unwrap_or("no message");
    sayln!("fewbits: a fault in fewbits itself{place}: {text}; please report it");
}
