//! The console: an interactive session with a running group.
