//! The generated table of the built-in types, and the one model that drives defaulting, pruning, merging and `OpenAPI`.
