//! `enact model plan|diff|check|convert`: work on model files, offline.
