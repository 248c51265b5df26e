//! The language server: it speaks the Language Server Protocol on standard input and output, so that editors show faults,
//! complete and explain while one writes. All answers come from the parameter readers that `check` uses.

mod answers;
pub mod complete;
pub mod document;
mod hover;
mod names;
mod open_text;
mod quoted;
mod results;
pub mod server;
mod template;
