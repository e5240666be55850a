//! The digest of a model: equal models have equal digests on every machine.
