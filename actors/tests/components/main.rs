//! Each component that ships, alone: parameters in, messages in, messages out.

mod counting;
mod faulty;
mod files;
mod pipes;
mod web;
