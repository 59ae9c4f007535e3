//! Bytes under keys at revisions, and the story of their changes.
