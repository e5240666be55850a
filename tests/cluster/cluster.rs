//! Groups of real node processes, asked and adapted by the real command line: one file for each promise.

mod crash;
mod faulty;
mod hosted;
mod life;
mod output;
mod refusal;
mod size;
mod start;
mod terminal;
