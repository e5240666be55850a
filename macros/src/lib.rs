//! The macros of the component API.
