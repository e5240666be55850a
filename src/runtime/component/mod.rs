//! Components: the API that users write against, and the actor around each.
