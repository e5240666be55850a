//! The script: KevScript v5 with Enact's own statements, from text to `Edit`s and back.
