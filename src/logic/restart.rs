//! How often a crashed instance is started again.
