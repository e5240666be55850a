//! Where people, scripts and tools come in: command line, console, configuration.

pub mod binary;
pub mod cli;
pub mod config;
pub mod console;
mod demo;
mod start;
