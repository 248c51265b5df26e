//! `diff`: compares two runs, two experiments, or two points of one.
//! Runs nothing.

use std::path::Path;

use anyhow::{Result, anyhow};
use fewbits_engine::dense::NodeId;
use fewbits_engine::diff::points::PointsDiff;
use fewbits_engine::diff::{ComparedExperiment, Comparison};
use fewbits_engine::plan::Planner;
use fewbits_engine::table::results::Results;
use fewbits_ops::StandardOps;
use fewbits_store::Store;

use super::why::by_key;
use super::{note, print, watch};
use crate::cli::{DiffArgs, Form, Global};
use crate::exit::{Coded, Exit};
use crate::reach::Reach;
use crate::render;
use crate::render::number::count;
use crate::session::reader;
use crate::ui::plain::printable;

/// Shows the differences.
pub fn diff(args: &DiffArgs, global: &Global) -> Result<Exit> {
    let store = reader(global)?;
    let text = match &args.second {
        Some(second) => points(args, second, &store, global)?,
        None => experiments(args, &store, global)?,
    };
    note(store.warnings());
    print(&text)?;
    Ok(Exit::Done)
}

fn experiments(args: &DiffArgs, store: &Store, global: &Global) -> Result<String> {
    let (from, to) = (
        LoadedExperiment::load(&args.from, store, global)?,
        LoadedExperiment::load(&args.to, store, global)?,
    );
    let planners = [from.planner(store), to.planner(store)];
    let found = Comparison::between(&from.side(&planners[0]), &to.side(&planners[1]));
    let found = found.map_err(|error| anyhow!(error))?;
    note(planners.iter().flat_map(Planner::notes).chain(from.notes()).chain(to.notes()));
    let names = [from.reach.name, to.reach.name];
    Ok(match args.format {
        Form::Json => serde_json::to_string_pretty(&render::diff::json::experiments(&names, &found))? + "\n",
        Form::Text => printable(&render::diff::experiments(&names, &found)),
    })
}

fn points(args: &DiffArgs, second: &str, store: &Store, global: &Global) -> Result<String> {
    let known = LoadedExperiment::load(&args.from, store, global)?;
    let planner = known.planner(store);
    let side = known.side(&planner);
    let name = |text: &str| {
        by_key(side.graph, side.plan, text).map_or_else(|| text.to_owned(), |task| side.graph.name(task))
    };
    let names = [name(&args.to.to_string_lossy()), name(second)];
    let found =
        PointsDiff::between(&side, &names[0], &names[1]).map_err(|error| Coded::usage(error.to_string()))?;
    note(planner.notes().into_iter().chain(known.notes()));
    Ok(match args.format {
        Form::Json => serde_json::to_string_pretty(&render::diff::json::points(&names, &found))? + "\n",
        Form::Text => printable(&render::diff::points(&names, &found)),
    })
}

/// Holds an experiment with its results.
struct LoadedExperiment {
    reach: Reach,
    results: Results,
}

impl LoadedExperiment {
    /// Loads an experiment file, or the run with this id prefix if there is no such file.
    fn load(name: &Path, store: &Store, global: &Global) -> Result<Self> {
        let reach = match name.to_str().filter(|_| !is_file(name)) {
            None => Reach::of_file(name, store, global)?,
            Some(id) => {
                let hint = |error| anyhow::Error::context(error, format!("`{id}` is no file"));
                let run = watch::find(store, Some(id)).map_err(hint)?;
                Reach::of_run(&run, store, global)?.map_err(|error| Coded::usage(error.to_string()))?
            }
        };
        let nodes: Vec<NodeId> = reach.graph.node_tasks.ids().collect();
        let results = Results::load(&reach.graph, &reach.plan, store, &nodes, &[])?;
        Ok(Self { reach, results })
    }

    fn planner<'k>(&'k self, store: &'k Store) -> Planner<'k, StandardOps> {
        Planner::remembering(&self.reach.graph, &*self.reach.ops, store, self.reach.sources.clone())
    }

    fn side<'k>(&'k self, planner: &'k Planner<'k, StandardOps>) -> ComparedExperiment<'k, StandardOps> {
        ComparedExperiment {
            graph: &self.reach.graph,
            planner,
            plan: &self.reach.plan,
            results: &self.results,
        }
    }

    /// Describes the results that cannot be compared, because they are missing or damaged.
    fn notes(&self) -> Vec<String> {
        let damaged = self.results.damaged();
        let results = count(damaged, "result");
        let damage = (damaged > 0).then(|| format!("{}: {results} damaged and left out", self.reach.name));
        self.reach.unfinished().into_iter().chain(damage).collect()
    }
}

/// Whether a name means a file: the file exists, or the name ends in `.ron` or has a folder.
fn is_file(name: &Path) -> bool {
    name.exists()
        || name.extension().is_some_and(|extension| extension == "ron")
        || name.components().count() > 1
}
