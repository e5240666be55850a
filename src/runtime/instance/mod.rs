//! What every running thing answers to, and the catalog of types that this binary brings.
