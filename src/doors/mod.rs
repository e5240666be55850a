//! Where people, scripts and tools come in: command line, console, configuration.

pub mod cli;
pub mod config;
pub mod console;
