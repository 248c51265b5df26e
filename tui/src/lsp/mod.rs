//! The language server: it speaks the Language Server Protocol on standard input and output, so that editors show faults,
//! complete and explain while one writes. What it knows comes from the readers that read the file.

mod answers;
pub mod complete;
pub mod document;
mod hover;
mod names;
mod open_text;
mod results;
pub mod server;
mod template;
