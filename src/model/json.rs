//! Enact's own JSON form of a model, versioned, with a JSON Schema.
