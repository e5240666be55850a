//! `enact script run|check`: evaluate a script, offline.
