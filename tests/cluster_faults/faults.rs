//! Crashes and broken disks, with real processes: what they cost, and what they must not.

mod disk;
mod kills;
mod ledger;
mod moves;
mod poison;
mod pushers;
